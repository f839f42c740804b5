"""What a figure shows, in one sentence that is made from its numbers, and what it cannot show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from resdsl.analysis.quantities import Lengths, Signal
from resdsl.analysis.report.ends import Ends, ends
from resdsl.linter.words import counted, listed, power

UNKNOWN = "–"
Named = tuple[str, Signal]
"""A network's name in a figure, and its signals."""
NamedEnds = tuple[str, Ends]


def number(value: float) -> str:
    """Three digits; – for NaN."""
    return UNKNOWN if math.isnan(value) else f"{value:.3g}"


def factor(log10: float) -> str:
    """10 ** log10; – for NaN."""
    return UNKNOWN if math.isnan(log10) else power(log10)


def of_variance(signal: Signal) -> str:
    return f"At the end the stream's variance is {factor(ends(signal).log10_growth)} times what the first unit reads"


def of_ratio(signal: Signal) -> str:
    ratio = signal.variance_ratio
    known = np.flatnonzero(np.isfinite(ratio))
    if not len(known):
        return "Var(F) / Var(x) is nowhere finite"
    first, last = float(ratio[known[0]]), float(ratio[known[-1]])
    if len(known) == 1:
        return f"Var(F) / Var(x) is {number(first)} in {_unit(signal, known[0])}"
    verb = "falls" if last < first / 1.1 else "rises" if last > first * 1.1 else "goes"
    begin, end = _unit(signal, known[0]), _unit(signal, known[-1])
    return f"Var(F) / Var(x) {verb} from {number(first)} in {begin} to {number(last)} in {end}"


def of_direct(signal: Signal) -> str:
    end = ends(signal)
    share = "nothing" if end.log10_direct == -math.inf else factor(end.log10_direct)
    expected = (
        "there is no closed form" if math.isnan(end.log10_expected) else f"closed form {factor(end.log10_expected)}"
    )
    return f"Through the shortcuts alone {share} of the gradient's norm reaches the first unit; {expected}"


def of_cosine(signal: Signal) -> str:
    known = np.flatnonzero(np.isfinite(signal.cosine))
    if not len(known):
        return "Gradients of two inputs have no cosine"
    said = [f"{number(float(signal.cosine[i]))} at {_unit(signal, i)}" for i in dict.fromkeys(known[[0, -1]].tolist())]
    return f"Gradients of two inputs have cosine {' and '.join(said)}"


def _unit(signal: Signal, index: int) -> str:
    """By its place at an end, or by its name."""
    return "the first unit" if index == 0 else "the last" if index == len(signal.units) - 1 else signal.units[index]


def of_lengths(lengths: Lengths, units: int) -> str:
    mean, predicted = number(lengths.mean), number(lengths.predicted_mean)
    return f"The gradient passes {mean} of {units:,} branches on average; independent units would make it {predicted}"


def between(named: Sequence[NamedEnds], what: str, value: Callable[[Ends], float], *, is_log: bool) -> str:
    """`what: 5.6e-17 (scale_half) to 1.0 (resnet110)`, over the networks for which it is known."""
    known = [(value(end), name) for name, end in named]
    known = [(end, name) for end, name in known if not math.isnan(end)]
    if not known:
        return f"{what}: not known"
    shown = factor if is_log else number
    low, high = shown(min(known)[0]), shown(max(known)[0])
    if low == high:
        return f"{what}: {low}" + (" in all" if len(known) > 1 else "")
    least, most = ([name for end, name in known if shown(end) == each] for each in (low, high))
    return f"{what}: {low} ({listed(least, 2)}) to {high} ({listed(most, 2)})"


def gaps(label: str, values: NDArray[np.float64]) -> str:
    """`direct term: 0 in 3 of 54 units`, for what a line over units leaves out; empty if it has all points."""
    count = len(values)
    zero, unknown = int(np.isneginf(values).sum()), int(np.isnan(values).sum() + np.isposinf(values).sum())
    words = [f"0 in {zero:,} of {counted(count, 'unit')}"] if zero else []
    words += [f"unknown in {unknown:,} of {counted(count, 'unit')}"] if unknown else []
    return f"{label}: {', '.join(words)}" if words else ""


def not_drawn(*gaps: str) -> str:
    """One remark of several, without those that are empty."""
    words = [each for each in gaps if each]
    return f"Not drawn: {'; '.join(words)}." if words else ""
