"""Figure 3: shortcut depth against error, of networks with equally many parameters."""

from __future__ import annotations

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

SMALL = (SHORTCUT1, SHORTCUT2, SHORTCUT3, SHORTCUT4)
LARGER = (SHORTCUT3_LARGER, SHORTCUT4_LARGER)
NETS = (XAVIER, *SMALL, *LARGER)
TITLE = f"Of networks with {PARTED_LAYERS} layers, those whose shortcuts span two learn best"
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
    small, larger, two = (rows[net].test.mean for net in (SHORTCUT3, SHORTCUT3_LARGER, SHORTCUT2))
    remarks = (
        f"ReLU in mid position, {PARTED_LAYERS * data.width**2:,} weights each; 1-shortcut networks have no mid position and are linear. The paper"
        " compares convolutional networks on CIFAR-10, which this does not.",
        f"What does not follow: that 3-shortcuts cannot be trained. Their test error is {small:.1f} % from 0.01 x Xavier and {larger:.1f} % from"
        f" 0.3 x Xavier; that of 2-shortcuts is {two:.1f} %.",
    )

    lines = [
        _line(SHORTCUT2, SMALL, rows, "shortcuts, start 0.01 x Xavier"),
        _line(SHORTCUT3_LARGER, LARGER, rows, "shortcuts, start 0.3 x Xavier"),
    ]
    plain = Level(rows[XAVIER].test.mean, "no shortcuts, Xavier")
    ticks = [net.span for net in SMALL]
    panels = (Panel(lines, "layers that a shortcut spans", "test error in %", ticks=ticks, level=plain),)
    return Finding(TITLE, COLUMNS, cells, remarks, panels)


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
