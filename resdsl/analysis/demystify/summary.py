"""Several runs in a few numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from resdsl.analysis.demystify.points import Ends, Errors


@dataclass(frozen=True, slots=True)
class Mean:
    """Of some runs. error: the standard error of the mean, NaN for fewer than two."""

    mean: float
    error: float


def mean(values: Sequence[float]) -> Mean:
    """NaN for no values."""
    if not values:
        return Mean(math.nan, math.nan)
    spread = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Mean(statistics.fmean(values), spread)


def best_rate(runs: Sequence[Ends] | Sequence[Errors]) -> int | None:
    """The number of the learning rate with the least mean loss, among those with which no run diverged; None if there is none."""
    by_rate = zip(*(run.losses for run in runs), strict=True)
    losses = [math.inf if None in each else statistics.fmean(value or 0.0 for value in each) for each in by_rate]
    least = min(losses)
    return losses.index(least) if least < math.inf else None


def known(values: Sequence[float | None]) -> list[float]:
    """Those that are not None."""
    return [value for value in values if value is not None]


def slope(at: Sequence[float], values: Sequence[float]) -> float:
    """Of the line through the logarithms of both, by least squares: the exponent of a power law."""
    across, up = [math.log(value) for value in at], [math.log(value) for value in values]
    return statistics.linear_regression(across, up).slope
