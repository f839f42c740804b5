"""A whole run: what is told while it lasts, and data of every kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from resdsl.diagnostics import SpecError
from resdsl.train.compute.execution import Wanted
from resdsl.train.data.dataset import Arrays, Split
from resdsl.train.recipe import Normalise
from resdsl.train.run.events import Evaluated, Event, Logged, Saved, Started
from resdsl.train.run.fit import fit
from resdsl.train.run.loop import Intervals
from tests.train.tries import RECIPE, SPEC, attempt, data, left_by, shorter, stopped_after


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
    assert [event.epoch for event in events if isinstance(event, Logged)] == [1, 2, 2, 3, 3]
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


@pytest.mark.parametrize(
    ("channels_last", "layout"),
    [(False, torch.contiguous_format), (True, torch.channels_last), (None, torch.channels_last)],
)
def test_activations_lie_in_memory_as_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels_last: bool | None, layout: torch.memory_format
) -> None:
    """In training and evaluation, before and behind each convolution."""
    seen: list[torch.Tensor] = []
    forward = nn.Conv2d.forward

    def watched(self: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        y = forward(self, x)
        seen.extend((x, self.weight, y))
        return y

    monkeypatch.setattr(nn.Conv2d, "forward", watched)
    result = attempt(tmp_path / "run", recipe=replace(shorter(3), steps=()), wanted=Wanted(channels_last=channels_last))
    assert result.execution.layout is layout
    assert len(seen) > 3 * 5 * 3
    assert all(tensor.is_contiguous(memory_format=layout) for tensor in seen)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "'gpu' is none of cpu, cuda, cuda:N"),
        ("cuda", "PyTorch finds no GPU here"),
        (torch.device("cuda", 0), "no GPU"),
    ],
)
def test_devices_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str | torch.device, message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(SpecError, match=message):
        fit(SPEC, RECIPE, data(), run=tmp_path / "run", device=device)
    assert not (tmp_path / "run").exists()


VECTORS = "resnet 1\nnetwork n { input 4 stage 1 * u head linear(3) }\nunit u { branch bn -> relu -> linear(4) shortcut identity }\n"


@pytest.mark.parametrize(
    ("batch", "parts", "help"),
    [
        (1, 1, "`--batch 2` or more"),
        (8, 8, "`--accumulate 4` or fewer parts"),
        (9, 9, "`--accumulate 3` or fewer parts"),
    ],
)
def test_norms_of_one_value_are_refused(tmp_path: Path, batch: int, parts: int, help: str) -> None:
    draw = np.random.default_rng(0)
    split = Split(draw.random((18, 4), np.float32), np.arange(18) % 3)
    points = Arrays("points", split, split, tuple("abc"))
    recipe = replace(shorter(2), batch=batch, steps=(), warmup=0, pad=0, flip=False)
    with pytest.raises(SpecError, match="a batch norm of n sees one value of each channel at a time") as caught:
        attempt(tmp_path / "run", VECTORS, recipe, of=points, wanted=Wanted(accumulate=parts))
    assert (caught.value.diagnostics[0].code, caught.value.diagnostics[0].help.startswith(help)) == (
        "wrong-batch",
        True,
    )
    assert not (tmp_path / "run").exists()
    few = int(caught.value.diagnostics[0].help.split("`")[1].split()[1])
    wanted, recipe = (Wanted(accumulate=few), recipe) if batch > 1 else (Wanted(), replace(recipe, batch=few))
    assert attempt(tmp_path / "run", VECTORS, recipe, of=points, wanted=wanted).finished
    without = VECTORS.replace("bn -> ", "")
    assert attempt(tmp_path / "none", without, replace(recipe, batch=1), of=points).finished


def test_norms_of_images_take_one_sample(tmp_path: Path) -> None:
    assert attempt(tmp_path / "run", recipe=replace(shorter(2), batch=1, steps=())).finished


def test_what_cannot_be_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="wrong-batch"):
        attempt(tmp_path / "run", wanted=Wanted(accumulate=3))
    with pytest.raises(SpecError, match="unknown-data"):
        fit(SPEC, RECIPE, "cifar11", run=tmp_path / "run", device="cpu")
    with pytest.raises(SpecError, match="unknown-recipe"):
        fit(SPEC, "cifar11", "digits", run=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
