"""Small runs that take a fraction of a second, and what is compared of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from resdsl.train.compute.execution import Wanted
from resdsl.train.data.dataset import Arrays, Split
from resdsl.train.recipe import Recipe, Unit
from resdsl.train.run.events import Event
from resdsl.train.run.fit import Result, fit
from resdsl.train.run.folder import BEST, LAST
from resdsl.train.run.loop import Intervals

RECIPE = Recipe(
    name="small", source="of a test", batch=8, unit=Unit.ITERATIONS, length=13, steps=(7, 10), warmup=2, nesterov=True, pad=1
)  # fmt: skip
INTERVALS = Intervals(log=3, evaluate=5)
"""The epoch has 5 batches, and leaves two samples out: lines, evaluations and epochs end at different steps."""
SPEC = """resnet 1
unit shaky(width, stride = 1) {
    branch     conv(3x3, width, stride) -> bn -> relu -> dropout(0.2) -> conv(3x3, width) -> bn -> drop_path(0.3)
    shortcut   identity
    projection conv(1x1)
}
network small(classes = 10) {
    input 3x8x8
    stem  conv(3x3, 4) -> bn -> relu
    stage 2 * shaky(4)
    stage 1 * shaky(6) first(stride = 2)
    head  relu -> avgpool -> linear(classes)
}
"""


def data(samples: int = 42, seed: int = 0) -> Arrays:
    draw = np.random.default_rng(seed)

    def split(samples: int) -> Split:
        return Split(draw.integers(0, 256, (samples, 3, 8, 8), np.uint8), draw.integers(0, 10, samples))

    return Arrays("noise", split(samples), split(13), tuple("abcdefghij"))


def attempt(
    run: Path,
    spec: str = SPEC,
    recipe: Recipe = RECIPE,
    *,
    resume: bool = False,
    intervals: Intervals = INTERVALS,
    listener: Callable[[Event], None] | None = None,
    wanted: Wanted = Wanted(),
    seed: int = 5,
    of: Arrays | None = None,
) -> Result:
    return fit(
        spec,
        recipe,
        of or data(),
        run=run,
        resume=resume,
        intervals=intervals,
        listener=listener,
        wanted=wanted,
        seed=seed,
        device="cpu",
    )


class Counted:
    """Stands for signals: stops after so many steps."""

    signal: int | None = None

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0

    def alone(self) -> bool:
        return False


@contextmanager
def stopped_after(steps: int) -> Generator[None]:
    """Runs that begin inside end after so many steps."""

    @contextmanager
    def stopping() -> Generator[Counted]:
        yield Counted(steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[fit.__module__], "stopping", stopping)
        yield


def left_by(run: Path) -> dict[str, Any]:
    """All that two runs of one setup have alike, bit for bit: tensors as bytes, lines of the log without speeds."""
    files = sorted([*(run / "checkpoints").iterdir(), run / BEST, *([run / LAST] if (run / LAST).exists() else [])])
    tensors = {
        (path.name, name): (array.dtype.str, array.shape, array.tobytes())
        for path in files
        for name, array in load_file(path).items()
    }
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("samples_per_second", None)
    return {"tensors": tensors, "log": lines}


def shorter(length: int) -> Recipe:
    return replace(RECIPE, length=length)
