"""Figure 6: the share of negative eigenvalues while linear networks train."""

from __future__ import annotations

import statistics

import numpy as np

from resdsl.analysis.demystify.course import EXCESS, NETS, at_losses, courses
from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.nets import SHORTCUT2, Net
from resdsl.analysis.demystify.panel import Line, Panel, Scale
from resdsl.analysis.demystify.points import Course, Results
from resdsl.analysis.demystify.sizes import Sizes
from resdsl.analysis.demystify.verdict import NEAR, listed, near

COLUMNS = ("network", "layers", "index, start", "index, end", "loss, end")
THEOREM, SAME = 0.5, 0.01
"""Theorem 2's index at zero, and how far from it a measured one is still the same."""
FEW = 0.05
"""An index of which hardly any direction leads down."""


def found(sizes: Sizes, data: Data, results: Results) -> Finding:
    runs = {net: courses(net, sizes, results) for net in NETS}
    cells = tuple(
        (
            net.name,
            net.layers(sizes.watched_depth),
            statistics.fmean(run.index[0] for run in runs[net]),
            statistics.fmean(run.index[-1] for run in runs[net]),
            statistics.fmean(run.losses[-1] for run in runs[net]),
        )
        for net in NETS
    )
    remarks = (
        "Theorem 2 says 0.5 for 2-shortcut networks at zero.",
        _at_the_end(runs, data.statistics.least),
    )
    least = data.statistics.least

    lines = [
        Line(net, EXCESS.tolist(), at_losses(runs[net], [np.array(run.index) for run in runs[net]], least).tolist())
        for net in NETS
    ]
    panels = (
        Panel(lines, "loss above the least of linear maps", "index, the share of eigenvalues below 0", Scale.LOG_DOWN),
    )
    return Finding(f"{_title(runs[SHORTCUT2])}, at depth {sizes.watched_depth}", COLUMNS, cells, remarks, panels)


def _title(runs: list[Course]) -> str:
    """What 2-shortcut networks start with."""
    start = statistics.fmean(run.index[0] for run in runs)
    if abs(start - THEOREM) <= SAME:
        return "2-shortcut networks start at a saddle, with half of its directions downwards"
    return f"2-shortcut networks start with an index of {start:.2f}"


def _at_the_end(runs: dict[Net, list[Course]], least: float) -> str:
    """Only networks near the least loss say what the index is there."""
    ends = {net: statistics.fmean(run.index[-1] for run in runs[net]) for net in NETS}
    there = [net for net in NETS if near(statistics.fmean(run.losses[-1] for run in runs[net]), least)]
    said = f"At the end the index is {min(ends.values()):.2f} to {max(ends.values()):.2f}."
    if not there:
        return f"{said} No network ends within {100 * NEAR:g} % of the least loss, so this says nothing of the index there."
    low, high = min(ends[net] for net in there), max(ends[net] for net in there)
    said += f" Those that end within {100 * NEAR:g} % of the least loss ({listed(net.name for net in there)}) have {low:.2f} to {high:.2f}"
    if high <= FEW:
        return f"{said}: hardly a direction leads down."
    return (
        f"{said}. From the least loss itself none leads down, so what is negative there is on its way to 0, and its sign says little: the index"
        " does not tell how far a network is from its minimum."
    )
