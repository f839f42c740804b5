"""Trainings that were watched, as figures 5 to 7 need them: at the same losses in all runs, and from start to end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from resdsl.analysis.demystify.nets import ORTHOGONAL, SHORTCUT1, SHORTCUT2, SHORTCUT3, XAVIER, Net
from resdsl.analysis.demystify.points import Course, Point, Results, Watched
from resdsl.analysis.demystify.sizes import Sizes

NETS = (XAVIER, ORTHOGONAL, SHORTCUT1, SHORTCUT2, SHORTCUT3)
EXCESS = np.geomspace(5, 1e-4, 28)
"""Losses above the least of any linear map at which runs are compared."""

Floats = NDArray[np.float64]


def points(sizes: Sizes) -> list[Point]:
    return [Watched(net, sizes.watched_depth, seed) for net in NETS for seed in range(sizes.watched_runs)]


def courses(net: Net, sizes: Sizes, results: Results) -> list[Course]:
    return [results.watched[Watched(net, sizes.watched_depth, seed)] for seed in range(sizes.watched_runs)]


def at_losses(runs: Sequence[Course], values: Sequence[Floats], least: float) -> Floats:
    """(28,), the mean of the runs' values, each (n,), at the losses least + EXCESS, between two epochs by linear interpolation in the
    logarithm of the excess. A loss that was reached more than once is where it was reached first; NaN where not all runs came.
    """
    return np.mean([_at(run, each, least) for run, each in zip(runs, values, strict=True)], axis=0)


def _at(run: Course, values: Floats, least: float) -> Floats:
    excess = np.maximum(np.array(run.losses) - least, 1e-300)
    lowest = np.minimum.accumulate(excess)
    first = np.flatnonzero(np.r_[True, excess[1:] < lowest[:-1]])
    down = -np.log(excess[first])
    return np.interp(-np.log(EXCESS), down, values[first], left=np.nan, right=np.nan)


def condition(run: Course, epoch: int) -> float:
    """Of the Hessian at one of the epochs, counted from 0, or -1 for the last; infinite where the 10th percentile is 0."""
    below = run.percentile10[epoch]
    return run.largest[epoch] / below if below else float("inf")


def logs(values: Sequence[float | None]) -> Floats:
    """To the base 10, NaN for what is not known or 0."""
    return np.log10([value if value else np.nan for value in values])
