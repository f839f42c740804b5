"""Figure 5: the largest and the 10th percentile of |eigenvalue| while linear networks train."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from resdsl.analysis.demystify.course import EXCESS, NETS, at_losses, condition, courses, logs
from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.panel import Line, draw_lines, legend_right
from resdsl.analysis.demystify.points import Results
from resdsl.analysis.demystify.sizes import WATCHED_DEPTH, Sizes
from resdsl.analysis.style import powers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = f"The spread of eigenvalues as the loss falls, at depth {WATCHED_DEPTH}"
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
            net.layers(WATCHED_DEPTH),
            statistics.median(run.rate for run in runs[net]),
            starts[net],
            ends[net],
            statistics.fmean(run.losses[-1] for run in runs[net]),
        )
        for net in NETS
    )
    least = data.statistics.least

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for axes, up in ((left, "largest |eigenvalue|"), (right, "10th percentile of |eigenvalue|")):
            lines = [
                Line(
                    net,
                    EXCESS.tolist(),
                    at_losses(
                        runs[net],
                        [logs(run.largest if axes is left else run.percentile10) for run in runs[net]],
                        least,
                    ).tolist(),
                )
                for net in NETS
            ]
            draw_lines(axes, lines, across="loss above the least", up=up)
            axes.set_xscale("log")
            axes.invert_xaxis()
            powers(axes)
        legend_right(figure, left)

    return Finding(TITLE, COLUMNS, cells, _remarks(list(starts.values()), list(ends.values())), draw)


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
