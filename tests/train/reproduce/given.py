"""Data and plans of the tests: small enough to train in a second."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from resdsl.train.data.dataset import Arrays, Split
from resdsl.train.recipe import DIGITS
from resdsl.train.reproduce.outcome import Outcome
from resdsl.train.reproduce.plan import Plan, plan
from resdsl.train.reproduce.run import How
from resdsl.train.reproduce.tables import TABLES

RECIPE = replace(DIGITS, batch=16, length=6, steps=(3, 5), warmup=1)


def data() -> Arrays:
    """Two classes that differ in brightness, 8x8."""
    numbers = np.random.default_rng(0)

    def split(size: int) -> Split:
        labels = np.arange(size) % 2
        images = numbers.integers(0, 100, (size, 1, 8, 8)) + 100 * labels[:, None, None, None]
        return Split(images.astype(np.uint8), labels.astype(np.int64))

    return Arrays("given", split(64), split(20), ("dark", "bright"))


def write_npz(path: Path) -> Path:
    """The same data as a file."""
    given = data()
    splits = {"train": given.train, "test": given.test}
    arrays = {f"{name}_{kind}": getattr(split, kind) for name, split in splits.items() for kind in ("inputs", "labels")}
    np.savez(path, **arrays)
    return path


def how(length: int = 6) -> How:
    return How(replace(RECIPE, length=length), data(), device="cpu")


def small_plan(folder: Path, *, seeds: tuple[int, ...] = (0,), only: tuple[str, ...] = ("resnet110", "plain110"), table: str = "table1") -> Plan:  # fmt: skip
    return plan(TABLES[table], "given", folder, seeds=seeds, layers=8, only=only)


def as_if_trained(
    given: Plan, outcomes: dict[tuple[str, int], Outcome], processes: int = 1, **execution: object
) -> dict[object, Outcome]:
    """Runs that nobody trained: outcomes by variant and seed, with the folders that say how: in one process in float32, batches in two
    halves, unless `execution` has it otherwise.
    """
    said = {"precision": "fp32", "accumulate": 2, "sync_norm": False} | execution
    found: dict[object, Outcome] = {}
    for trial in given.trials:
        outcome = outcomes.get((trial.row.variant.name, trial.seed))
        if outcome is not None:
            trial.run.mkdir(parents=True)
            about = json.dumps({"execution": said, "processes": processes})
            (trial.run / "run.json").write_text(about, encoding="utf-8")
            found[trial] = outcome
    return found
