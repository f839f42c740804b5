"""What a trained model says of its data: how inputs are normalised, and what its classes are called."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail

NORMALISATION, CLASSES = "resdsl.normalisation", "resdsl.classes"
"""Keys in the metadata of an ONNX model, and of what stands beside an engine."""
MOST_AXES = 3
PIXEL = 255
"""What pixels, 0 to 255, are divided by."""

_Nested: TypeAlias = "float | list[_Nested]"


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """(x / divisor - mean) / std. divisor: PIXEL for images of bytes, 1 for numbers as they are. mean, std: float32, of the input's
    number of axes, 1 where all elements of an axis have the same.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    divisor: int = 1

    def of(self, inputs: NDArray[np.floating]) -> NDArray[np.float32]:
        """inputs: (n, *shape) or one sample, divided already. Raises SpecError for inputs of another shape."""
        try:
            found = ((inputs - self.mean) / self.std).astype(np.float32)
        except ValueError:
            found = None
        if found is None or found.shape != inputs.shape:
            sizes = " x ".join(map(str, np.broadcast_shapes(self.mean.shape, self.std.shape)))
            raise fail("normalisation", f"the model's normalisation is for {sizes}, and this is {inputs.shape}")
        return found


def normalisation_text(by: Recorded) -> str:
    """JSON, for `recorded_normalisation`: nested lists and their shape, numbers as short as float32 comes back from."""
    parts = {
        name: {"shape": list(part.shape), "values": _short(part.tolist())}
        for name, part in (("mean", by.mean), ("std", by.std))
    }
    return json.dumps({"divisor": by.divisor} | parts)


def classes_text(classes: Sequence[str]) -> str:
    """JSON, for `recorded_classes`."""
    return json.dumps(list(classes), ensure_ascii=False)


def recorded_normalisation(text: str, name: str) -> Recorded:
    """What normalisation_text wrote. name: of the file, for errors. Raises SpecError for any other text."""
    try:
        document = json.loads(text)
        mean, std = (_array(document[part]["values"], tuple(document[part]["shape"])) for part in ("mean", "std"))
        if mean.ndim != std.ndim or not (std > 0).all():
            raise ValueError("mean and std do not go together")
        np.broadcast_shapes(mean.shape, std.shape)
        divisor = document.get("divisor", 1)
        if divisor not in (1, PIXEL):
            raise ValueError(f"inputs are divided by {divisor!r}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise fail("unreadable", f"the normalisation in {name} cannot be read: {error}") from None
    return Recorded(mean, std, int(divisor))


def normalisation_of(metadata: Mapping[str, str], name: str) -> Recorded | None:
    """What a model's metadata say, None if they say nothing. Raises SpecError."""
    return recorded_normalisation(metadata[NORMALISATION], name) if NORMALISATION in metadata else None


def classes_of(metadata: Mapping[str, str], name: str) -> tuple[str, ...] | None:
    """The names of a model's classes, None if its metadata do not say. Raises SpecError."""
    if CLASSES not in metadata:
        return None
    try:
        found = cast("object", json.loads(metadata[CLASSES]))
    except (ValueError, RecursionError) as error:
        raise fail("unreadable", f"the classes in {name} cannot be read: {error}") from None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in cast("list[object]", found)):
        raise fail("unreadable", f"the classes in {name} are no list of names")
    return tuple(cast("list[str]", found))


def _short(value: _Nested) -> _Nested:
    """As float32 prints its numbers: they come back as they were, and are half as long as float64's."""
    if isinstance(value, list):
        return [_short(part) for part in value]
    return float(str(np.float32(value)))


def _array(values: _Nested, shape: tuple[int, ...]) -> NDArray[np.float32]:
    found = np.array(values, np.float32)
    if found.shape != shape or not 1 <= found.ndim <= MOST_AXES or not math.isfinite(float(found.sum())):
        raise ValueError(f"{'x'.join(map(str, found.shape))} numbers where {'x'.join(map(str, shape))} are said")
    return found
