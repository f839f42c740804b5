"""The two forms of an int8 graph, and the numbers of one tensor: its scale and its zero point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from resdsl.targets.precision import Form

INT8_MAX = 127
"""Symmetric int8 leaves -128 out."""
UINT8_MAX = 255
BIAS_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Quantised:
    """An integer q stands for scale * (q - zero_point). zero_point is uint8 or int8: the type of q."""

    scale: np.float32
    zero_point: np.uint8 | np.int8


def activation(low: float, high: float, form: Form) -> Quantised:
    """The scale for values from low to high; 0 is always exact, and values outside saturate."""
    low, high = min(low, 0.0), max(high, 0.0)
    match form:
        case Form.ORT_CPU:
            scale = _scale((high - low) / UINT8_MAX)
            return Quantised(scale, np.uint8(np.clip(np.rint(-low / scale), 0, UINT8_MAX)))
        case Form.TENSORRT:
            return Quantised(_scale(max(-low, high) / INT8_MAX), np.int8(0))
    assert_never(form)


def weight_scales(weight: NDArray[np.float32], bias: NDArray[np.float32] | None, x: Quantised) -> NDArray[np.float32]:
    """One scale per output channel (axis 0) of a convolution or linear layer that reads x.

    With a bias: one whose unit, x.scale times this, lets the bias fit into int32. A channel of zeros with a bias needs it.
    """
    largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1).astype(np.float64)
    scales = largest / INT8_MAX
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias.astype(np.float64)) / (float(x.scale) * BIAS_MAX) * 1.0001)
    return np.where(scales < np.finfo(np.float32).tiny, 1, scales).astype(np.float32)


def integers(weight: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.int8]:
    """The weight in units of its channels' scales."""
    per_channel = scales.reshape(-1, *(1,) * (weight.ndim - 1))
    return np.clip(np.rint(weight / per_channel), -INT8_MAX, INT8_MAX).astype(np.int8)


def bias_integers(bias: NDArray[np.float32], unit: NDArray[np.float32]) -> NDArray[np.int32]:
    """The bias in units of input scale times weight scale, which is what the sums of products are counted in."""
    return np.clip(np.rint(bias.astype(np.float64) / unit), -BIAS_MAX, BIAS_MAX).astype(np.int32)


def _scale(value: float) -> np.float32:
    """Constant tensors have no range; any scale serves, and 0 would divide."""
    return np.float32(value if value >= np.finfo(np.float32).tiny else 1.0)
