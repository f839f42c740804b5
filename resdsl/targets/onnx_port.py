"""What an ONNX model takes and gives, and arrays that are made to fit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail

if TYPE_CHECKING:
    import onnxruntime

Array = NDArray[np.generic]

TYPES = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a model. shape: extents, those that are left open by name."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int | str, ...]

    @property
    def sample(self) -> tuple[int | str, ...]:
        """The shape of one sample: all extents but the first, the batch."""
        return self.shape[1:]

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape, with its batch, is one of this port's."""
        pairs = zip(shape, self.shape, strict=False)
        return len(shape) == len(self.shape) and all(isinstance(own, str) or own == n for n, own in pairs)

    def __str__(self) -> str:
        return f"{self.name} {shape_text(self.shape)}"

    def fitted(self, x: Array, name: str, model: str) -> Array:
        """The array as the model takes it: one sample becomes a batch of one, floating-point numbers get the model's type.

        name, model: what the array and the model are called in errors. Raises SpecError if it does not fit.
        """
        batch = x[None] if x.ndim == len(self.shape) - 1 else x
        if not self.takes(batch.shape):
            message = f"{name} holds {shape_text(x.shape)}, and {model} takes {shape_text(self.shape)} as {self.name}"
            raise fail("wrong-input", message)
        if batch.size == 0:
            raise fail("wrong-input", f"{name} holds no samples: {shape_text(x.shape)}")
        if not _becomes(batch.dtype, self.dtype):
            message = f"{name} holds {x.dtype}, and {model} takes {self.dtype} as {self.name}"
            help = (
                "convert it, with the normalisation that the model was trained with" if self.dtype.kind == "f" else ""
            )
            raise fail("wrong-input", message, help=help)
        with np.errstate(over="ignore"):
            cast = np.ascontiguousarray(batch, dtype=self.dtype)
        if np.isfinite(batch).all() and not np.isfinite(cast).all():
            raise fail("wrong-input", f"{name} holds numbers too large for {self.dtype}, which {model} takes")
        return cast

    def random(self, batch: int, seed: int, model: str) -> Array:
        """Standard normal numbers, (batch, *sample). Raises SpecError if the model leaves more than the batch open or takes whole
        numbers.
        """
        open_extents = [extent for extent in self.sample if isinstance(extent, str)]
        if open_extents:
            message = (
                f"{model} leaves {', '.join(open_extents)} of its input {self} open, and random input needs a size"
            )
            raise fail("wrong-input", message, help="a file of the size that you mean")
        if self.dtype.kind != "f":
            raise fail("wrong-input", f"{model} takes {self.dtype} as {self.name}; random input is floating-point")
        generator = np.random.Generator(np.random.PCG64(seed))
        return generator.standard_normal((batch, *self.sample), np.float32).astype(self.dtype)


def port_of(model: str, argument: onnxruntime.NodeArg) -> Port:
    """An input or output, as ONNX Runtime describes it. Raises SpecError for what numpy has no numbers for."""
    if argument.type not in TYPES:
        message = f"{model} has {argument.type} as {argument.name}; numbers of these types are read and written: "
        raise fail("unsupported-model", message + ", ".join(str(dtype) for dtype in TYPES.values()))
    shape = tuple("?" if extent is None else extent for extent in argument.shape or ())
    return Port(argument.name, TYPES[argument.type], shape)


def shape_text(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _becomes(found: np.dtype[np.generic], taken: np.dtype[np.generic]) -> bool:
    """Whole numbers do not become floating-point ones: images of 0 to 255 would pass for normalised ones."""
    if taken.kind == "f":
        return found.kind == "f" or found.name == "bfloat16"
    return np.can_cast(found, taken, "safe")
