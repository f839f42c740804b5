"""A network's signals from end to end, one number each: what networks are compared by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from resdsl.analysis.quantities import Signal
from resdsl.theory.path_gain import log10


@dataclass(frozen=True, slots=True)
class Ends:
    """log10_growth: variance behind the last unit over that before the first. mean_ratio: of Var(F) / Var(x), over the units where it is
    finite. log10_gradient, log10_direct, log10_expected, cosine: at the input of the first unit, as in Signal. log10_direct_in_stage: what
    the units of one stage leave of the direct term's norm, in the stage where that is farthest from 1; without the stage's first, which
    may change the shape or prepare the stream, and others that change the shape. worst_stage: that stage, None where no stage has such
    units, or nothing arrives at them. mean_length, predicted_length: branches that the gradient passes on average.

    NaN stands for what is not known or not measured, -inf for the logarithm of 0.
    """

    log10_growth: float
    mean_ratio: float
    log10_gradient: float
    log10_direct: float
    log10_expected: float
    log10_direct_in_stage: float
    worst_stage: str | None
    mean_length: float
    predicted_length: float
    cosine: float


def ends(signal: Signal) -> Ends:
    ratio = signal.variance_ratio
    known = ratio[np.isfinite(ratio)]
    lengths = signal.lengths
    worst, in_stage = max(_in_stages(signal).items(), key=lambda item: abs(item[1]), default=(None, math.nan))
    return Ends(
        log10(float(signal.output.variance[-1])) - log10(float(signal.stream.variance[0])),
        float(known.mean()) if len(known) else math.nan,
        float(signal.log10_gradient[0]),
        float(signal.log10_direct[0]),
        float(signal.log10_expected[0]),
        in_stage,
        worst,
        math.nan if lengths is None else lengths.mean,
        math.nan if lengths is None else lengths.predicted_mean,
        float(signal.cosine[0]),
    )


def _in_stages(signal: Signal) -> dict[str, float]:
    """By stage, where a direct term arrives there: the factor of all units that count, as a logarithm."""
    found: dict[str, float] = {}
    behind = [*signal.log10_direct[1:].tolist(), 0.0]
    for i, stage in enumerate(signal.stages):
        is_first = i == 0 or signal.stages[i - 1] != stage
        if not is_first and not math.isnan(signal.shortcut.mean[i]) and behind[i] != -math.inf:
            found[stage] = found.get(stage, 0.0) + float(signal.log10_direct[i]) - behind[i]
    return found
