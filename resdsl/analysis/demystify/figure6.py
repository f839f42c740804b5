"""Figure 6: the share of negative eigenvalues while linear networks train."""

from __future__ import annotations

import statistics

import numpy as np

from resdsl.analysis.demystify.course import EXCESS, NETS, at_losses, courses
from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.panel import Line, Panel, Scale
from resdsl.analysis.demystify.points import Results
from resdsl.analysis.demystify.sizes import Sizes

TITLE = "2-shortcut networks start at a saddle, with half of its directions downwards"
COLUMNS = ("network", "layers", "index, start", "index, end", "loss, end")


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
    ends = [statistics.fmean(run.index[-1] for run in runs[net]) for net in NETS]
    remarks = (
        "Theorem 2 says 0.5 for 2-shortcut networks at zero.",
        f"At the end the index is {min(ends):.2f} to {max(ends):.2f}, though no direction leads down from the least loss: most of these"
        " eigenvalues are on their way to 0 and tiny (figure 5), and their signs say little.",
    )
    least = data.statistics.least

    lines = [
        Line(net, EXCESS.tolist(), at_losses(runs[net], [np.array(run.index) for run in runs[net]], least).tolist())
        for net in NETS
    ]
    panels = (
        Panel(lines, "loss above the least of linear maps", "index, the share of eigenvalues below 0", Scale.LOG_DOWN),
    )
    return Finding(f"{TITLE}, at depth {sizes.watched_depth}", COLUMNS, cells, remarks, panels)
