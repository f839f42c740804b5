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
from resdsl.analysis.demystify.verdict import listed, spoken

NETS = (
    (XAVIER, Relu.NONE),
    (SHORTCUT1, Relu.NONE),
    (SHORTCUT2, Relu.NONE),
    (SHORTCUT3_LARGER, Relu.NONE),
    (SHORTCUT2, Relu.MID),
)
COLUMNS = ("network", "layers are", "depth", "units R", "mean Frobenius norm", "std. error", "loss")
FROM = 4
"""Layers, the least depth for which an exponent is fitted."""
FLAT = 0.05
"""An exponent of this size or less is no change with depth."""
THEOREM, AS_FAST = -0.5, 0.1
"""Theorem 1's exponent, and how far from it a measured one is still the same."""


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
        "Theorem 1 says that a branch which moves one sample exists with a norm of O(1/sqrt(R)), not that training finds one. Of trained ones"
        " a is measured in norm ~ R^a, where a chain of R equal units that together are one given map would have a = -1/n.",
        *(_said(line) for line in lines if line[0].net.shortcut),
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
    return Finding(_title(lines), COLUMNS, cells, remarks, panels)


def _named(best: Best) -> str:
    return best.net.name if best.relu is Relu.NONE else f"{best.net.name}, ReLU"


def _exponent(line: list[Best]) -> float | None:
    fitted = [best for best in line if best.layers >= FROM and best.rate is not None]
    return slope([best.units for best in fitted], [best.norm.mean for best in fitted]) if len(fitted) > 1 else None


def _title(lines: list[list[Best]]) -> str:
    """What comes of the norms of linear networks with shortcuts; those with ReLU stand in the remarks."""
    found = [(line[0].net, _exponent(line)) for line in lines if line[0].net.shortcut and line[0].relu is Relu.NONE]
    known = [(spoken(net), a) for net, a in found if a is not None]
    smaller = listed(name for name, a in known if a < -FLAT)
    others = listed(name for name, a in known if a >= -FLAT)
    if not known:
        return "Norms of trained weights by depth"
    if not others:
        return "The deeper a residual network, the smaller its trained weights"
    if not smaller:
        return f"Trained weights get no smaller with depth: {others}"
    return f"With depth trained weights get smaller in {smaller} networks, and not in {others}"


def _said(line: list[Best]) -> str:
    a, n = _exponent(line), line[0].net.span
    if a is None:
        return f"{_named(line[0])}: too few depths for an exponent."
    if a > FLAT:
        against = "norms grow with depth"
    elif a >= -FLAT:
        against = "norms do not change with depth"
    elif a > THEOREM + AS_FAST:
        against = "norms fall more slowly than 1/sqrt(R)"
    elif a < THEOREM - AS_FAST:
        against = "norms fall faster than 1/sqrt(R)"
    else:
        against = "norms fall about as 1/sqrt(R)"
    return f"{_named(line[0])}: a = {a:.2f}, and -1/n = {-1 / n:.2f}; {against}."
