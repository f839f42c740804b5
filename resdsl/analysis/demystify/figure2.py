"""Figure 2: weight norms of trained networks by depth, which Theorem 1 is about."""

from __future__ import annotations

from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.nets import SHORTCUT1, SHORTCUT2, SHORTCUT3_LARGER, XAVIER, Relu
from resdsl.analysis.demystify.panel import Line, Panel, Scale
from resdsl.analysis.demystify.points import Point, Results
from resdsl.analysis.demystify.sizes import Sizes
from resdsl.analysis.demystify.summary import slope
from resdsl.analysis.demystify.trained import Best, bests, trainings

NETS = (
    (XAVIER, Relu.NONE),
    (SHORTCUT1, Relu.NONE),
    (SHORTCUT2, Relu.NONE),
    (SHORTCUT3_LARGER, Relu.NONE),
    (SHORTCUT2, Relu.MID),
)
TITLE = "The deeper a residual network, the smaller its trained weights"
COLUMNS = ("network", "layers are", "depth", "units R", "mean Frobenius norm", "std. error", "loss")
FROM = 4
"""Layers, the least depth for which an exponent is fitted."""


def points(sizes: Sizes) -> list[Point]:
    return [point for net, relu in NETS for point in trainings([net], relu, sizes)]


def found(sizes: Sizes, data: Data, results: Results) -> Finding:
    lines = [bests(net, relu, sizes, results) for net, relu in NETS]
    cells = tuple(
        (best.net.name, best.relu.value, best.depth, best.units, best.norm.mean, best.norm.error, best.loss.mean)
        for line in lines
        for best in line
    )
    remarks = (
        "Theorem 1 says that a branch which moves one sample exists with a norm of O(1/sqrt(R)). That trained ones are as small is measured"
        " here: norm ~ R^a, where a chain of R equal units that together are one given map would have a = -1/n.",
        *(_exponent(line) for line in lines if line[0].net.shortcut),
    )

    drawn = [
        Line(
            line[0].net,
            [best.depth for best in line],
            [best.norm.mean for best in line],
            [best.norm.error for best in line],
            _named(line[0]),
            second=line[0].relu is not Relu.NONE,
        )
        for line in lines
    ]
    up = "mean Frobenius norm of a layer, trained"
    panels = (Panel(drawn, "depth in layers", up, Scale.LOG, Scale.LOG, ticks=sizes.linear_depths),)
    return Finding(TITLE, COLUMNS, cells, remarks, panels)


def _named(best: Best) -> str:
    return best.net.name if best.relu is Relu.NONE else f"{best.net.name}, ReLU"


def _exponent(line: list[Best]) -> str:
    fitted = [best for best in line if best.layers >= FROM and best.rate is not None]
    n = line[0].net.span
    if len(fitted) < 2:
        return f"{_named(line[0])}: too few depths for an exponent."
    measured = slope([best.units for best in fitted], [best.norm.mean for best in fitted])
    return f"{_named(line[0])}: a = {measured:.2f}, and -1/n = {-1 / n:.2f}."
