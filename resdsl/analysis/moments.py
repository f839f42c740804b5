"""What is measured of a signal at one place."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Moments(NamedTuple):
    """See resdsl.analysis.quantities.Moments, of one unit."""

    mean_square: float = math.nan
    variance: float = math.nan

    @property
    def second(self) -> float:
        """The second moment."""
        return self.mean_square + self.variance


def moments(x: Tensor) -> Moments:
    """Of (samples, channels, …)."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    variance, mean = torch.var_mean(x.double(), dim=axes, correction=0)
    return Moments(float(mean.square().mean()), float(variance.mean()))


def mean_factor(source: Tensor, result: Tensor) -> float:
    """How much of the source the result holds, <result, source> / <source, source>; NaN for another shape, or a source of zeros."""
    if source.shape != result.shape:
        return math.nan
    source, result = source.double().flatten(), result.double().flatten()
    energy = float(source @ source)
    return float(result @ source) / energy if energy else math.nan


def mean_cosine(gradients: Tensor) -> float:
    """Of (samples, …), the mean over pairs of different samples; samples without a gradient are left out. NaN if fewer than 2 are left."""
    rows = gradients.flatten(1).double()
    norms = rows.norm(dim=1)
    rows = rows[norms > 0] / norms[norms > 0, None]
    count = len(rows)
    if count < 2:
        return math.nan
    return (float(rows.sum(dim=0).square().sum()) - count) / (count * (count - 1))
