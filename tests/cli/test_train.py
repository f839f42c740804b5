"""`resdsl train`: from a spec to a run, interrupted and taken up again; and what it refuses."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file

from resdsl.cli import main
from resdsl.cli import train as module
from resdsl.cli.train_options import COMPILES, PRECISIONS
from resdsl.train.compute import parallel
from resdsl.train.compute.execution import Compile, Precision
from resdsl.train.data.batches import Share
from resdsl.train.recipe import RECIPES
from resdsl.train.run import progress as progress_module
from resdsl.train.run.csv_log import CsvLog
from resdsl.train.run.events import Event, Started
from resdsl.train.run.folder import LAST
from tests.cli.interrupting import interrupted_at

NETWORK = ("std/resnet110", "--network", "preact110", "-p", "n=1")
SHORT = (*NETWORK, "--iterations", "44")
"""Two epochs of digits, a second."""
SPECS = {
    "points.resnet": "resnet 1\nnetwork points(classes = 3) { input 4 head linear(classes) }\n",
    "fixed.resnet": "resnet 1\nnetwork fixed(classes = 10) { input 3x32x32 head avgpool -> linear(classes) }\n",
    "image.resnet": "resnet 1\nnetwork scene(image = 3x32x32) { input image head avgpool -> linear(10) }\n",
    "map.resnet": "resnet 1\nnetwork map(image = 1x8x8) { input image stem conv(3x3, 10) }\n",
    "broken.resnet": "resnet 1\nnetwork broken { input 1x8x8 head avgpool -> linaer(10) }\n",
}


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["train", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With specs, and data of three classes of points that are easy to tell apart."""
    for name, text in SPECS.items():
        (tmp_path / name).write_text(text)
    draw = np.random.default_rng(0)
    labels = np.arange(330) % 3
    inputs = (np.eye(4)[labels] * 3 + draw.standard_normal((330, 4))).astype(np.float32)
    arrays = {"x_train": inputs[:300], "y_train": labels[:300], "x_test": inputs[300:], "y_test": labels[300:]}
    np.savez(tmp_path / "points.npz", **arrays, classes=["red", "green", "blue"])
    np.savez(tmp_path / "from_one.npz", **arrays | {"y_train": labels[:300] + 1, "y_test": labels[300:] + 1})
    np.savez(tmp_path / "no_test.npz", x_train=inputs, y_train=labels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def log(run: Path) -> list[dict[str, object]]:
    """Without what a clock says."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "samples_per_second"} for line in lines]


def test_choices_are_those_of_the_library() -> None:
    """Written down where no torch is loaded."""
    assert tuple(each.value for each in Compile) == COMPILES
    assert tuple(each.value for each in Precision) == PRECISIONS
    (recipe,) = [each for each in module.command.params if each.name == "recipe_name"]
    assert isinstance(recipe, click.Option)
    assert (recipe.help or "").startswith(f"{', '.join(RECIPES)}, or a .toml file")


def test_the_help_loads_no_torch() -> None:
    code = "import sys; from resdsl.cli.train import command; from resdsl.cli.evaluate import command; from resdsl.cli.export import command; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run(folder: Path) -> None:
    result = run(*SHORT, "-o", "a", "--logger", "csv", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert re.fullmatch(
        r"a: test error \d+\.\d\d%, loss \d\.\d{4}; least \d+\.\d\d%, at iteration (22|44); a/report/report.md\n",
        result.stdout,
    )
    said = result.stderr
    assert "preact110: 75,002 parameters, 3 units, reads 1x8x8" in said
    assert "recipe     digits (our own, for try-outs on a CPU)" in said
    assert "but length 44, steps 22,33, warmup 2" in said
    assert "seed 3" in said
    assert len(re.findall(r"^ *\d+/44  epoch \d  rate", said, re.MULTILINE)) == 2
    assert {path.name for path in (folder / "a").iterdir()} >= {
        "run.json", "network.json", "normalisation.json", "log.jsonl", "log.csv", "best.safetensors", "last.safetensors", "checkpoints",
    }  # fmt: skip
    tests = [line for line in log(folder / "a") if line["kind"] == "test"]
    assert f"test error {tests[-1]['error']:.2%}" in result.stdout
    rows = list(csv.DictReader((folder / "a" / "log.csv").read_text().splitlines()))
    assert [row["iteration"] for row in rows if row["kind"] == "test"] == ["22", "44"]


def test_options_reach_the_run(folder: Path) -> None:
    result = run(
        "points.resnet", "--data", "points.npz", "-o", "a", "--batch", "30", "--epochs", "3", "--rate", "0.02",
        "--set", "nesterov=true", "--set", "decay=weights", "--accumulate", "2", "--precision", "fp64", "--keep", "1",
        "--log-every", "5", "--evaluate-every", "10", "--device", "cpu",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    said = json.loads((folder / "a" / "run.json").read_text())
    recipe, execution = said["recipe"], said["execution"]
    assert (recipe["batch"], recipe["length"], recipe["steps"]) == (30, 30, [15, 22])
    assert (recipe["rate"], recipe["nesterov"], recipe["decay"], recipe["momentum"]) == (0.02, True, "weights", 0.9)
    assert (execution["accumulate"], execution["precision"]) == (2, "fp64")
    assert said["data"]["classes"] == ["red", "green", "blue"]
    kinds = [(line["kind"], line["iteration"]) for line in log(folder / "a")]
    assert [at for kind, at in kinds if kind == "train"] == [5, 10, 15, 20, 25, 30]
    assert [at for kind, at in kinds if kind == "test"] == [10, 20, 30]
    assert len(list((folder / "a" / "checkpoints").iterdir())) == 1
    assert log(folder / "a")[-1]["error"] < 0.4, "three clouds of points are told apart better than by chance"


def test_a_recipe_from_a_file(folder: Path) -> None:
    (folder / "mine.toml").write_text('base = "digits"\nlength = 20\nsteps = [10]\nwarmup = 2\nbatch = 30\n')
    result = run("points.resnet", "--data", "points.npz", "-o", "a", "--recipe", "mine.toml", "--set", "rate=0.05")
    assert result.exit_code == 0, result.output
    assert "recipe     mine (your own, based on digits)" in result.stderr
    assert "rate 0.05, times 0.1 at 10 iterations" in result.stderr


def test_ctrl_c_and_on_again(folder: Path) -> None:
    assert run(*SHORT, "-o", "whole").exit_code == 0
    with interrupted_at(22):
        result = run(*SHORT, "-o", "a")
    assert result.exit_code == 130
    assert result.stdout == ""
    assert re.search(r"^a: saved at iteration \d+; `--resume` goes on$", result.stderr, re.MULTILINE)
    assert "Traceback" not in result.stderr
    assert not (folder / "a" / LAST).exists()
    again = run(*SHORT, "-o", "a", "--resume")
    assert again.exit_code == 0, again.output
    assert re.search(r"an epoch, from iteration \d+ on$", again.stderr, re.MULTILINE)
    require_same(folder / "whole", folder / "a")


def require_same(one: Path, other: Path) -> None:
    weights, again = load_file(one / LAST), load_file(other / LAST)
    assert weights.keys() == again.keys()
    assert all(np.array_equal(weights[name], again[name]) for name in weights)
    assert log(one) == log(other)


@pytest.mark.slow
def test_sigterm_and_on_again(folder: Path) -> None:
    assert run(*NETWORK, "--epochs", "6", "-o", "whole").exit_code == 0
    command = [sys.executable, "-m", "resdsl", "train", *NETWORK, "--epochs", "6", "-o", "a"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = [next(line for line in process.stderr if "test loss" in line)]
    process.send_signal(signal.SIGTERM)
    out, rest = process.communicate(timeout=120)
    assert process.returncode == 143, [*said, rest]
    assert out == ""
    assert re.search(r"^a: saved at iteration \d+; `--resume` goes on$", rest, re.MULTILINE)
    again = run(*NETWORK, "--epochs", "6", "-o", "a", "--resume")
    assert again.exit_code == 0, again.output
    require_same(folder / "whole", folder / "a")


def test_a_table_that_cannot_be_written_ends_no_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first line is told of, and the run comes to its end as it would without."""
    assert run(*SHORT, "-o", "whole").exit_code == 0
    begin = CsvLog.__call__

    def blocked(self: CsvLog, event: Event) -> None:
        if isinstance(event, Started):
            self.path.mkdir()
        begin(self, event)

    monkeypatch.setattr(CsvLog, "__call__", blocked)
    result = run(*SHORT, "-o", "a", "--logger", "csv")
    assert result.exit_code == 0, result.output
    said = "warning[unwritable]: a/log.csv cannot be written: Is a directory; the run goes on without it"
    assert result.stderr.count(said) == result.stderr.count("log.csv") == 1
    require_same(folder / "whole", folder / "a")


def test_of_several_processes_the_first_one_shows_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight live displays would draw over each other on the terminal that torchrun's processes share."""
    shown: list[int] = []
    progress = progress_module.progress
    monkeypatch.setattr(progress_module, "progress", lambda: shown.append(rank) or progress())
    for rank in (0, 1):
        monkeypatch.setattr(parallel, "processes", lambda place: nullcontext(Share(rank, 2)))  # noqa: B023
        assert run(*NETWORK, "--iterations", "1", "-o", f"rank{rank}").exit_code == 0
    assert shown == [0]


def test_a_run_is_made_longer_on_its_own_recipe(folder: Path) -> None:
    """Begun over another length and at another rate than its recipe has: none of it is said again."""
    assert run(*SHORT, "--rate", "0.05", "-o", "a").exit_code == 0
    before = json.loads((folder / "a" / "run.json").read_text())["recipe"]
    again = run(*NETWORK, "-o", "a", "--resume", "--set", "length=66")
    assert again.exit_code == 0, again.output
    assert "from iteration 44 on" in again.stderr
    assert json.loads((folder / "a" / "run.json").read_text())["recipe"] == before | {"length": 66}
    unchanged = run(*NETWORK, "-o", "a", "--resume")
    assert unchanged.exit_code == 0, unchanged.output
    for other, words in (("--iterations", "88"), "rate: 0.05 → 0.1"), (("--rate", "0.2"), "rate: 0.05 → 0.2"):
        refused = run(*NETWORK, "-o", "a", "--resume", *other)
        assert refused.exit_code == 1, refused.output
        assert words in refused.stderr
        assert "`--set length=N` makes it longer" in refused.stderr


def test_resuming_what_is_not_there_begins(folder: Path) -> None:
    assert run(*SHORT, "-o", "a", "--resume").exit_code == 0
    assert (folder / "a" / LAST).is_file()


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("none.resnet", "-o", "a"), 1, "error[unreadable]: there is no file none.resnet"),
        (("broken.resnet", "-o", "a"), 1, "there is no unit or operator `linaer`"),
        (("std/resnet110", "-o", "a"), 2, "error[several-networks]"),
        ((*SHORT, "-p", "n=x", "-o", "a"), 2, "-p n is given twice"),
        ((*SHORT, "-p", "m=3", "-o", "a"), 2, "preact110 has no parameter `m`"),
        ((*SHORT,), 2, "Missing option '-o'"),
        ((*SHORT, "-o", "a", "--data", "cifar10"), 2, "--data cifar10: name the folder where it lies with --root; it comes from http"),
        ((*SHORT, "-o", "a", "--data", "cifar10", "--root", "none"), 1, "there is no folder none"),
        ((*SHORT, "-o", "a", "--data", "cifar"), 2, "error[unknown-data]: there is no data set 'cifar'"),
        ((*SHORT, "-o", "a", "--data", "none.npz"), 1, "error[unreadable]: none.npz cannot be read: No such file"),
        ((*SHORT, "-o", "a", "--data", "no_test.npz"), 1, "error[incomplete-data]: no_test.npz holds no x_test, y_test"),
        (("points.resnet", "-o", "a", "--data", "from_one.npz"), 1, "from_one.npz lacks 1 of 4 classes: 0"),
        ((*SHORT, "-o", "a", "--root", "."), 1, "digits comes with scikit-learn, and lies in no folder"),
        (("points.resnet", "-o", "a"), 1, "error[wrong-data]: points reads 4, and digits has 1x8x8"),
        (("fixed.resnet", "-o", "a"), 1, "error[wrong-data]: fixed reads 3x32x32, and digits has 1x8x8\n = help: give fixed a parameter `image`, and `input image`"),
        (("image.resnet", "-o", "a", "-p", "image=1x9x9"), 1, "scene reads 1x9x9, and digits has 1x8x8\n = help: `-p image=1x8x8`"),
        (("image.resnet", "-o", "a", "--data", "points.npz"), 1, "scene reads 3x32x32, and points.npz has 4"),
        (("map.resnet", "-o", "a"), 1, "map gives 10x8x8, and a class is chosen from a vector"),
        ((*SHORT, "-o", "a", "-p", "classes=7"), 1, "preact110 tells 7 classes apart, and digits has 10\n = help: `-p classes=10`"),
        ((*SHORT, "-o", "a", "--recipe", "cifra"), 2, "error[unknown-recipe]: there is no recipe 'cifra'"),
        ((*SHORT, "-o", "a", "--recipe", "none.toml"), 1, "there is no file none.toml"),
        ((*SHORT, "-o", "a", "--set", "ratee=1"), 2, "--set: a recipe has no field `ratee`; did you mean `rate`?"),
        ((*SHORT, "-o", "a", "--set", "rate"), 2, "--set takes KEY=VALUE, not 'rate'"),
        ((*SHORT, "-o", "a", "--set", "rate=1", "--set", "rate=2"), 2, "--set rate is given twice"),
        ((*SHORT, "-o", "a", "--set", "batch=1", "--batch", "2"), 2, "--batch and --set batch: one of them"),
        ((*SHORT, "-o", "a", "--set", "length=10"), 2, "--set length: --iterations and --epochs say how long"),
        ((*NETWORK, "-o", "a", "--set", "length=10"), 2, "the step at 200 comes after the end, 10 iterations"),
        ((*SHORT, "-o", "a", "--epochs", "3"), 2, "--iterations and --epochs: one of them says how long"),
        ((*SHORT, "-o", "a", "--rate", "0"), 2, "`rate` is 0, and a rate is above 0"),
        ((*SHORT, "-o", "a", "--rate", "nan"), 2, "`rate` is nan"),
        ((*SHORT, "-o", "a", "--batch", "0"), 2, "`batch` is 0, and a step takes one sample at least"),
        ((*SHORT, "-o", "a", "--batch", "many"), 2, "`batch` is 'many', and is to be a whole number"),
        ((*SHORT, "-o", "a", "--batch", "4000"), 1, "fewer than one batch of 4,000"),
        ((*SHORT, "-o", "a", "--accumulate", "7"), 1, "error[wrong-batch]: a batch of 64 is not divided by one process with 7 parts"),
        ((*SHORT, "-o", "a", "--device", "tpu"), 2, "--device: 'tpu' is none of cpu, cuda, cuda:N"),
        ((*SHORT, "-o", "a", "--device", "cuda:99"), 2, "error[unsupported-option]: --device cuda:99: PyTorch finds"),
        ((*SHORT, "-o", "a", "--device", "cpu", "--graph"), 2, "--graph: there are CUDA graphs on NVIDIA GPUs alone"),
        ((*SHORT, "-o", "a", "--device", "cpu", "--precision", "tf32"), 2, "--precision tf32"),
        ((*SHORT, "-o", "a", "--precision", "fp8"), 2, "'fp8' is not one of"),
        ((*SHORT, "-o", "a", "--import-root", "none"), 2, "--import-root none is no folder"),
        ((*SHORT, "-o", "points.npz"), 1, "error[unwritable]: points.npz cannot be"),
        ((*SHORT, "-o", "points.npz/a"), 1, "error[unwritable]: points.npz/a cannot be"),
        ((*SHORT, "-o", "."), 1, "error[run-exists]: . is not empty"),
    ],
    ids=lambda value: " ".join(value)[-60:] if isinstance(value, tuple) else None,
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_is_begun(
    folder: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    before = sorted(folder.rglob("*"))
    result = run(*arguments)
    assert words in result.stderr
    assert (result.exit_code, result.stdout) == (code, "")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    folder.chmod(0o500)
    try:
        result = run(*SHORT, "-o", "a")
    finally:
        folder.chmod(0o700)
    assert (result.exit_code, "error[unwritable]" in result.stderr) == (1, True)


def test_a_run_that_is_there(folder: Path) -> None:
    assert run(*SHORT, "-o", "a").exit_code == 0
    before = {path: path.read_bytes() for path in (folder / "a").rglob("*") if path.is_file()}
    result = run(*SHORT, "-o", "a")
    assert result.exit_code == 1
    assert "error[run-exists]: a holds a run\n = help: `--resume` goes on with it" in result.stderr
    for other, words in (
        (("std/resnet110", "--network", "resnet110", "-p", "n=1", "--iterations", "44"), "network"),
        ((*NETWORK, "-p", "classes=10", "-p", "placement=post", "--iterations", "44"), ""),
        ((*SHORT, "--rate", "0.2"), "rate"),
        ((*SHORT, "--seed", "1"), "seed"),
    ):
        result = run(*other, "-o", "a", "--resume")
        assert result.exit_code in (1, 2), result.output
        assert words in result.stderr
        assert {path: path.read_bytes() for path in before} == before


class WithoutSklearn:
    """As where it is not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "sklearn":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_libraries_that_are_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    result = run(*SHORT, "-o", "a")
    assert result.exit_code == 1
    assert "error[missing-library]: training needs PyTorch, which is not installed\n = help: pip install 'resdsl[train]'" in result.stderr  # fmt: skip
    monkeypatch.setattr(importlib.util, "find_spec", find)
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [WithoutSklearn(), *sys.meta_path])
    result = run(*SHORT, "-o", "a")
    assert result.exit_code == 1
    assert "error[missing-library]: digits come with scikit-learn, which is not installed" in result.stderr
    assert not (folder / "a").exists()
