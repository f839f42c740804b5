"""How the project's figures look: colours that the colour-blind tell apart, and lines and markers that survive a grey print."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""Of Okabe and Ito 2008, without their yellow, which a white page swallows."""
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")
INK, GREY = "#1f2430", "#667085"
MARKS = 9
"""Markers along a line, at most."""
DECADES = 3
"""Up to here a logarithmic axis has ticks between the powers of ten, too."""
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Look:
    """Of one line of a figure. line: as matplotlib takes it. width: in points. above: of two lines the one with more is drawn over the other."""

    colour: str
    line: str | tuple[float, tuple[float, ...]]
    marker: str
    width: float = 1.6
    above: int = 0


def look(index: int) -> Look:
    """Of the line of this number: no two of the first 28 share both colour and line style."""
    return Look(COLOURS[index % len(COLOURS)], LINES[index % len(LINES)], MARKERS[index % len(MARKERS)])


def finite(values: ArrayLike) -> NDArray[np.float64]:
    """The values with NaN, which is drawn as a gap, in the place of infinities."""
    array = np.asarray(values, np.float64)
    return np.where(np.isfinite(array), array, np.nan)


def plot(axes: Axes, at: ArrayLike, values: ArrayLike, label: str, look: Look) -> None:
    """A line with few markers, from left to right; what is not finite is a gap, and a point between gaps a marker. Nothing without points."""
    across, up = np.asarray(at, np.float64), finite(values)
    known = np.flatnonzero(~np.isnan(up))
    if not len(known):
        return
    alone = [i for i in known if all(j < 0 or j >= len(up) or np.isnan(up[j]) for j in (i - 1, i + 1))]
    marked = {*known[np.linspace(0, len(known) - 1, min(MARKS, len(known))).astype(int)].tolist(), *alone}
    axes.plot(
        across, up, label=label, color=look.colour, linestyle=look.line, linewidth=look.width, marker=look.marker,
        zorder=2 + look.above, markersize=3.8 + 0.8 * look.width, markevery=sorted(marked), markeredgecolor="white", markeredgewidth=0.5,
    )  # fmt: skip


def power(exponent: float) -> str:
    """A tick's text, 10⁻¹⁶ or 0.3, of a logarithm to the base 10."""
    if exponent == round(exponent):
        whole = round(exponent)
        return f"{10.0**whole:g}" if -2 <= whole <= 3 else f"10{str(whole).translate(SUPERSCRIPT)}"
    return f"{10**exponent:.2g}" if -5 < exponent < 3 else f"10^{exponent:.1f}"


def powers(axes: Axes) -> None:
    """Ticks of an axis that shows logarithms to the base 10, as the numbers themselves. The limits are set before."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    low, high = axes.get_ylim()
    if high - low > DECADES:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    else:
        steps = (1, 1.5, 2, 3, 5, 7) if high - low < 1 else (1, 2, 5)
        ticks = [k + math.log10(m) for k in range(math.floor(low), math.ceil(high)) for m in steps]
        axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))


def room(axes: Axes, values: Iterable[ArrayLike], least: float = 0.3) -> None:
    """Limits of the vertical axis with all finite values inside, and at least so much between them."""
    known = [value for each in values for value in np.ravel(finite(each)) if not math.isnan(value)]
    if not known:
        return
    low, high = min(known), max(known)
    margin = max(0.06 * (high - low), (least - (high - low)) / 2)
    axes.set_ylim(low - margin, high + margin)
