"""Figure 7: index and gradient norm while linear networks train, epoch by epoch."""

from __future__ import annotations

import statistics

import numpy as np

from resdsl.analysis.demystify.course import NETS, Floats, courses, logs
from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.nets import Net
from resdsl.analysis.demystify.panel import Line, Panel, Scale
from resdsl.analysis.demystify.points import Course, Results
from resdsl.analysis.demystify.sizes import Sizes

TITLE = "2-shortcut networks leave the saddle at once, 3-shortcut networks wait"
COLUMNS = ("network", "layers", "gradient, start", "largest gradient", "at epoch", "gradient, end")


def found(sizes: Sizes, data: Data, results: Results) -> Finding:
    runs = {net: courses(net, sizes, results) for net in NETS}
    cells = tuple(
        (
            net.name,
            net.layers(sizes.watched_depth),
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

    index = [_line(net, runs[net], np.mean([run.index for run in runs[net]], axis=0)) for net in NETS]
    norms = [_line(net, runs[net], 10 ** np.mean([logs(run.gradients) for run in runs[net]], axis=0)) for net in NETS]
    panels = (
        Panel(index, "epoch + 1", "index, the share of eigenvalues below 0", Scale.LOG),
        Panel(norms, "epoch + 1", "norm of the gradient", Scale.LOG, Scale.LOG),
    )
    return Finding(f"{TITLE}, at depth {sizes.watched_depth}", COLUMNS, cells, remarks, panels)


def _line(net: Net, runs: list[Course], values: Floats) -> Line:
    return Line(net, [epoch + 1 for epoch in runs[0].epochs], values.tolist())


def _peak(run: Course) -> int:
    """The epoch of the largest gradient."""
    return run.epochs[run.gradients.index(max(run.gradients))]
