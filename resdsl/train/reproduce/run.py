"""Trains one run of a plan, or reads what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from resdsl.diagnostics import SpecError
from resdsl.recorded import Recorded
from resdsl.train.compute.execution import Wanted
from resdsl.train.data.dataset import Dataset
from resdsl.train.data.normalisation import normalisation
from resdsl.train.recipe import Recipe
from resdsl.train.reproduce.outcome import Diverged, Measured, Outcome, remember, remembered
from resdsl.train.reproduce.plan import Trial
from resdsl.train.run.events import Event
from resdsl.train.run.fit import fit
from resdsl.train.run.folder import NAME, require_same
from resdsl.train.setup import setup

DIVERGED = "diverged"
"""The code of fit's error where numbers are not finite."""


@dataclass(frozen=True, eq=False)
class How:
    """What all runs have in common. device: None for the default."""

    recipe: Recipe
    data: Dataset
    wanted: Wanted = Wanted()
    device: str | None = None

    @cached_property
    def by(self) -> Recorded:
        """Measured once: a second of work on CIFAR."""
        return normalisation(self.data, self.recipe.normalise)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A signal ended the run before its end, and it is saved."""

    signal: int


def outcome_of(trial: Trial, how: How) -> Outcome | None:
    """What became of the run; None if it is not at its end. Raises SpecError if there is another run in its folder."""
    if not (trial.run / NAME).is_file():
        return None
    variant = trial.row.variant
    made = setup(
        variant.spec,
        how.recipe,
        how.data,
        network=variant.network,
        parameters={"n": trial.row.n},
        seed=trial.seed,
        by=how.by,
    )
    is_other_length = require_same(trial.run, made)
    outcome = remembered(trial.run)
    if is_other_length or (isinstance(outcome, Measured) and outcome.iteration != made.schedule.iterations):
        return None
    return outcome


def train(trial: Trial, how: How, listener: Callable[[Event], None] | None = None) -> Outcome | Interrupted:
    """Trains the run to its end, from where it stands, and remembers what became of it. Raises SpecError for what is no fault of the
    network's.
    """
    variant = trial.row.variant
    try:
        result = fit(
            variant.spec,
            how.recipe,
            how.data,
            run=trial.run,
            network=variant.network,
            parameters={"n": trial.row.n},
            seed=trial.seed,
            wanted=how.wanted,
            device=how.device,
            resume=True,
            listener=listener,
        )
    except SpecError as error:
        if any(each.code != DIVERGED for each in error.diagnostics):
            raise
        outcome = Diverged(error.diagnostics[0].message)
        remember(trial.run, outcome)
        return outcome
    if result.score is None:
        return Interrupted(result.signal or 0)
    error = result.score.error
    outcome = Measured(result.iteration, error, error if result.best is None else result.best.error)
    remember(trial.run, outcome)
    return outcome
