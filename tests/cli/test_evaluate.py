"""`resdsl evaluate`: of runs and of models; and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import resdsl
from resdsl.cli import main
from resdsl.recorded import CLASSES, NORMALISATION, Recorded, classes_text, normalisation_text
from tests.targets.tensorrt.stand_in import CLASSES as COUNT
from tests.targets.tensorrt.stand_in import SAMPLE, play, write_engine
from tests.targets.tensorrt.stand_in import expected as summed

SPEC = "resnet 1\nnetwork points(classes = 3) { input 4 head linear(classes) }\n"
NAMES = ("red", "green", "blue")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def points() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    labels = np.arange(330) % 3
    inputs = (np.eye(4)[labels] * 3 + draw.standard_normal((330, 4))).astype(np.float32)
    return {"x_train": inputs[:300], "y_train": labels[:300], "x_test": inputs[300:], "y_test": labels[300:]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on points, and what it exports."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "points.resnet").write_text(SPEC)
    np.savez(folder / "points.npz", **points(), classes=NAMES)
    data = ("--data", str(folder / "points.npz"))
    arguments = ("--epochs", "2", "--batch", "30", "-o", str(folder / "run"))
    assert run("train", str(folder / "points.resnet"), *data, *arguments).exit_code == 0
    assert run("export", str(folder / "run"), *data, "-o", str(folder / "points.onnx")).exit_code == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in made.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "plain.onnx").write_bytes(
        resdsl.compile(tmp_path / "points.resnet", weights=tmp_path / "run" / "best.safetensors")
    )
    np.savez(tmp_path / "named.npz", **points(), classes=["r", "g", "b"])
    np.savez(tmp_path / "later.npz", **points() | {"x_test": points()["x_test"][:12], "y_test": points()["y_test"][:12]}, classes=NAMES)  # fmt: skip
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_and_models_say_the_same(folder: Path) -> None:
    ofrun = run("evaluate", "run", "--data", "points.npz")
    ofmodel = run("evaluate", "points.onnx", "--data", "points.npz")
    assert ofrun.exit_code == ofmodel.exit_code == 0, ofrun.output + ofmodel.output
    (title, *lines), (other, *same) = ofrun.stdout.splitlines(), ofmodel.stdout.splitlines()
    assert title == "points of run (best) on points.npz"
    assert re.fullmatch(r"points\.onnx \(ONNX Runtime [\d.]+ on cpu\) on points\.npz", other)
    assert lines == same
    assert re.fullmatch(r"  error  \d+\.\d\d%, \d+ of 30 wrong", lines[0])
    tests = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    best = min(line["error"] for line in tests if line["kind"] == "test")
    assert lines[0].startswith(f"  error  {best:.2%},")


def test_json_holds_what_every_class_is_called(folder: Path) -> None:
    found = json.loads(run("evaluate", "points.onnx", "--data", "points.npz", "--json").stdout)
    confusion = np.array(found["confusion"])
    assert confusion.shape == (3, 3)
    assert confusion.sum(1).tolist() == [10, 10, 10]
    assert (found["samples"], found["wrong"]) == (30, 30 - np.trace(confusion))
    assert found["error"] == pytest.approx(found["wrong"] / 30)
    assert found["classes"] == list(NAMES)
    assert (found["target"], found["data"], found["resdsl"]) == ("points.onnx", "points.npz", resdsl.__version__)


def test_classes_one_by_one(folder: Path) -> None:
    confusion = json.loads(run("evaluate", "run", "--data", "points.npz", "--json").stdout)["confusion"]
    lines = run("evaluate", "run", "--data", "points.npz", "--per-class").stdout.splitlines()[-3:]
    for name, line, row, index in zip(NAMES, lines, confusion, range(3), strict=True):
        wrong = sum(row) - row[index]
        assert line.split() == [name, "10", str(wrong), f"{wrong / 10:.2%}"]


def test_weights_and_precisions_of_a_run(folder: Path) -> None:
    last = json.loads(run("evaluate", "run", "--data", "points.npz", "--weights", "last", "--json").stdout)
    lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    assert last["error"] == pytest.approx(lines[-1]["error"])
    double = json.loads(
        run("evaluate", "run", "--data", "points.npz", "--weights", "last", "--precision", "fp64", "--json").stdout
    )
    assert double["loss"] == pytest.approx(last["loss"], rel=1e-5)
    assert double["loss"] != last["loss"]


def test_a_model_that_records_nothing_takes_what_its_run_recorded(folder: Path) -> None:
    refused = run("evaluate", "plain.onnx", "--data", "points.npz")
    assert refused.exit_code == 1
    assert (
        f"plain.onnx does not say how its inputs are normalised (no {NORMALISATION} in its metadata)" in refused.stderr
    )
    assert "`--run RUN` takes it from the run" in refused.stderr
    taken = json.loads(run("evaluate", "plain.onnx", "--run", "run", "--data", "points.npz", "--json").stdout)
    same = json.loads(run("evaluate", "run", "--data", "points.npz", "--json").stdout)
    assert taken["confusion"] == same["confusion"]
    assert json.loads(run("evaluate", "plain.onnx", "--run", "run", "--json").stdout)["confusion"] == same["confusion"]


def test_an_engine_has_it_in_its_sidecar(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing real computes here: of each sample the sum, times 1, 2, … for the classes."""
    play(monkeypatch)
    one = np.full((1, 1, 1), 0.5, np.float32)
    names = tuple("abcde")
    records = {NORMALISATION: normalisation_text(Recorded(one, one)), CLASSES: classes_text(names)}
    write_engine(folder / "m.engine", records=records)
    draw = np.random.default_rng(0)
    x, y = draw.random((21, *SAMPLE), np.float32), np.arange(21) % COUNT
    np.savez(folder / "five.npz", x_train=x, y_train=y, x_test=x, y_test=y, classes=names, layout="nchw")
    result = run("evaluate", "m.engine", "--data", "five.npz", "--json")
    assert result.exit_code == 0, result.output
    called = summed((x - np.float32(0.5)) / np.float32(0.5)).argmax(1)
    confusion = np.zeros((COUNT, COUNT), int)
    np.add.at(confusion, (y, called), 1)
    assert json.loads(result.stdout)["confusion"] == confusion.tolist()


def test_other_data_than_the_runs(folder: Path) -> None:
    result = run("evaluate", "run", "--data", "later.npz")
    assert result.exit_code == 0
    assert result.stderr == "later.npz is not the data that run was trained on, or has changed since\n"
    assert "of 12 wrong" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("none",), 1, "error[no-run]: none is not there\n = help: the folder of a run, or a model that ends in .onnx"),
        (("points.npz",), 1, "error[no-run]: points.npz is a file, and no model"),
        (("none.onnx", "--data", "digits"), 1, "there is no file none.onnx"),
        ((".",), 1, "error[no-run]: . holds no run"),
        (("points.onnx",), 2, "--data: a model does not say what it was trained on; name the data, or --run its run"),
        (("points.onnx", "--data", "digits"), 1, "points.onnx is for the classes red, green, blue, and digits has 0, 1, 2, 3, 4 and 5 more"),
        (("points.onnx", "--data", "named.npz"), 1, "is for the classes red, green, blue, and named.npz has r, g, b"),
        (("run", "--data", "named.npz"), 1, "run was trained on the classes red, green, blue, and named.npz has r, g, b"),
        (("plain.onnx", "--run", "run", "--data", "digits"), 1, "error[wrong-data]: run was trained on the classes red"),
        (("points.onnx", "--data", "points.npz", "--weights", "last"), 2, "--weights: this is about a run, and points.onnx is a model"),
        (("points.onnx", "--data", "points.npz", "--device", "cpu"), 2, "--device: this is about a run"),
        (("run", "--run", "run"), 2, "--run: this is about a model, and run is none"),
        (("run", "--provider", "cuda"), 2, "--provider: this is about ONNX models, and run is none"),
        (("m.engine", "--provider", "cuda"), 2, "--provider: this is about ONNX models, and m.engine is an engine"),
        (("run", "--json", "--per-class"), 2, "--per-class: --json holds what every class is called"),
        (("run", "--weights", "none"), 1, "there is no weights file none"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else None,
)  # fmt: skip
def test_what_is_wrong_is_said(folder: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    result = run("evaluate", *arguments)
    assert words in result.stderr
    assert (result.exit_code, result.stdout) == (code, "")


def test_a_file_of_data_that_is_elsewhere_now(folder: Path) -> None:
    (folder / "points.npz").unlink()
    result = run("evaluate", "run")
    assert result.exit_code == 1
    assert "error[no-data]: run was trained on points.npz\n = help: name that file with `--data`" in result.stderr
