"""Figure 7: index and gradient norm while linear networks train, epoch by epoch."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import numpy as np

from resdsl.analysis.demystify.course import NETS, courses, logs
from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.nets import Net
from resdsl.analysis.demystify.panel import Line, draw_lines, legend_right
from resdsl.analysis.demystify.points import Course, Results
from resdsl.analysis.demystify.sizes import WATCHED_DEPTH, Sizes
from resdsl.analysis.style import powers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = f"2-shortcut networks leave the saddle at once; 3-shortcut networks wait (depth {WATCHED_DEPTH})"
COLUMNS = ("network", "layers", "gradient, start", "largest gradient", "at epoch", "gradient, end")


def found(sizes: Sizes, data: Data, results: Results) -> Finding:
    runs = {net: courses(net, sizes, results) for net in NETS}
    cells = tuple(
        (
            net.name,
            net.layers(WATCHED_DEPTH),
            statistics.fmean(run.gradients[0] for run in runs[net]),
            statistics.fmean(max(run.gradients) for run in runs[net]),
            statistics.median(_peak(run) for run in runs[net]),
            statistics.fmean(run.gradients[-1] for run in runs[net]),
        )
        for net in NETS
    )
    remarks = (
        "Each network trains with the learning rate that gave it the least loss. Epochs are at their number + 1, as their axis is logarithmic;"
        " gradients are norms over all weights, their logarithms averaged over the runs.",
    )

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        index = [_line(net, runs[net], np.mean([run.index for run in runs[net]], axis=0).tolist()) for net in NETS]
        norms = [
            _line(net, runs[net], np.mean([logs(run.gradients) for run in runs[net]], axis=0).tolist()) for net in NETS
        ]
        draw_lines(left, index, across="epoch + 1", up="index, the share of eigenvalues below 0")
        draw_lines(right, norms, across="epoch + 1", up="norm of the gradient")
        powers(right)
        for axes in (left, right):
            axes.set_xscale("log")
        legend_right(figure, left)

    return Finding(TITLE, COLUMNS, cells, remarks, draw)


def _line(net: Net, runs: list[Course], values: list[float]) -> Line:
    return Line(net, [epoch + 1 for epoch in runs[0].epochs], values)


def _peak(run: Course) -> int:
    """The epoch of the largest gradient."""
    return run.epochs[run.gradients.index(max(run.gradients))]
