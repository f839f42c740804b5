"""How far two outputs of a network are apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

FACTOR, FLOOR = 4.0, 1e-6
"""A float32 computation may be FACTOR times as far off as another one of the same network that rounds elsewhere, plus FLOOR."""


def relative_error(y: Array, reference: Array) -> float:
    """max|y - reference| / max|reference|; NaN where a number is not finite, or the shapes differ."""
    if y.shape != reference.shape or not (np.isfinite(y).all() and np.isfinite(reference).all()):
        return float("nan")
    return float(np.abs(y - reference).max() / max(float(np.abs(reference).max()), np.finfo(np.float64).tiny))


def agreement(y: Array, reference: Array) -> float | None:
    """The share of samples whose largest output is the same; None where outputs are no scores of several classes."""
    if y.ndim != 2 or y.shape[1] < 2 or not np.isfinite(y).all():
        return None
    return float((y.argmax(axis=1) == reference.argmax(axis=1)).mean())
