"""From a run to a model: what the file answers is what the run answers, and nothing is written that does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from resdsl.diagnostics import SpecError
from resdsl.network.evaluate import evaluate as reference
from resdsl.recorded import (
    CLASSES,
    NORMALISATION,
    Recorded,
    classes_of,
    classes_text,
    normalisation_of,
    normalisation_text,
)
from resdsl.spec import origin
from resdsl.targets import onnx_runtime, table
from resdsl.targets.model import open_model
from resdsl.targets.precision import Form, Precision
from resdsl.targets.table import TARGETS, Request, Written
from resdsl.targets.tensorrt import compare
from resdsl.targets.tensorrt.options import EngineOptions, Via
from resdsl.train.data.dataset import Arrays, Split
from resdsl.train.data.digits import digits
from resdsl.train.data.folders import image_folders
from resdsl.train.data.normalisation import scaled
from resdsl.train.evaluate import evaluate_model, evaluate_run
from resdsl.train.export import Wish, export
from resdsl.train.recipe import DIGITS, Normalise, with_length
from resdsl.train.run.fit import fit
from resdsl.train.run.folder import BEST, LAST
from resdsl.train.run.folder import NORMALISATION as NORMALISATION_FILE
from resdsl.train.trained import Trained, notes_on, open_run
from resdsl.verify import Check, EngineFile, Report, Wanted
from resdsl.writing import Output

module = sys.modules[export.__module__]

SHORT = with_length(DIGITS, 66)
"""Three epochs, a second or two."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "run"
    recipe = replace(SHORT, normalise=Normalise.PIXEL)
    fit("std/resnet110", recipe, digits(), run=folder, network="preact110", parameters={"n": 1})
    return folder


@pytest.fixture(scope="module")
def trained(run: Path) -> Trained:
    return open_run(run)


def answers(path: Path, inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": inputs})[0]


def metadata(path: Path) -> dict[str, str]:
    return {each.key: each.value for each in onnx.load(path).metadata_props}


def test_the_file_answers_as_the_run(trained: Trained, tmp_path: Path) -> None:
    data, out = digits(), tmp_path / "digits.onnx"
    exported = export(trained, data, out, weights_out=tmp_path / "w.safetensors")
    assert exported.report.passed
    assert exported.run.wrong == exported.model.wrong
    assert exported.written.size == out.stat().st_size
    # By ONNX Runtime alone, from what stands in the file.
    said = json.loads(metadata(out)[NORMALISATION])
    mean, std = (np.array(said[name]["values"], np.float32) for name in ("mean", "std"))
    assert mean.shape == tuple(said["mean"]["shape"]) == (1, 8, 8)
    inputs = (data.test.inputs.astype(np.float32) / 255 - mean) / std
    called = answers(out, inputs).argmax(1)
    assert (called != data.test.labels).sum() == exported.model.wrong
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (data.test.labels, called), 1)
    assert exported.model.counts == confusion.tolist()
    assert json.loads(metadata(out)[CLASSES]) == list("0123456789")
    kept = load_file(tmp_path / "w.safetensors")
    assert kept.keys() == trained.weights.keys()
    assert all(np.array_equal(kept[name], trained.weights[name]) for name in kept)


def test_the_score_of_a_run_is_that_of_its_log_and_of_the_reference(run: Path, trained: Trained) -> None:
    data = digits()
    last = open_run(run, "last")
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    tests = [line for line in lines if line["kind"] == "test"]
    score = evaluate_run(last, data, torch.device("cpu"))
    assert score.error == pytest.approx(tests[-1]["error"], abs=1e-12)
    assert score.loss == pytest.approx(tests[-1]["loss"], rel=1e-5)
    best = evaluate_run(trained, data, torch.device("cpu"))
    assert best.error == pytest.approx(min(line["error"] for line in tests), abs=1e-12)
    few = np.float64(trained.by.of(scaled(data.test.inputs[:32])))
    y = reference(trained.network, trained.weights, few)
    part = Arrays("few", data.train, Split(data.test.inputs[:32], data.test.labels[:32]), data.classes)
    found = evaluate_run(trained, part, torch.device("cpu"))
    assert found.wrong == (y.argmax(1) != data.test.labels[:32]).sum()
    chances = np.exp(y) / np.exp(y).sum(1, keepdims=True)
    expected = -np.log(chances[np.arange(32), data.test.labels[:32]]).mean()
    assert found.loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("precision", "form"),
    [(Precision.FP16, Form.ORT_CPU), (Precision.INT8, Form.ORT_CPU), (Precision.INT8, Form.TENSORRT)],
)
def test_other_precisions(trained: Trained, precision: Precision, form: Form, tmp_path: Path) -> None:
    out = tmp_path / "digits.onnx"
    exported = export(trained, digits(), out, Wish(precision=precision, form=form))
    assert exported.report.passed
    assert any(check.target == f"onnx {precision.value}" for check in exported.report.checks)
    assert abs(exported.model.wrong - exported.run.wrong) <= 0.02 * exported.run.samples
    assert metadata(out)["resdsl.precision"] == precision.value


def test_a_part_of_the_test_set(trained: Trained, tmp_path: Path) -> None:
    exported = export(trained, digits(), tmp_path / "few.onnx", Wish(limit=40))
    assert exported.run.samples == exported.model.samples == 40


def test_what_does_not_verify_is_not_written(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that computes something else."""
    run_parts = onnx_runtime.run_parts

    def off(*arguments: Any) -> np.ndarray:
        return run_parts(*arguments) + np.float32(0.5)

    monkeypatch.setattr(onnx_runtime, "run_parts", off)
    with pytest.raises(SpecError) as caught:
        export(trained, digits(), tmp_path / "no.onnx", Wish(passes=()), weights_out=tmp_path / "no.safetensors")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "targets-differ"
    assert "nothing is written" in diagnostic.message
    assert any(note.startswith("onnx: off by") for note in diagnostic.notes)
    assert list(tmp_path.iterdir()) == []


def test_dead_weights_are_told(trained: Trained, tmp_path: Path) -> None:
    dead = replace(trained, weights={name: values * 0 for name, values in trained.weights.items()})
    with pytest.raises(SpecError) as caught:
        export(dead, digits(), tmp_path / "no.onnx")
    assert "the output is the same for different inputs" in caught.value.diagnostics[0].notes
    assert list(tmp_path.iterdir()) == []


def test_what_stood_before_stands(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "digits.onnx"
    out.write_bytes(b"before")
    dead = replace(trained, weights={name: values * 0 for name, values in trained.weights.items()})
    with pytest.raises(SpecError):
        export(dead, digits(), out)
    assert out.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["digits.onnx"]


def test_targets_that_hold_no_weights_or_are_not_verified(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a torch file holds no weights"):
        export(trained, digits(), tmp_path / "m.py", Wish(target=TARGETS["torch"]))
    engine = EngineOptions(via=Via.TORCH_MODULE)
    with pytest.raises(SpecError, match="which is not verified here"):
        export(trained, digits(), tmp_path / "m.ep", Wish(target=TARGETS["trt"], engine=engine))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, on which an engine is built")
def test_an_engine_needs_a_gpu_before_anything_is_done(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        export(trained, digits(), tmp_path / "m.engine", Wish(target=TARGETS["trt"]))
    assert caught.value.diagnostics[0].code in ("missing-library", "missing-gpu")
    assert list(tmp_path.iterdir()) == []


def test_weights_beside_the_model(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from 2 GiB of them on. The test set is answered by the pair, aside."""
    monkeypatch.setattr(table, "MAX_ONNX_BYTES", 1000)
    exported = export(trained, digits(), tmp_path / "large.onnx")
    assert {path.name for path in tmp_path.iterdir()} == {"large.onnx", "large.onnx.data"}
    assert exported.written.beside == "large.onnx.data"
    score = evaluate_model(open_model(tmp_path / "large.onnx"), digits(), trained.by)
    assert score.counts == exported.model.counts == exported.run.counts


def test_an_engine_is_verified_as_the_file_that_it_is(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No engine is built or run here: an ONNX model plays it. What surrounds it is real."""
    asked: list[Request] = []
    seen: list[EngineFile] = []

    def emit(request: Request, output: Output) -> Written:
        asked.append(request)
        assert output.beside is not None
        name, beside = output.beside(".json")
        beside.write(b"sidecar")
        written = TARGETS["onnx"].emit(request, output)
        return replace(written, beside=name)

    def verified(*_: object, wanted: Wanted) -> Report:
        assert isinstance(wanted.engine, EngineFile)
        seen.append(wanted.engine)
        path = Path(wanted.engine.path)
        assert path.with_name(path.name + ".json").read_bytes() == b"sidecar"
        assert list(tmp_path.glob("[!.]*")) == [], "nothing stands in its place yet"
        return Report("preact110", 8, (Check("trt fp32", 0.0, 1.0),), ())

    monkeypatch.setattr(compare, "require_engines", lambda *_: None)
    monkeypatch.setattr(module, "verify", verified)
    monkeypatch.setattr(module, "open_model", lambda file, *_, **__: open_model(file.read_bytes()))
    exported = export(trained, digits(), tmp_path / "m.engine", Wish(target=replace(TARGETS["trt"], emit=emit)))
    assert {path.name for path in tmp_path.iterdir()} == {"m.engine", "m.engine.json"}
    assert exported.model.counts == exported.run.counts
    assert json.loads(asked[0].records[CLASSES]) == list("0123456789")
    assert seen[0].origin == asked[0].origin == origin(trained.document)


def test_data_in_files(tmp_path: Path) -> None:
    """Two classes, red and blue, of pictures of other sizes than the network reads."""
    for part, count in (("train", 12), ("val", 5)):
        for number, name in enumerate(("red", "blue")):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for index in range(count):
                noise = np.random.default_rng([number, index, count]).integers(0, 60, (40, 50, 3), np.uint8)
                noise[..., 2 * number] += 150
                Image.fromarray(noise).save(tmp_path / "data" / part / name / f"{index}.png")
    data = image_folders(tmp_path / "data", "colours")
    spec = "resnet 1\nnetwork colour(classes = 10) { input 3x32x32 stem conv(1x1, 4) -> bn head avgpool -> linear(classes) }\n"
    recipe = replace(with_length(DIGITS, 20), batch=8)
    result = fit(spec, recipe, data, run=tmp_path / "run", workers=0, device="cpu")
    assert result.score is not None
    exported = export(open_run(tmp_path / "run", "last"), data, tmp_path / "m.onnx")
    assert (exported.run.samples, exported.run.wrong) == (10, result.score.wrong)
    assert exported.model.counts == exported.run.counts == result.score.counts
    # By hand: resized by pillow alone, normalised as the model says.
    picture = Image.open(tmp_path / "data" / "val" / "blue" / "0.png")
    mean, std = (
        np.array(json.loads(metadata(tmp_path / "m.onnx")[NORMALISATION])[key]["values"], np.float32)
        for key in ("mean", "std")
    )
    pixels = (
        np.asarray(picture.resize((46, 37), Image.Resampling.BILINEAR), np.float32)[2:34, 7:39].transpose(2, 0, 1) / 255
    )
    assert answers(tmp_path / "m.onnx", ((pixels - mean) / std)[None]).argmax(1) == list(data.classes).index("blue")


# What a run says of itself.


def test_weights_of_a_run(run: Path, tmp_path: Path) -> None:
    best, last = open_run(run), open_run(run, "last")
    assert best.weights.keys() == load_file(run / BEST).keys()
    (newest,) = sorted((run / "checkpoints").glob("*.safetensors"))[-1:]
    for name in (str(run / LAST), str(newest)):
        again = open_run(run, name)
        assert all(np.array_equal(again.weights[key], last.weights[key]) for key in last.weights)
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "other.safetensors")
    for name, words in (
        (str(tmp_path / "other.safetensors"), "lacks"),
        (str(tmp_path / "none.safetensors"), "there is no weights file"),
        (str(run / "checkpoints" / "none.safetensors"), "none.safetensors"),
    ):
        with pytest.raises(SpecError, match=words):
            open_run(run, name)


def test_runs_that_are_damaged(run: Path, tmp_path: Path) -> None:
    for name in ("run.json", "network.json", NORMALISATION_FILE):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    with pytest.raises(SpecError, match=r"holds no best\.safetensors: it is written after the first evaluation"):
        open_run(tmp_path)
    (tmp_path / BEST).write_bytes((run / BEST).read_bytes())
    with pytest.raises(
        SpecError, match=r"holds no last\.safetensors: it is written when the run ends[\s\S]*`--weights best`"
    ):
        open_run(tmp_path, "last")
    assert open_run(tmp_path).network.name == "preact110"
    (tmp_path / NORMALISATION_FILE).write_text("{}")
    with pytest.raises(SpecError, match=r"the normalisation in .* cannot be read"):
        open_run(tmp_path)
    (tmp_path / NORMALISATION_FILE).unlink()
    with pytest.raises(SpecError, match=r"normalisation\.json cannot be read: No such file"):
        open_run(tmp_path)
    (tmp_path / NORMALISATION_FILE).write_bytes((run / NORMALISATION_FILE).read_bytes())
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(SpecError, match="is not what `resdsl train` writes"):
        open_run(tmp_path)


def test_other_data_than_the_runs(trained: Trained) -> None:
    data = digits()
    assert notes_on(trained, data) == ()
    other = Arrays("others", data.test, data.test, data.classes)
    (note,) = notes_on(trained, other)
    assert note.startswith("others is not the data that")
    with pytest.raises(SpecError, match="was trained on the classes 0, 1, 2, 3, 4 and 5 more, and named has a, b"):
        notes_on(trained, Arrays("named", data.train, data.test, tuple("abcdefghij")))


# What a model records.


@pytest.mark.parametrize("divisor", [1, 255])
@pytest.mark.parametrize(
    ("mean", "std"), [((3, 1, 1), (3, 1, 1)), ((2, 5, 4), (1, 1, 1)), ((7,), (7,)), ((1,), (1,))], ids=str
)
def test_records_come_back_to_the_bit(mean: tuple[int, ...], std: tuple[int, ...], divisor: int) -> None:
    draw = np.random.default_rng(0)
    one, two = draw.random(mean, np.float32), draw.random(std, np.float32) + np.float32(1e-3)
    found = normalisation_of({NORMALISATION: normalisation_text(Recorded(one, two, divisor))}, "m.onnx")
    assert found is not None
    assert found.divisor == divisor
    np.testing.assert_array_equal(found.mean, one)
    np.testing.assert_array_equal(found.std, two)
    names = ("ä b", "c")
    assert classes_of({CLASSES: classes_text(names)}, "m.onnx") == names
    assert normalisation_of({}, "m.onnx") is classes_of({}, "m.onnx") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"mean": 1, "std": 2}',
        '{"mean": {"shape": [2], "values": [1]}, "std": {"shape": [1], "values": [1]}}',
        '{"mean": {"shape": [1], "values": [1]}, "std": {"shape": [1], "values": [0]}}',
        '{"mean": {"shape": [1], "values": [NaN]}, "std": {"shape": [1], "values": [1]}}',
        '{"mean": {"shape": [1], "values": ["a"]}, "std": {"shape": [1], "values": [1]}}',
        '{"mean": {"shape": [1, 1], "values": [[1]]}, "std": {"shape": [1], "values": [1]}}',
        '{"mean": {"shape": [2, 1], "values": [[1], [1]]}, "std": {"shape": [3, 1], "values": [[1], [1], [1]]}}',
        '{"mean": {"shape": [], "values": 1}, "std": {"shape": [], "values": 1}}',
        '{"mean": {"shape": [1], "values": [0]}, "std": {"shape": [1], "values": [1]}, "divisor": 2}',
        '{"mean": {"shape": [1], "values": [0]}, "std": {"shape": [1], "values": [1]}, "divisor": [1]}',
    ],
)
def test_records_that_are_none(text: str) -> None:
    with pytest.raises(SpecError, match=r"the normalisation in m\.onnx cannot be read"):
        normalisation_of({NORMALISATION: text}, "m.onnx")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '"ab"'])
def test_names_of_classes_that_are_none(text: str) -> None:
    with pytest.raises(SpecError, match=r"the classes in m\.onnx"):
        classes_of({CLASSES: text}, "m.onnx")


def test_records_of_other_inputs() -> None:
    by = Recorded(np.zeros((1, 8, 8), np.float32), np.ones((1, 1, 1), np.float32))
    assert by.of(np.zeros((5, 1, 8, 8))).shape == (5, 1, 8, 8)
    for shape in ((1, 9, 8), (1, 1, 8), (8,)):
        with pytest.raises(SpecError, match="the model's normalisation is for 1 x 8 x 8"):
            by.of(np.zeros(shape))


# Models of any origin.


def write_model(path: Path, text: str, records: Mapping[str, str]) -> Path:
    import onnx.parser

    model = onnx.parser.parse_model(text)
    for key, value in records.items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("batch", ["N", "1", "7", "400"])
def test_models_of_one_batch_get_it(batch: str, tmp_path: Path) -> None:
    """The class is the number of the largest input."""
    text = f'<ir_version: 8, opset_import: ["" : 17]> g (float[{batch}, 3] x) => (float[{batch}, 3] y) {{ y = Identity(x) }}'
    draw = np.random.default_rng(0)
    inputs, labels = draw.random((23, 3), np.float32), draw.integers(0, 3, 23)
    data = Arrays("numbers", Split(inputs, labels), Split(inputs, labels), ("a", "b", "c"))
    by = Recorded(np.zeros(1, np.float32), np.ones(1, np.float32))
    score = evaluate_model(open_model(write_model(tmp_path / "m.onnx", text, {})), data, by)
    assert score.samples == 23
    assert score.wrong == (inputs.argmax(1) != labels).sum()
    logits = inputs.astype(np.float64)
    expected = (np.log(np.exp(logits).sum(1)) - logits[np.arange(23), labels]).mean()
    assert score.loss == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("g (float[N, 4] x) => (float[N, 4] y) { y = Identity(x) }", r"reads x \(N, 4\), and numbers has 3"),
        ("g (float[N, 3] x) => (float[N, 3] y, float[N, 3] z) { y = Identity(x) z = Neg(x) }", "gives y .*, z .*3 classes"),
        ("g (float[N, 3] x) => (float[N, 1] y) { y = ReduceMax<axes=[1]>(x) }", r"gives y \(N, 1\), and numbers has 3 classes"),
    ],
)  # fmt: skip
def test_models_that_do_not_fit_the_data(text: str, words: str, tmp_path: Path) -> None:
    split = Split(np.zeros((4, 3), np.float32), np.zeros(4, np.int64))
    data = Arrays("numbers", split, split, ("a", "b", "c"))
    by = Recorded(np.zeros(1, np.float32), np.ones(1, np.float32))
    path = write_model(tmp_path / "m.onnx", f'<ir_version: 8, opset_import: ["" : 17]> {text}', {})
    with pytest.raises(SpecError, match=words):
        evaluate_model(open_model(path), data, by)
