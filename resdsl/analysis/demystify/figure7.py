"""Figure 7: index and gradient norm while linear networks train, epoch by epoch."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from resdsl.analysis.demystify.course import NETS, Floats, courses, logs
from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.nets import SHORTCUT2, SHORTCUT3, Net
from resdsl.analysis.demystify.panel import Line, Panel, Scale
from resdsl.analysis.demystify.points import Course, Results
from resdsl.analysis.demystify.sizes import Sizes
from resdsl.analysis.demystify.verdict import listed

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
        *_still_growing(runs),
    )

    index = [_line(net, runs[net], np.mean([run.index for run in runs[net]], axis=0)) for net in NETS]
    norms = [_line(net, runs[net], 10 ** np.mean([logs(run.gradients) for run in runs[net]], axis=0)) for net in NETS]
    panels = (
        Panel(index, "epoch + 1", "index, the share of eigenvalues below 0", Scale.LOG),
        Panel(norms, "epoch + 1", "norm of the gradient", Scale.LOG, Scale.LOG),
    )
    return Finding(f"{_title(runs)}, at depth {sizes.watched_depth}", COLUMNS, cells, remarks, panels)


def _line(net: Net, runs: list[Course], values: Floats) -> Line:
    return Line(net, [epoch + 1 for epoch in runs[0].epochs], values.tolist())


def _peak(run: Course) -> int:
    """The epoch of the largest gradient."""
    return run.epochs[run.gradients.index(max(run.gradients))]


def _title(runs: Mapping[Net, Sequence[Course]]) -> str:
    """When the gradients of 2-shortcut and 3-shortcut networks are largest, the median over the runs."""
    two, three = (
        f"{statistics.median(map(_peak, runs[net])):g} of {runs[net][0].epochs[-1]:,}" for net in (SHORTCUT2, SHORTCUT3)
    )
    return f"Gradients of 2-shortcut networks are largest at epoch {two}, of 3-shortcut ones at {three}"


def _still_growing(runs: Mapping[Net, Sequence[Course]]) -> list[str]:
    """Networks whose gradient is largest in the end."""
    names = [net.name for net in runs if statistics.median(map(_peak, runs[net])) == runs[net][0].epochs[-1]]
    return [f"The gradient is largest at the end in {listed(names)} networks: their training ends before it falls."] if names else []  # fmt: skip
