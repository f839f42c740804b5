"""The tensors of an ONNX model: which numbers they hold, derived from the network's weights, in which type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeAlias, assert_never

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.network.evaluate import standardised
from resdsl.targets.precision import Precision

Array: TypeAlias = NDArray[np.generic]
Weights: TypeAlias = Mapping[str, NDArray[np.floating]]

FLOATS: dict[Precision, np.dtype] = {
    Precision.FP32: np.dtype(np.float32),
    Precision.FP16: np.dtype(np.float16),
    Precision.BF16: np.dtype(ml_dtypes.bfloat16),
}
"""The types of a typed graph. int8 is none of them: quantised graphs have several."""

ONNX_TYPES: dict[np.dtype, int] = {
    FLOATS[Precision.FP32]: onnx.TensorProto.FLOAT,
    FLOATS[Precision.FP16]: onnx.TensorProto.FLOAT16,
    FLOATS[Precision.BF16]: onnx.TensorProto.BFLOAT16,
    np.dtype(np.int64): onnx.TensorProto.INT64,
    np.dtype(np.int32): onnx.TensorProto.INT32,
    np.dtype(np.int8): onnx.TensorProto.INT8,
    np.dtype(np.uint8): onnx.TensorProto.UINT8,
}


@dataclass(frozen=True, slots=True)
class Initialiser:
    """A tensor whose numbers are made when they are written, so that the converted copies never stand side by side."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], Array]

    @property
    def size(self) -> int:
        """In bytes."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))

    def data(self) -> NDArray[np.uint8]:
        """The numbers as ONNX stores them: row by row, little-endian. The weight's own memory where it is that already."""
        with np.errstate(under="ignore"):
            array = self.make().astype(self.dtype.newbyteorder("<"), copy=False)
        return np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    def header(self) -> onnx.TensorProto:
        """Name, shape and type, without the numbers."""
        return onnx.TensorProto(name=self.name, dims=self.shape, data_type=ONNX_TYPES[self.dtype])


# How a tensor follows from the network's weights.


@dataclass(frozen=True, slots=True)
class AsItIs:
    """The weight of this name."""


@dataclass(frozen=True, slots=True)
class Standardised:
    """Filters that are standardised and multiplied by their gain."""

    eps: float


@dataclass(frozen=True, slots=True)
class Normalised:
    """A BatchNorm's four tensors with mean 0 and variance 1: the same function, its parameters hold the statistics.

    y = w / sqrt(v + eps) * (x - m) + b is the BatchNorm of weight w * sqrt((1 + eps) / (v + eps)), bias
    b - m * w / sqrt(v + eps), mean 0 and variance 1. So no variance leaves the range of 16 bits, and two numbers a channel
    are rounded instead of four.
    """

    eps: float


Derivation: TypeAlias = AsItIs | Standardised | Normalised
AS_IT_IS = AsItIs()


def derived(name: str, how: Derivation, weights: Weights) -> Array:
    """The numbers of the tensor `name`, in float32 or float64."""
    layer, _, part = name.rpartition(".")
    match how:
        case AsItIs():
            return weights[name]
        case Standardised(eps=eps):
            gain = weights[f"{layer}.gain"]
            return standardised(weights[name].astype(np.float64), gain.astype(np.float64), eps)
        case Normalised(eps=eps):
            weight, bias, mean, variance = (
                weights[f"{layer}.{other}"].astype(np.float64)
                for other in ("weight", "bias", "running_mean", "running_var")
            )
            match part:
                case "weight":
                    return weight * np.sqrt((1 + eps) / (variance + eps))
                case "bias":
                    return bias - mean * weight / np.sqrt(variance + eps)
                case "running_mean":
                    return np.zeros_like(mean)
                case _:
                    return np.ones_like(variance)
    assert_never(how)


def require_range(name: str, numbers: Array, precision: Precision) -> None:
    """Raises SpecError if rounding to `precision` makes infinity of one of the numbers; what is too small becomes 0."""
    if precision is Precision.FP32 or not numbers.size:
        return
    largest = max(float(numbers.max()), -float(numbers.min()))
    with np.errstate(over="ignore"):
        if np.isfinite(np.asarray(largest).astype(FLOATS[precision])):
            return
    _out_of_range(name, largest, precision)


def _out_of_range(name: str, largest: float, precision: Precision) -> NoReturn:
    most = float(ml_dtypes.finfo(FLOATS[precision]).max)
    message = f"{name} holds {largest:.5g}, and {precision.value} ends at {most:.5g}"
    instead = (
        "`--precision bf16`, which has the range of float32" if precision is Precision.FP16 else "`--precision fp32`"
    )
    raise fail("out-of-range", message, help=f"write with {instead}")
