"""Figure 3: shortcut depth against error, of networks with equally many parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.nets import (
    SHORTCUT1,
    SHORTCUT2,
    SHORTCUT3,
    SHORTCUT3_LARGER,
    SHORTCUT4,
    SHORTCUT4_LARGER,
    XAVIER,
    Net,
)
from resdsl.analysis.demystify.panel import Level, Line, Panel
from resdsl.analysis.demystify.points import Parted, Point, Results
from resdsl.analysis.demystify.sizes import PARTED_LAYERS, Sizes
from resdsl.analysis.demystify.summary import Mean, best_rate, known, mean
from resdsl.analysis.demystify.verdict import clearly_below, listed, number, spoken

SMALL = (SHORTCUT1, SHORTCUT2, SHORTCUT3, SHORTCUT4)
LARGER = (SHORTCUT3_LARGER, SHORTCUT4_LARGER)
NETS = (XAVIER, *SMALL, *LARGER)
COLUMNS = (
    "network",
    "start",
    "shortcut depth",
    "test error, %",
    "std. error",
    "training error, %",
    "loss",
    "learning rate",
)
PERCENT = 100
LEARNED = 45.0
"""A test error in %, half of what guessing gets wrong of ten classes: a network with more has not learned."""


@dataclass(frozen=True, slots=True)
class Row:
    """With the learning rate of the least mean training loss. test, train: errors in %. NaN and None where all diverge."""

    net: Net
    test: Mean
    train: Mean
    loss: Mean
    rate: float | None


def points(sizes: Sizes) -> list[Point]:
    return [point for net in NETS for point in _runs(net, sizes)]


def found(sizes: Sizes, data: Data, results: Results) -> Finding:
    rows = {net: _row(net, sizes, results) for net in NETS}
    cells = tuple(
        (
            net.name, net.start.value, net.span if net.shortcut else None, row.test.mean, row.test.error,
            row.train.mean, row.loss.mean, row.rate,
        )
        for net, row in rows.items()
    )  # fmt: skip
    remarks = (
        f"ReLU in mid position, {PARTED_LAYERS * data.width**2:,} weights each; 1-shortcut networks have no mid position and are linear. The paper"
        " compares convolutional networks on CIFAR-10, which this does not.",
        _third_order(rows),
        *_coordinates(data),
    )

    lines = [
        _line(SHORTCUT2, SMALL, rows, "shortcuts, start 0.01 x Xavier"),
        _line(SHORTCUT3_LARGER, LARGER, rows, "shortcuts, start 0.3 x Xavier"),
    ]
    plain = Level(rows[XAVIER].test.mean, "no shortcuts, Xavier")
    ticks = [net.span for net in SMALL]
    panels = (Panel(lines, "layers that a shortcut spans", "test error in %", ticks=ticks, level=plain),)
    return Finding(_title(rows), COLUMNS, cells, remarks, panels)


def _title(rows: dict[Net, Row]) -> str:
    """The networks of the least test error: more than one, where they cannot be told apart."""
    of = f"Of networks with {PARTED_LAYERS} layers,"
    known = [row for row in rows.values() if not math.isnan(row.test.mean)]
    if not known:
        return f"{of} none trains with any learning rate"
    least = min(known, key=lambda row: row.test.mean)
    best = [spoken(row.net) for row in known if not clearly_below(least.test, row.test)]
    if least.test.mean > LEARNED:
        return f"{of} none gets fewer than {least.test.mean:.0f} % of the test digits wrong"
    if len(best) == len(known) > 1:
        return f"{of} the test errors, from {least.test.mean:.1f} % on, cannot be told apart"
    if len(best) > 1:
        return f"{of} {listed(best)} have the least test errors, and cannot be told apart"
    return f"{of} {best[0]} ones have the least test error, {least.test.mean:.1f} %"


def _coordinates(data: Data) -> list[str]:
    """Where other figures are about all samples."""
    if data.train is data.samples:
        return []
    return [
        "Inputs are whitened on the training split alone, and each component has its loading of largest size positive: other coordinates than"
        " those of the other figures."
    ]


def _third_order(rows: dict[Net, Row]) -> str:
    """Whether 3-shortcut networks can be trained, and whether their start is what counts."""
    small, larger, two = (rows[net].test for net in (SHORTCUT3, SHORTCUT3_LARGER, SHORTCUT2))
    errors = (
        f"The test error in % of 3-shortcuts is {number(small.mean, '.1f')} from 0.01 x Xavier and {number(larger.mean, '.1f')} from 0.3 x"
        f" Xavier; that of 2-shortcuts is {number(two.mean, '.1f')}."
    )
    if small.mean <= LEARNED or larger.mean <= LEARNED:
        errors = f"What does not follow: that 3-shortcuts cannot be trained. {errors}"
    if not clearly_below(larger, small):
        return f"{errors} That a larger start helps does not show."
    return f"{errors} The larger start helps."


def _runs(net: Net, sizes: Sizes) -> list[Parted]:
    return [Parted(net, PARTED_LAYERS, seed) for seed in range(sizes.parted_runs)]


def _row(net: Net, sizes: Sizes, results: Results) -> Row:
    runs = [results.parted[point] for point in _runs(net, sizes)]
    number = best_rate(runs)
    if number is None:
        return Row(net, mean([]), mean([]), mean([]), None)
    test, train = (
        mean([PERCENT * share for share in known([each[number] for each in shares])])
        for shares in ([run.test for run in runs], [run.train for run in runs])
    )
    return Row(net, test, train, mean(known([run.losses[number] for run in runs])), sizes.parted.rates[number])


def _line(looks: Net, nets: tuple[Net, ...], rows: dict[Net, Row], label: str) -> Line:
    tests = [rows[net].test for net in nets]
    return Line(looks, [net.span for net in nets], [test.mean for test in tests], [test.error for test in tests], label)
