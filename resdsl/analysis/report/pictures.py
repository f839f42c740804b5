"""One network's signals as figures, over its units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from resdsl.analysis.quantities import Lengths, Signal
from resdsl.analysis.report import sentences
from resdsl.analysis.report.panels import Floats, legend_below, log10, over_units, panel, spans_decades, whole_numbers
from resdsl.analysis.report.text import NEGLIGIBLE
from resdsl.analysis.style import BLACK, BLUE, ORANGE, VERMILLION, Look, plot, powers, room

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_SHARE = 1e-4
"""Of the gradient's energy: the shares of path lengths are drawn as far as one is above it."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """name: of its files. says: what it shows, its title. meaning: what its lines are. note: what it leaves out; empty for nothing."""

    name: str
    says: str
    meaning: str
    note: str
    figure: Figure


def pictures(signal: Signal) -> list[Picture]:
    """All that there is something to draw of. Inside `drawing`."""
    return list(_pictures(signal))


def _pictures(signal: Signal) -> Iterator[Picture]:
    yield _variance(signal)
    yield _ratio(signal)
    yield _gradient(signal)
    if np.isfinite(signal.cosine).any():
        yield _cosine(signal)
    if signal.lengths is not None and not math.isnan(signal.lengths.mean):
        yield _lengths(signal, signal.lengths)


def _variance(signal: Signal) -> Picture:
    series = {
        "stream, Var(x)": (signal.stream.variance, Look(BLUE, "-", "o")),
        "branch, Var(F)": (signal.branch.variance, Look(VERMILLION, "--", "s")),
        "stream, squared mean": (signal.stream.mean_square, Look(ORANGE, ":", "^")),
    }
    is_log = spans_decades(signal.stream.variance, signal.branch.variance)
    drawn = {label: (log10(values) if is_log else values, look) for label, (values, look) in series.items()}
    says = sentences.of_variance(signal)
    note = sentences.not_drawn(*(sentences.gaps(label, values) for label, (values, _) in drawn.items()))
    figure = _lines(signal, says, note, "second moment, by parts", drawn, is_log=is_log)
    meaning = (
        "The signal at the units' inputs and at the ends of their branches: its variance within channels, and the "
        "square of the channels' means, each averaged over channels."
    )
    return Picture("signal", says, meaning, note, figure)


def _ratio(signal: Signal) -> Picture:
    ratio = log10(signal.variance_ratio)
    unit = np.arange(1, len(ratio) + 1)
    drawn = {"Var(F) / Var(x)": (ratio, Look(BLUE, "-", "o")), "1 / unit": (-np.log10(unit), Look(BLACK, ":", ""))}
    says = sentences.of_ratio(signal)
    note = sentences.not_drawn(sentences.gaps("Var(F) / Var(x)", ratio))
    figure = _lines(signal, says, note, "Var(F) / Var(x)", drawn, is_log=True)
    meaning = "How much each branch adds to the stream. Branches of equal variance that add up give 1 / unit, the dotted line."
    return Picture("ratio", says, meaning, note, figure)


def _gradient(signal: Signal) -> Picture:
    drawn = {
        "gradient": (signal.log10_gradient, Look(BLUE, "-", "o")),
        "direct term, measured": (signal.log10_direct, Look(VERMILLION, "--", "s")),
        "direct term, closed form": (signal.log10_expected, Look(BLACK, ":", "D")),
    }
    says = sentences.of_direct(signal)
    note = sentences.not_drawn(*(sentences.gaps(label, values) for label, (values, _) in drawn.items()))
    figure = _lines(signal, says, note, "norm, of that at the end", drawn, is_log=True)
    meaning = (
        "The gradient's norm at the units' inputs, over that behind the last unit: all of it, and the direct term, which "
        "comes back through the shortcuts and what follows the additions, past every branch."
    )
    return Picture("gradient", says, meaning, note, figure)


def _cosine(signal: Signal) -> Picture:
    says, note = sentences.of_cosine(signal), sentences.not_drawn(sentences.gaps("cosine", signal.cosine))
    figure, axes = panel(says, note, "cosine")
    plot(axes, over_units(axes, signal), signal.cosine, "cosine", Look(BLUE, "-", "o"))
    axes.set_ylim(min(-0.05, float(np.nanmin(signal.cosine)) - 0.05), 1.08)
    meaning = (
        "The mean cosine between the gradients of two samples at a unit's input. Near 1 the inputs ask for the same "
        "change; near 0 the gradients look like noise."
    )
    return Picture("cosine", says, meaning, note, figure)


def _lengths(signal: Signal, lengths: Lengths) -> Picture:
    says = sentences.of_lengths(lengths, len(signal.units))
    end = last_length(lengths)
    undrawn = max(1 - float(lengths.measured[:end].sum()), 1 - float(lengths.predicted[:end].sum()))
    note = f"Beyond the last bar lies {undrawn:.2g} of the energy." if undrawn > NEGLIGIBLE else ""
    figure, axes = panel(says, note, "share of the gradient's energy")
    at = np.arange(end)
    measured, predicted = lengths.measured[:end], lengths.predicted[:end]
    axes.bar(
        np.arange(len(measured)), measured, width=0.8, color="#9ecae8", edgecolor=BLUE, linewidth=0.6, label="measured"
    )
    plot(axes, at[: len(predicted)], predicted, "independent units (Poisson-binomial)", Look(VERMILLION, "--", "s"))
    axes.set_xlabel("branches passed")
    axes.set_ylim(bottom=0)
    whole_numbers(axes)
    legend_below(axes, axes.get_legend_handles_labels()[0], 2)
    meaning = (
        "How many branches the gradient's energy passed between the end and the first unit's input, beside what units "
        "that share nothing would give."
    )  # fmt: skip
    return Picture("lengths", says, meaning, note, figure)


def last_length(lengths: Lengths) -> int:
    """How many lengths have to be drawn so that no share above LEAST_SHARE is left out, and one more."""
    known = [np.flatnonzero(shares > LEAST_SHARE) for shares in (lengths.measured, lengths.predicted)]
    return max([int(each[-1]) for each in known if len(each)] + [0]) + 2


def _lines(
    signal: Signal, says: str, note: str, ylabel: str, drawn: dict[str, tuple[Floats, Look]], *, is_log: bool
) -> Figure:
    figure, axes = panel(says, note, ylabel)
    at = over_units(axes, signal)
    for label, (values, look) in drawn.items():
        plot(axes, at, values, label, look)
    room(axes, [values for values, _ in drawn.values()])
    if is_log:
        powers(axes)
    if axes.get_lines():
        legend_below(axes, axes.get_legend_handles_labels()[0], 3)
    return figure
