"""Figure 5: the largest and the 10th percentile of |eigenvalue| while linear networks train."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from resdsl.analysis.demystify.course import EXCESS, NETS, at_losses, condition, courses, logs
from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.panel import Line, Panel, Scale
from resdsl.analysis.demystify.points import Course, Results
from resdsl.analysis.demystify.sizes import Sizes

TITLE = "The spread of eigenvalues as the loss falls"
COLUMNS = ("network", "layers", "rate", "condition, start", "condition, end", "loss, end")
MET = 10.0
"""Condition numbers within this factor are said to have met."""


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
        _remarks(list(starts.values()), list(ends.values())),
        panels,
    )


def _means(values: Sequence[Sequence[float | None]], runs: Sequence[Course], least: float) -> list[float]:
    """Geometric ones, over the runs."""
    return (10 ** at_losses(runs, [logs(each) for each in values], least)).tolist()


def _remarks(starts: list[float], ends: list[float]) -> tuple[str, ...]:
    """The condition numbers of the networks."""
    apart = max(ends) / min(ends)
    met = (
        f"Does not reproduce: that the condition numbers meet in the end. They are {min(ends):.1e} to {max(ends):.1e}, a factor of"
        f" {apart:.1e} apart, after {max(starts) / min(starts):.1e} at the start."
        if apart > MET
        else f"In the end the condition numbers are within a factor of {apart:.1f}, from {min(ends):.1e} to {max(ends):.1e}."
    )
    why = (
        "Near the least loss a deep linear network has directions along which nothing changes, and the 10th percentile falls towards 0 for all"
        " of them: the condition number then measures how far the training has come."
    )
    return (met, why)
