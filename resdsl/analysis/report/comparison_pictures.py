"""The signals of several networks in the same figures: a line for each, over its units."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from resdsl.analysis.quantities import Signal
from resdsl.analysis.report.ends import Ends, ends
from resdsl.analysis.report.looks import looks
from resdsl.analysis.report.panels import Floats, legend_below, log10, over_units, panel, titled, whole_numbers, wrapped
from resdsl.analysis.report.pictures import Picture, last_length
from resdsl.analysis.report.sentences import Named, NamedEnds, between, gaps, not_drawn
from resdsl.analysis.report.text import NEGLIGIBLE
from resdsl.analysis.style import Look, plot, powers, room
from resdsl.theory.path_gain import log10 as log10_of
from resdsl.weights import INITIAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

OVERVIEW = "comparison"
COLUMNS = 3
NARROW = 46
"""Letters in a line of a panel's title."""


@dataclass(frozen=True, slots=True)
class _Quantity:
    """name: of its files. what: in its titles. end: the number of a network that they name. curve: over units; logarithms where is_log."""

    name: str
    what: str
    ylabel: str
    meaning: str
    end: Callable[[Ends], float]
    curve: Callable[[Signal], Floats]
    is_log: bool = True


QUANTITIES = (
    _Quantity("variance", "Variance at the end over that at the first unit", "Var(x)", "The stream's variance at the units' inputs.", lambda end: end.log10_growth, lambda signal: log10(signal.stream.variance)),
    _Quantity("ratio", "Mean Var(F) / Var(x)", "Var(F) / Var(x)", "How much each branch adds to the stream.", lambda end: log10_of(end.mean_ratio), lambda signal: log10(signal.variance_ratio)),
    _Quantity("gradient", "Gradient's norm at the first unit", "norm, of that at the end", "The gradient's norm at the units' inputs, over that behind the last unit.", lambda end: end.log10_gradient, lambda signal: signal.log10_gradient),
    _Quantity("direct", "Through the shortcuts alone", "norm, of the gradient's at the end", "The direct term: what comes back through the shortcuts and what follows the additions, past every branch.", lambda end: end.log10_direct, lambda signal: signal.log10_direct),
    _Quantity("cosine", "Cosine between two inputs' gradients at the first unit", "cosine", "The mean cosine between the gradients of two samples at the units' inputs.", lambda end: end.cosine, lambda signal: signal.cosine, is_log=False),
)  # fmt: skip
LENGTHS = "How many branches the gradient's energy passed between the end and the first unit's input."


def comparison_pictures(named: Sequence[Named]) -> list[Picture]:
    """All in one figure first, then each alone. A network keeps its colour, line and markers in all. Inside `drawing`."""
    with_lengths = any(signal.lengths is not None for _, signal in named)
    at_ends = [(name, ends(signal)) for name, signal in named]
    found = [_overview(named, at_ends, with_lengths)]
    for quantity in QUANTITIES:
        says, note = _says(quantity, at_ends), _note(quantity, named)
        figure, axes = panel(says, note, quantity.ylabel)
        _curves(axes, quantity, named)
        legend_below(axes, _handles(figure), 3)
        found.append(Picture(quantity.name, says, quantity.meaning, note, figure))
    if with_lengths:
        says = _lengths_say(at_ends)
        figure, axes = panel(says, _undrawn(named), "share of the gradient's energy")
        _length_curves(axes, named)
        legend_below(axes, _handles(figure), 3)
        found.append(Picture("lengths", says, LENGTHS, _undrawn(named), figure))
    return found


def _overview(named: Sequence[Named], at_ends: Sequence[NamedEnds], with_lengths: bool) -> Picture:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.6 + 0.22 * math.ceil(len(named) / 4)), layout="constrained")
    for index, quantity in enumerate(QUANTITIES, 1):
        axes = figure.add_subplot(2, COLUMNS, index)
        titled(axes, _says(quantity, at_ends), NARROW, 9.5)
        axes.set_ylabel(quantity.ylabel)
        _curves(axes, quantity, named)
    if with_lengths:
        axes = figure.add_subplot(2, COLUMNS, len(QUANTITIES) + 1)
        titled(axes, _lengths_say(at_ends), NARROW, 9.5)
        axes.set_ylabel("share of the gradient's energy")
        _length_curves(axes, named)
    notes = " ".join(note for quantity in QUANTITIES if (note := _note(quantity, named)))
    legend = figure.legend(
        handles=_handles(figure), loc="outside lower center", ncols=4, fontsize=9, frameon=False, handlelength=3.2,
        title=wrapped(notes, 170) or None, title_fontproperties={"size": 8},
    )  # fmt: skip
    for text in (*legend.get_texts(), legend.get_title()):
        text.set_parse_math(False)
    says = "; ".join(_says(quantity, at_ends) for quantity in QUANTITIES)
    when = " before training" if all(signal.weights == INITIAL for _, signal in named) else ""
    meaning = f"{len(named)} networks{when}, over their units: the gradient runs from right to left."
    return Picture(OVERVIEW, says, meaning, notes, figure)


def _says(quantity: _Quantity, at_ends: Sequence[NamedEnds]) -> str:
    return between(at_ends, quantity.what, quantity.end, is_log=quantity.is_log)


def _note(quantity: _Quantity, named: Sequence[Named]) -> str:
    return not_drawn(*(gaps(f"{quantity.name} of {name}", quantity.curve(signal)) for name, signal in named))


def _curves(axes: Axes, quantity: _Quantity, named: Sequence[Named]) -> None:
    longest = max((signal for _, signal in named), key=lambda signal: len(signal.units))
    same = all(signal.stages == longest.stages for _, signal in named)
    over_units(axes, longest, stages=same)
    curves = [quantity.curve(signal) for _, signal in named]
    for (name, _), curve, look in zip(named, curves, _looks(named), strict=True):
        plot(axes, np.arange(1, len(curve) + 1), curve, name, look)
    room(axes, curves)
    if quantity.is_log:
        powers(axes)


def _lengths_say(at_ends: Sequence[NamedEnds]) -> str:
    return between(at_ends, "Branches that the gradient passes on average", lambda end: end.mean_length, is_log=False)


def _length_curves(axes: Axes, named: Sequence[Named]) -> None:
    for (name, signal), look in zip(named, _looks(named), strict=True):
        if signal.lengths is not None:
            shares = signal.lengths.measured[: last_length(signal.lengths)]
            plot(axes, np.arange(len(shares)), shares, name, look)
    axes.set_xlabel("branches passed")
    whole_numbers(axes)
    axes.set_ylim(bottom=0)


def _looks(named: Sequence[Named]) -> list[Look]:
    return looks([name for name, _ in named])


def _undrawn(named: Sequence[Named]) -> str:
    drawn = [(name, s.lengths.measured[: last_length(s.lengths)].sum()) for name, s in named if s.lengths is not None]
    said = "; ".join(f"{name}: {1 - share:.2g} of the energy" for name, share in drawn if 1 - share > NEGLIGIBLE)
    return f"Longer ways, not drawn: {said}." if said else ""


def _handles(figure: Figure) -> list[Line2D]:
    """A line for each network that has one in some panel, in the order of the networks that the first panel has."""
    lines = [line for axes in figure.axes for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    return list({str(line.get_label()): line for line in reversed(lines)}.values())[::-1]
