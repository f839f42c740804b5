"""Figure 5: the largest and the 10th percentile of |eigenvalue| while linear networks train."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from resdsl.analysis.demystify.course import EXCESS, NETS, at_losses, condition, courses, logs
from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.panel import Line, Panel, Scale
from resdsl.analysis.demystify.points import Course, Results
from resdsl.analysis.demystify.sizes import Sizes
from resdsl.analysis.demystify.verdict import listed

TITLE = "The spread of eigenvalues as the loss falls"
COLUMNS = ("network", "layers", "rate", "condition, start", "condition, end", "loss, end")
MET = 10.0
"""Condition numbers within this factor are said to have met."""
FALLEN = 10.0
"""A 10th percentile that is so many times smaller than at the start has fallen."""


def found(sizes: Sizes, data: Data, results: Results) -> Finding:
    runs = {net: courses(net, sizes, results) for net in NETS}
    starts = {net: statistics.median(condition(run, 0) for run in runs[net]) for net in NETS}
    ends = {net: statistics.median(condition(run, -1) for run in runs[net]) for net in NETS}
    cells = tuple(
        (
            net.name,
            net.layers(sizes.watched_depth),
            statistics.median(run.rate for run in runs[net]),
            starts[net],
            ends[net],
            statistics.fmean(run.losses[-1] for run in runs[net]),
        )
        for net in NETS
    )
    least = data.statistics.least

    across = "loss above the least"
    largest = [Line(net, EXCESS.tolist(), _means([run.largest for run in runs[net]], runs[net], least)) for net in NETS]
    below = [
        Line(net, EXCESS.tolist(), _means([run.percentile10 for run in runs[net]], runs[net], least)) for net in NETS
    ]
    panels = (
        Panel(largest, across, "largest |eigenvalue|", Scale.LOG_DOWN, Scale.LOG),
        Panel(below, across, "10th percentile of |eigenvalue|", Scale.LOG_DOWN, Scale.LOG),
    )
    return Finding(
        f"{TITLE}, at depth {sizes.watched_depth}",
        COLUMNS,
        cells,
        (
            *_met(list(starts.values()), list(ends.values()), sizes.linear.epochs),
            _percentiles({net.name: [_fall(run) for run in runs[net]] for net in NETS}),
        ),
        panels,
    )


def _means(values: Sequence[Sequence[float | None]], runs: Sequence[Course], least: float) -> list[float]:
    """Geometric ones, over the runs."""
    return (10 ** at_losses(runs, [logs(each) for each in values], least)).tolist()


def _met(starts: list[float], ends: list[float], epochs: int) -> list[str]:
    """The condition numbers of the networks; nothing where a 10th percentile is 0 in the end, as there is no condition number then."""
    if math.inf in (*starts, *ends):
        return ["Not all condition numbers exist: a 10th percentile cannot be told from 0."]
    low, high = min(ends), max(ends)
    apart = high / low
    if apart <= MET:
        return [
            f"After {epochs:,} epochs the condition numbers are within a factor of {apart:.1f}, from {low:.1e} to {high:.1e}."
        ]
    return [
        f"Does not reproduce in {epochs:,} epochs: that the condition numbers meet in the end. They are {low:.1e} to {high:.1e}, a factor of"
        f" {apart:.1e} apart, after {max(starts) / min(starts):.1e} at the start."
    ]


def _fall(run: Course) -> float:
    """By which factor the 10th percentile is smaller in the end; infinite where it is 0 then."""
    first, last = run.percentile10[0], run.percentile10[-1]
    return (first or 0.0) / last if last else math.inf


def _percentiles(falls: dict[str, list[float]]) -> str:
    fallen = [name for name, each in falls.items() if statistics.median(each) >= FALLEN]
    others = [name for name in falls if name not in fallen]
    if not fallen:
        return f"The 10th percentile falls by a factor of {FALLEN:.0f} in none of the networks."
    whose = "all networks" if not others else f"{listed(fallen)} networks, and not in {listed(others)}"
    return (
        f"From start to end the 10th percentile falls by a factor of {FALLEN:.0f} or more in {whose}. Near the least loss a deep linear network has"
        " directions along which nothing changes: where it falls, the condition number measures how far the training has come."
    )
