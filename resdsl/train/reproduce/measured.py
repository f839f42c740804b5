"""A table as it was measured here: figures by row and seed, and in what they differ from the paper's setting."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from resdsl.train.recipe import CIFAR, RECIPES, Recipe, with_length
from resdsl.train.recipe_file import differences
from resdsl.train.reproduce.outcome import Outcome, percent
from resdsl.train.reproduce.plan import Plan, Row, Trial
from resdsl.train.reproduce.tables import SEEDS
from resdsl.train.run.folder import about

TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet": "ImageNet"}
PAPERS_PRECISION = "fp32"
PAPERS_SHARE = 64
"""Samples that a norm of the paper computes mean and variance of: half of the batch, on each of two GPUs."""


@dataclass(frozen=True, slots=True)
class Line:
    """outcomes: by seed, None for a run that is not at its end."""

    row: Row
    outcomes: Mapping[int, Outcome | None]

    @property
    def errors(self) -> list[float]:
        """In %, of the runs at their end, by seed; infinite for those that diverged."""
        return [percent(outcome) for outcome in self.outcomes.values() if outcome is not None]

    @property
    def median(self) -> float | None:
        """In %; None before any run is at its end. A run that diverged counts as an infinite error."""
        return statistics.median(self.errors) if self.errors else None


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """differences: from the paper's setting, a sentence each. is_papers: none of them is in data, depth or recipe."""

    plan: Plan
    data: str
    recipe: Recipe
    lines: tuple[Line, ...]
    differences: tuple[str, ...]
    is_papers: bool

    @property
    def missing(self) -> int:
        """Runs that are not at their end."""
        return sum(outcome is None for line in self.lines for outcome in line.outcomes.values())


def measurement(plan: Plan, data: str, recipe: Recipe, outcomes: Mapping[Trial, Outcome]) -> Measurement:
    """data: the name of the data set."""
    lines = tuple(
        Line(row, {trial.seed: outcomes.get(trial) for trial in plan.trials if trial.row == row}) for row in plan.rows
    )
    computed = [_computed(trial) for trial in outcomes]
    setting = _setting(plan, data, recipe)
    return Measurement(plan, data, recipe, lines, (*setting, *_ways(plan, recipe, computed)), not setting)


def title(data: str) -> str:
    """Of a data set, as papers write it."""
    return TITLES.get(data, data)


@dataclass(frozen=True, slots=True)
class _Computed:
    """How a run was. parts: of a batch, each with norms of its own."""

    precision: str
    parts: int


def _computed(trial: Trial) -> _Computed:
    said = about(trial.run)
    execution = said.get("execution", {})
    processes = 1 if execution.get("sync_norm", False) else said.get("processes", 1)
    return _Computed(execution.get("precision", PAPERS_PRECISION), processes * execution.get("accumulate", 1))


def _setting(plan: Plan, data: str, recipe: Recipe) -> list[str]:
    papers = sorted({title(row.variant.data) for row in plan.rows})
    found: list[str] = []
    if title(data) not in papers:
        found.append(f"The data are {title(data)}, not {_listed(papers)}.")
    here = sorted({row.layers for row in plan.rows if row.layers != row.variant.layers})
    if here:
        there = sorted({row.variant.layers for row in plan.rows})
        found.append(f"The networks have {_listed(map(str, here))} layers, not {_listed(map(str, there))}.")
    if plan.same:
        found.append(
            f"At this depth {_listed(plan.same)} would be networks that stand in the table already: they are left out."
        )
    return found if recipe == CIFAR else [*found, _recipe(recipe)]


def _ways(plan: Plan, recipe: Recipe, computed: Sequence[_Computed]) -> list[str]:
    """How the same setting was measured."""
    found: list[str] = []
    if len(plan.seeds) != SEEDS:
        seeds = "One seed was" if len(plan.seeds) == 1 else f"{len(plan.seeds)} seeds were"
        found.append(f"{seeds} trained, not {SEEDS}.")
    others = sorted({each.precision for each in computed} - {PAPERS_PRECISION})
    if others:
        found.append(f"Activations and gradients were computed in {_listed(others)}, not in {PAPERS_PRECISION}.")
    shares = sorted({recipe.batch // each.parts for each in computed})
    if any(share != PAPERS_SHARE for share in shares):
        saw = _listed(f"{share} of {recipe.batch}" for share in shares)
        papers = f"{PAPERS_SHARE} of {CIFAR.batch}, on each of two GPUs"
        found.append(f"Batch norms saw {saw} samples at a time, the paper's saw {papers}.")
    return found


def _recipe(recipe: Recipe) -> str:
    """What is another length alone is said as that."""
    length = f"{recipe.length:,} {recipe.unit.value}"
    if recipe == with_length(CIFAR, recipe.length):
        return f"Training lasted {length}, not {CIFAR.length:,} {CIFAR.unit.value}."
    base = RECIPES.get(recipe.name)
    changed = differences(recipe, with_length(base, recipe.length)) if base is not None else {}
    words = f" with {_listed(f'{name} {value}' for name, value in changed.items())}" if changed else ""
    papers = f"{CIFAR.length:,} {CIFAR.unit.value} of {CIFAR.batch} samples"
    return f"The recipe is {recipe.name}{words}, {length} of {recipe.batch} samples, not the paper's {papers}."


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
