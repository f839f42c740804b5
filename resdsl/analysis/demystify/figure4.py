"""Figure 4: condition numbers of Hessians before training, by depth."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.nets import ORTHOGONAL, SHORTCUT1, SHORTCUT2, SHORTCUT3, XAVIER, Net
from resdsl.analysis.demystify.panel import Line, Panel, Scale
from resdsl.analysis.demystify.points import Initial, Point, Results
from resdsl.analysis.demystify.sizes import Sizes
from resdsl.analysis.demystify.summary import Mean, known, mean
from resdsl.analysis.hessian.spectrum import spectrum

NETS = (XAVIER, ORTHOGONAL, SHORTCUT1, SHORTCUT2, SHORTCUT3)
COLUMNS = ("network", "depth", "layers", "condition", "std. error", "median", "largest |eigenvalue|", "runs")
SAME = 1.05
"""Condition numbers within this factor are the same at all depths."""


@dataclass(frozen=True, slots=True)
class Row:
    """condition, median: over the runs that have one, as many as `known`; NaN if there are none. largest: of |eigenvalue|, the mean."""

    net: Net
    depth: int
    condition: Mean
    median: float
    largest: float
    known: int


def points(sizes: Sizes) -> list[Point]:
    return [point for net in NETS for depth in sizes.initial_depths for point in _runs(net, depth, sizes)]


def found(sizes: Sizes, data: Data, results: Results) -> Finding:
    rows = [_row(net, depth, sizes, results) for net in NETS for depth in sizes.initial_depths]
    exact = _at_zero(data)
    shown = "does not exist, as M is singular" if exact is None else f"is {exact:.4f}, whatever the depth"
    remarks = (
        "The condition number is the largest over the 10th percentile of |eigenvalue|, a mean over the runs; for Xavier one run may make it"
        " up, and the median says more.",
        f"Exactly at zero, that of 2-shortcut networks {shown} (Theorem 2).",
        "3-shortcut networks are flat at zero: there, the size of the largest eigenvalue says more than the condition number.",
        *_beyond(rows, sizes.initial_runs),
    )

    lines = [_line(net, [row for row in rows if row.net == net]) for net in NETS]
    panels = (
        Panel(lines, "depth in layers", "condition number (median)", Scale.LOG, Scale.LOG, ticks=sizes.initial_depths),
    )
    cells = tuple(
        (
            row.net.name, row.depth, row.net.layers(row.depth), row.condition.mean, row.condition.error, row.median,
            row.largest, row.known,
        )
        for row in rows
    )  # fmt: skip
    return Finding(_title(rows), COLUMNS, cells, remarks, panels)


def _title(rows: Sequence[Row]) -> str:
    medians = [row.median for row in rows if row.net is SHORTCUT2]
    if any(map(math.isnan, medians)):
        return "Condition numbers before training by depth"
    low, high = min(medians), max(medians)
    if high <= SAME * low:
        return f"Where 2-shortcut networks start, depth does not change the condition number: {low:.2f} to {high:.2f}"
    return f"Where 2-shortcut networks start, condition numbers go from {low:.3g} to {high:.3g} over the depths"


def _runs(net: Net, depth: int, sizes: Sizes) -> list[Initial]:
    return [Initial(net, depth, seed) for seed in range(sizes.initial_runs)]


def _row(net: Net, depth: int, sizes: Sizes, results: Results) -> Row:
    runs = [results.initial[point] for point in _runs(net, depth, sizes)]
    conditions = known([run.condition for run in runs])
    median = statistics.median(conditions) if conditions else math.nan
    return Row(net, depth, mean(conditions), median, mean([run.largest for run in runs]).mean, len(conditions))


def _line(net: Net, rows: Sequence[Row]) -> Line:
    return Line(net, [row.depth for row in rows], [row.median for row in rows])


def _at_zero(data: Data) -> float | None:
    """By the singular values of M = S^XX - S^YX, each of which stands in the spectrum equally often, as s and as -s."""
    sizes = torch.linalg.svdvals(data.statistics.inputs - data.statistics.cross)
    return spectrum(sizes.repeat_interleave(2 * data.width).numpy()).condition


def _beyond(rows: Sequence[Row], runs: int) -> list[str]:
    return [
        f"{row.net.name} at depth {row.depth}: in {runs - row.known} of {runs} runs the 10th percentile cannot be told from rounding, and"
        " they are left out."
        for row in rows
        if row.known != runs
    ]
