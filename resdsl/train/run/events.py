"""What happens in a run, for those who watch it and for its log."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from resdsl.diagnostics import Diagnostic
from resdsl.train.compute.execution import Execution
from resdsl.train.setup import Setup


@dataclass(frozen=True, slots=True, eq=False)
class Started:
    """The run's folder stands, and training begins. iteration: steps that were done before, of a run that is resumed."""

    setup: Setup = field(repr=False)
    execution: Execution
    run: Path
    iteration: int


@dataclass(frozen=True, slots=True)
class Logged:
    """Means over the steps since the last one. iteration: steps done. epoch: of the last step, from 1. rate: its learning
    rate. loss: cross-entropy. error: share of wrong answers, 0 to 1. samples_per_second: of all processes together.
    """

    iteration: int
    epoch: int
    rate: float
    loss: float
    error: float
    samples_per_second: float


@dataclass(frozen=True, slots=True)
class Evaluated:
    """On the whole test set, after `iteration` steps. is_best: less error than ever before in this run."""

    iteration: int
    epoch: int
    loss: float
    error: float
    is_best: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint stands."""

    iteration: int
    path: Path


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that a person should know, and that does not end the run."""

    diagnostic: Diagnostic


Event: TypeAlias = Started | Noticed | Logged | Evaluated | Saved
