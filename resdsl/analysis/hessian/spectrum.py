"""What the eigenvalues of a Hessian come to: condition numbers, and on how much of the space the loss curves downwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERCENTILE = 10
"""Of the absolute eigenvalues, what Li et al. 2016 divide the largest by, as the smallest of a large matrix is unstable."""
ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""Times the root of their number and the largest absolute one: eigenvalues up to there are what rounding makes of zeros."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Of the eigenvalues of a symmetric matrix, by their absolute values.

    largest, percentile10, smallest: of the absolute values; what cannot be told from 0 is 0. condition: largest over percentile10,
    as Li et al. 2016 report it; exact_condition: largest over smallest. index: the share of eigenvalues below 0. zeros: how many
    are 0. None where it does not exist, because it would be a division by 0, or where it is not known.
    """

    largest: float
    percentile10: float | None
    smallest: float | None
    condition: float | None
    exact_condition: float | None
    index: float | None
    zeros: int | None


def spectrum(eigenvalues: NDArray[np.float64]) -> Spectrum:
    """Of all eigenvalues (p,), in any order.

    One is taken to be 0 if its absolute value is at most 4 eps sqrt(p) times the largest, eps = 2.2e-16. So a condition number is
    never above 1 / (4 eps sqrt(p)), 2e13 for p = 3,200. The percentile is interpolated, as numpy does. Raises ValueError
    for none, and for NaN and infinities.
    """
    if not eigenvalues.size or not np.isfinite(eigenvalues).all():
        raise ValueError("eigenvalues must be finite, and at least one")
    sizes = np.abs(eigenvalues)
    zero = sizes <= ROUNDING * np.sqrt(sizes.size) * sizes.max()
    sizes = np.where(zero, 0.0, sizes)
    largest, percentile10, smallest = float(sizes.max()), float(np.percentile(sizes, PERCENTILE)), float(sizes.min())
    return Spectrum(
        largest,
        percentile10,
        smallest,
        condition=largest / percentile10 if percentile10 else None,
        exact_condition=largest / smallest if smallest else None,
        index=float(np.mean((eigenvalues < 0) & ~zero)),
        zeros=int(zero.sum()),
    )
