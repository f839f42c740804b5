"""Axes over the units of a network: what every figure of signals has."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resdsl.analysis.quantities import Signal
from resdsl.analysis.style import GREY, INK

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

SIZE = (7.4, 4.4)
"""Inches of a figure with one panel."""
WIDE = 66
"""Letters in a line of its title."""
DECADES = 2
"""Values that differ by more are drawn on a logarithmic axis."""


def panel(title: str, note: str, ylabel: str) -> tuple[Figure, Axes]:
    """A figure of one panel. note: below it, what it does not show. Inside `drawing`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    titled(axes, title, WIDE, 11)
    axes.set_ylabel(ylabel)
    if note:
        figure.supxlabel(wrapped(note, 105), x=0.01, ha="left", size=8, color=GREY, parse_math=False)
    return figure, axes


def wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))


def titled(axes: Axes, title: str, width: int, size: float) -> None:
    axes.set_title(wrapped(title, width), loc="left", fontsize=size, fontweight="bold", color=INK, parse_math=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def legend_below(axes: Axes, handles: Sequence[Artist], columns: int) -> None:
    """Clear of the lines, and of what stands below the figure."""
    legend = axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=columns, frameon=False, fontsize=9, handlelength=3.2)  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def over_units(axes: Axes, signal: Signal, *, stages: bool = True) -> Floats:
    """The units' numbers, from 1 on; with stages a thin line between two of these, and their names."""
    count = len(signal.units)
    axes.set_xlabel("unit")
    whole_numbers(axes)
    axes.set_xlim(0.5 - 0.01 * count, count + 0.5 + 0.01 * count)
    starts = [0] + [i for i in range(1, count) if signal.stages[i] != signal.stages[i - 1]]
    for start in starts if stages and len(starts) > 1 else []:
        if start:
            axes.axvline(start + 0.5, color=GREY, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
        axes.text(
            start + 0.5, 1.0, f" {signal.stages[start]}", transform=axes.get_xaxis_transform(), size=7.5, color=GREY,
            va="top", parse_math=False,
        )  # fmt: skip
    return np.arange(1, count + 1, dtype=np.float64)


def whole_numbers(axes: Axes) -> None:
    """Along the horizontal axis."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))


def log10(values: Floats) -> Floats:
    """-inf for 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values)


def spans_decades(*series: Floats) -> bool:
    """Whether a logarithmic axis shows more of them."""
    known = np.concatenate(series)
    known = known[np.isfinite(known) & (known > 0)]
    return len(known) > 0 and float(np.log10(known.max()) - np.log10(known.min())) > DECADES
