"""What a run's folder and its score say."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resdsl import spec
from resdsl.diagnostics import fail
from resdsl.network.costs import Summary, summarise
from resdsl.train.compute.score import Score
from resdsl.train.run import log
from resdsl.train.run.events import Evaluated, Logged
from resdsl.train.run.folder import NETWORK, about


@dataclass(frozen=True, slots=True)
class Final:
    """On the test set, at the end. error: share of wrong answers, 0 to 1."""

    iteration: int
    loss: float
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """about: what run.json says. trained, tested: the lines of the log. score: of the last weights; None if there is none."""

    about: Mapping[str, Any]
    network: Summary
    trained: tuple[Logged, ...]
    tested: tuple[Evaluated, ...]
    score: Score | None

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.about["data"]["classes"])

    @property
    def iteration(self) -> int:
        """The last that was logged; 0 in a run that logged nothing."""
        return max((event.iteration for event in (*self.trained, *self.tested)), default=0)

    @property
    def final(self) -> Final | None:
        """The score; without one, the last evaluation of the log. None in a run that was never evaluated."""
        if self.score is not None:
            return Final(self.iteration, self.score.loss, self.score.error)
        if self.tested:
            return Final(self.tested[-1].iteration, self.tested[-1].loss, self.tested[-1].error)
        return None

    @property
    def best(self) -> Evaluated | None:
        """The first of those with the least error."""
        return min(self.tested, key=lambda event: event.error, default=None)

    @property
    def seconds(self) -> float:
        """That steps took at the speeds of the log's lines: without evaluations and checkpoints, and without what the log leaves out
        of a speed, as compiling.
        """
        total, before = 0.0, 0
        for event in self.trained:
            total += (event.iteration - before) * self.about["recipe"]["batch"] / event.samples_per_second
            before = event.iteration
        return total

    @property
    def samples_per_second(self) -> float | None:
        """The median of the log's lines, which the first steps, slow everywhere, do not move."""
        return statistics.median(event.samples_per_second for event in self.trained) if self.trained else None


def facts(run: Path, score: Score | None) -> Facts:
    """Raises SpecError if there is no run in the folder, or the score is over other classes than it has."""
    said = about(run)
    history = log.history(run)
    if score is not None and len(score.confusion) != len(said["data"]["classes"]):
        message = (
            f"a score over {len(score.confusion)} classes, and the run in {run} has {len(said['data']['classes'])}"
        )
        raise fail("other-run", message)
    return Facts(
        said,
        summarise(spec.build(str(run / NETWORK))),
        tuple(event for event in history if isinstance(event, Logged)),
        tuple(event for event in history if isinstance(event, Evaluated)),
        score,
    )
