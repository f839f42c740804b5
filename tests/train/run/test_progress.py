"""What a run says while it lasts, on a terminal and elsewhere; and its logs for other programs."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from resdsl.diagnostics import Diagnostic, Severity, SpecError, fail
from resdsl.train.compute.execution import Execution
from resdsl.train.data.dataset import Arrays, Split
from resdsl.train.recipe import CIFAR, Recipe, with_length
from resdsl.train.run import log
from resdsl.train.run.csv_log import CsvLog
from resdsl.train.run.events import Evaluated, Event, Logged, Noticed, Saved, Started
from resdsl.train.run.progress import Bar, Lines, introduction, left, progress
from resdsl.train.run.side_log import SideLog
from resdsl.train.run.tensorboard import TensorBoard
from resdsl.train.setup import setup

SPEC = "resnet 1\nnetwork small(classes = 2) { input 3 head linear(classes) }\n"
SHORT = with_length(CIFAR, 1000)
LOGGED = Logged(iteration=250, epoch=1, rate=0.1, loss=0.5, error=0.25, samples_per_second=64.0)
EVALUATED = Evaluated(iteration=250, epoch=1, loss=0.75, error=0.125, is_best=True)


def started(recipe: Recipe = SHORT, run: Path = Path("runs/a"), iteration: int = 0) -> Started:
    split = Split(np.random.default_rng(0).random((1280, 3), np.float32), np.arange(1280) % 2)
    data = Arrays("points", split, Split(split.inputs[:10], split.labels[:10]), ("yes", "no"))
    made = setup(SPEC, replace(recipe, normalise=CIFAR.normalise), data, seed=7)
    return Started(made, Execution(reasons=("compile none: a try-out",)), run, iteration)


def test_what_is_trained_is_said() -> None:
    assert introduction(started()) == [
        "small: 8 parameters, 0 units, reads 3",
        "  data       points: 1,280 to train on, 10 to test with, 2 classes",
        "  recipe     cifar (He et al. 2016, Identity Mappings, section 3 and appendix)",
        "             but length 1000, steps 500,750, warmup 6",
        "             rate 0.1, times 0.1 at 500, 750 iterations, 0.01 for the first 6 iterations; momentum 0.9",
        "             weight decay 0.0001 on all; batch 128",
        "  length     1,000 iterations of 128, 10 an epoch",
        "  execution  compile none, fp32",
        "             compile none: a try-out",
        "  run        runs/a, seed 7",
    ]


def test_recipes_that_are_nobody_elses_and_runs_that_go_on() -> None:
    own = replace(with_length(CIFAR, 1000), name="mine", source="your own", steps=(), warmup=0, nesterov=True)
    lines = introduction(started(own, iteration=250))
    assert lines[2:5] == [
        "  recipe     mine (your own)",
        "             rate 0.1; momentum 0.9 (Nesterov)",
        "             weight decay 0.0001 on all; batch 128",
    ]
    assert lines[5].endswith("10 an epoch, from iteration 250 on")


def test_a_line_for_each_evaluation() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    notice = Diagnostic("run-extended", "longer", severity=Severity.WARNING)
    for event in (started(), Noticed(notice), LOGGED, EVALUATED, Saved(250, Path("x"))):
        lines(event)
    assert said[0].startswith("small: ")
    assert said[1] == "warning[run-extended]: longer"
    assert said[2:] == [
        "  250/1,000  epoch 1  rate 0.1  training loss 0.5000, error 25.00%  "
        "test loss 0.7500, error 12.50% (best)  64 samples/s  25:00 left"
    ]
    last = replace(EVALUATED, iteration=1000, is_best=False)
    for event in (replace(LOGGED, iteration=1000), last):
        lines(event)
    assert said[-1].endswith("test loss 0.7500, error 12.50%  64 samples/s")


@pytest.mark.parametrize(("speed", "text"), [(64.0, "25:00"), (6.4, "4:10:00"), (1e9, "0:00"), (0.0, "0:00")])
def test_the_time_that_is_left(speed: float, text: str) -> None:
    """750 iterations of 128 samples are 96,000."""
    assert left(started().setup, replace(LOGGED, samples_per_second=speed)) == text


def test_a_bar_on_a_terminal() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=160)
    with Progress("{task.completed:.0f}/{task.total:.0f} {task.description}", console=console) as bars:
        bar = Bar(bars)
        for event in (started(iteration=100), LOGGED, EVALUATED):
            bar(event)
        (task,) = bars.tasks
        assert (task.completed, task.total) == (250, 1000)
        assert task.description == "loss 0.5000  error 25.00%  rate 0.1  64 samples/s  25:00 left"
    assert "test loss 0.7500, error 12.50% (best)" in stream.getvalue()


def test_lines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert not sys.stderr.isatty()
    with progress() as shown:
        shown(started())
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0]) == ("", "small: 8 parameters, 0 units, reads 3")


def table(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "log.csv").read_text().splitlines()))


def test_a_table_that_is_taken_up_again(tmp_path: Path) -> None:
    later = replace(LOGGED, iteration=500)
    for event in (LOGGED, EVALUATED):
        log.append(tmp_path, event)
    listener = CsvLog(tmp_path)
    for event in (started(run=tmp_path), LOGGED, EVALUATED, later, Saved(500, tmp_path)):
        listener(event)
    rows = table(tmp_path)
    assert [(row["kind"], row["iteration"]) for row in rows] == [("train", "250"), ("test", "250"), ("train", "500")]
    assert rows[0] | {"samples_per_second": "64.0", "rate": "0.1", "is_best": ""} == rows[0]
    assert rows[1] | {"rate": "", "error": "0.125", "is_best": "True"} == rows[1]
    CsvLog(tmp_path)(started(run=tmp_path, iteration=250))
    assert table(tmp_path) == rows[:2], "what came after the checkpoint is repeated"


def test_a_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.csv").mkdir()
    with pytest.raises(SpecError, match=r"log\.csv cannot be written: Is a directory"):
        CsvLog(tmp_path)(LOGGED)


def test_curves_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    listener = TensorBoard(tmp_path)
    for event in (started(run=tmp_path), LOGGED, EVALUATED):
        listener(event)
    (file,) = (tmp_path / "tensorboard").iterdir()
    found = {
        value.tag: (event.step, value.tensor.float_val[0])
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
    }
    assert found == {
        "train/loss": (250, 0.5),
        "train/error": (250, 0.25),
        "run/rate": (250, pytest.approx(0.1)),
        "run/samples_per_second": (250, 64.0),
        "test/loss": (250, 0.75),
        "test/error": (250, 0.125),
    }


def test_curves_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(SpecError, match="tensorboard cannot be written: File exists"):
        TensorBoard(tmp_path)(started(run=tmp_path))


def test_a_log_that_fails_is_told_once_and_left_out() -> None:
    asked: list[Event] = []
    told: list[Event] = []

    def failing(event: Event) -> None:
        asked.append(event)
        if len(asked) == 2:
            raise fail("unwritable", "a/log.csv cannot be written: No space left on device")

    listener = SideLog(failing, told.append)
    for event in (started(), LOGGED, EVALUATED, LOGGED):
        listener(event)
    assert asked[1:] == [LOGGED]
    (noticed,) = told
    assert isinstance(noticed, Noticed)
    assert noticed.diagnostic.severity is Severity.WARNING
    expected = "a/log.csv cannot be written: No space left on device; the run goes on without it"
    assert noticed.diagnostic.message == expected


def test_tensorboard_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(SpecError) as caught:
        TensorBoard(tmp_path)
    assert caught.value.diagnostics[0].help == "pip install 'resdsl[tensorboard]'"


def test_the_log_is_json_lines(tmp_path: Path) -> None:
    for event in (started(), LOGGED, EVALUATED):
        log.append(tmp_path, event)
    kinds = [json.loads(line)["kind"] for line in (tmp_path / log.NAME).read_text().splitlines()]
    assert kinds == ["train", "test"]
