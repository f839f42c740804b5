"""A network's signals from end to end, one number each: what networks are compared by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from resdsl.analysis.quantities import Signal


@dataclass(frozen=True, slots=True)
class Ends:
    """log10_growth: variance behind the last unit over that before the first. mean_ratio: of Var(F) / Var(x), over the units where it is
    finite. log10_gradient, log10_direct, log10_expected, cosine: at the input of the first unit, as in Signal. mean_length,
    predicted_length: branches that the gradient passes on average.

    NaN stands for what is not known or not measured, -inf for the logarithm of 0.
    """

    log10_growth: float
    mean_ratio: float
    log10_gradient: float
    log10_direct: float
    log10_expected: float
    mean_length: float
    predicted_length: float
    cosine: float


def ends(signal: Signal) -> Ends:
    ratio = signal.variance_ratio
    known = ratio[np.isfinite(ratio)]
    lengths = signal.lengths
    return Ends(
        _log10(float(signal.output.variance[-1])) - _log10(float(signal.stream.variance[0])),
        float(known.mean()) if len(known) else math.nan,
        float(signal.log10_gradient[0]),
        float(signal.log10_direct[0]),
        float(signal.log10_expected[0]),
        math.nan if lengths is None else lengths.mean,
        math.nan if lengths is None else lengths.predicted_mean,
        float(signal.cosine[0]),
    )


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf
