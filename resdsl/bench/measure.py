"""How long calls take beside each other.

Calls are timed in rounds, each call in each round, so that a machine that grows slower or faster does so for all of them, and two calls
are compared round by round. What is called is no matter here: ONNX Runtime and PyTorch are timed by the same code.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

SECONDS = 2.0
"""For each cell, unless told otherwise."""
ROUNDS = range(5, 26)
"""How many rounds there may be where no number is asked for."""
WARM_UP_CALLS = 3
"""The first makes what is kept, the second lays out memory by what it saw."""
SHORT = 0.05
"""Seconds. A call that takes less is made a few times before it is timed, for SETTLING seconds: what ran before it leaves the
caches, and threads that still wait busily for its work, PyTorch's for 5 ms, go to sleep."""
SETTLING = 0.01


@dataclass(frozen=True, slots=True)
class Cell:
    """Something to time. call: computes `samples` samples, to their end."""

    name: str
    samples: int
    call: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """What was measured of a cell. rounds: of each round the median of its `calls` calls, in seconds a call."""

    cell: Cell
    calls: int
    rounds: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """The median of the rounds, for one call."""
        return median(self.rounds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The rounds' lower and upper quartile, in seconds: half of the rounds lie between. With one round, that one."""
        if len(self.rounds) == 1:
            return self.rounds[0], self.rounds[0]
        lower, _, upper = quantiles(self.rounds, n=4, method="inclusive")
        return lower, upper

    @property
    def samples_per_second(self) -> float:
        return self.cell.samples / self.seconds

    def speed_beside(self, other: Timing) -> float:
        """How many times as many samples this gives in the same time as `other` of the same measurement: the median over rounds."""
        samples = self.cell.samples / other.cell.samples
        return median(samples * b / a for a, b in zip(self.rounds, other.rounds, strict=True))


def measure(
    cells: Sequence[Cell],
    rounds: int | None = None,
    *,
    seconds: float = SECONDS,
    told: Callable[[int, int], None] | None = None,
) -> list[Timing]:
    """Times each cell, in rounds over all of them: every second round goes the other way round.

    rounds: by default as many as fit, from 5 to 25. seconds: for each cell, over all rounds; a cell whose one call takes
    longer than its part of a round is called once a round however long that takes. told: is called after each round
    with its number and how many there will be. What a cell raises is raised.
    """
    if not cells:
        return []
    spent = [_warm_up(cell.call) for cell in cells]
    if rounds is None:
        fitting = int(seconds * len(cells) / sum(spent))
        rounds = min(max(fitting, ROUNDS[0]), ROUNDS[-1])
    calls = [max(1, round(seconds / rounds / one)) for one in spent]
    found: list[list[float]] = [[] for _ in cells]
    for number in range(rounds):
        order = range(len(cells)) if number % 2 == 0 else reversed(range(len(cells)))
        for index in order:
            call = cells[index].call
            for _ in range(math.ceil(SETTLING / spent[index]) if spent[index] < SHORT else 0):
                call()
            found[index].append(median(_timed(call) for _ in range(calls[index])))
        if told is not None:
            told(number + 1, rounds)
    return [Timing(*parts) for parts in zip(cells, calls, map(tuple, found), strict=True)]


def _warm_up(call: Callable[[], object]) -> float:
    """Seconds of the fastest call but the first."""
    return min([_timed(call) for _ in range(WARM_UP_CALLS)][1:])


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return max(time.perf_counter() - start, 1e-9)  # clocks have steps, and times are divided by
