"""A whole run: what is told while it lasts, and data of every kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.compute.execution import Wanted
from resdsl.train.recipe import Normalise
from resdsl.train.run.events import Evaluated, Event, Logged, Saved, Started
from resdsl.train.run.fit import fit
from resdsl.train.run.loop import Intervals
from tests.train.tries import RECIPE, SPEC, attempt, left_by, stopped_after


def test_events_come_in_order(tmp_path: Path) -> None:
    events: list[Event] = []
    result = attempt(tmp_path / "run", listener=events.append)
    said = [
        (type(event).__name__, event.iteration)
        for event in events
        if isinstance(event, Started | Logged | Evaluated | Saved)
    ]
    lines = [("Logged", at) for at in (3, 6, 9, 12, 13)]
    tests = [(kind, at) for at in (5, 10, 13) for kind in ("Evaluated", "Saved")]
    assert said == [("Started", 0), *sorted([*lines, *tests], key=lambda event: (event[1], event[0] != "Logged"))]
    assert [event.epoch for event in events if isinstance(event, Logged)] == [0, 1, 1, 2, 2]
    assert result.history == tuple(event for event in events if isinstance(event, Logged | Evaluated))
    assert result.score is not None
    assert result.score.error == result.history[-1].error
    assert all(event.samples_per_second > 0 for event in events if isinstance(event, Logged))


def test_lines_are_means_over_their_steps(tmp_path: Path) -> None:
    """Of lines of one step each."""
    events = attempt(tmp_path / "each", intervals=Intervals(1, 100)).history
    each = {event.iteration: event for event in events if isinstance(event, Logged)}
    for event in attempt(tmp_path / "run", intervals=Intervals(4, 100)).history:
        if isinstance(event, Logged):
            steps = [each[at] for at in range((event.iteration - 1) // 4 * 4 + 1, event.iteration + 1)]
            assert event.loss == pytest.approx(np.mean([step.loss for step in steps]), rel=1e-6)
            assert event.error == pytest.approx(np.mean([step.error for step in steps]))


def test_images_in_folders(tmp_path: Path) -> None:
    """Read by worker processes or by this one, and resumed in the middle of an epoch: the same."""
    image = pytest.importorskip("PIL.Image", reason="pillow reads images")
    draw = np.random.default_rng(0)
    for split, count in (("train", 9), ("val", 3)):
        for name in ("cat", "dog"):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (10 + number, 14, 3), np.uint8)
                image.fromarray(pixels).save(tmp_path / "data" / split / name / f"{number}.png")
    recipe = replace(RECIPE, batch=4, length=7, steps=(), normalise=Normalise.CHANNEL, pad=0)

    def train(name: str, workers: int, *, resume: bool = False) -> None:
        fit(
            SPEC, recipe, "imagenet", root=tmp_path / "data", run=tmp_path / name, device="cpu", resume=resume, workers=workers,
            intervals=Intervals(2, 4),
        )  # fmt: skip

    train("whole", 0)
    with stopped_after(3):
        train("run", 0)
    train("run", 2, resume=True)
    assert left_by(tmp_path / "run") == left_by(tmp_path / "whole")


def test_what_cannot_be_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="wrong-batch"):
        attempt(tmp_path / "run", wanted=Wanted(accumulate=3))
    with pytest.raises(SpecError, match="unknown-data"):
        fit(SPEC, RECIPE, "cifar11", run=tmp_path / "run", device="cpu")
    with pytest.raises(SpecError, match="unknown-recipe"):
        fit(SPEC, "cifar11", "digits", run=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
