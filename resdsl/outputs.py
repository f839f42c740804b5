"""Outputs of a model as files: arrays under their names."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from resdsl.weights.safetensors import write_safetensors

Array: TypeAlias = NDArray[np.generic]


def written(arrays: Mapping[str, Array], suffix: str) -> bytes:
    """The bytes of a file that holds these arrays. suffix: one of WRITERS; `.npy` holds the only one."""
    return WRITERS[suffix](arrays)


def _npy(arrays: Mapping[str, Array]) -> bytes:
    (array,) = arrays.values()
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _npz(arrays: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def _json(arrays: Mapping[str, Array]) -> bytes:
    document = {
        name: {"shape": list(array.shape), "dtype": str(array.dtype), "values": numbers(array)}
        for name, array in arrays.items()
    }
    return (json.dumps(document) + "\n").encode()


WRITERS: dict[str, Callable[[Mapping[str, Array]], bytes]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".safetensors": write_safetensors,
    ".json": _json,
}


def numbers(array: Array) -> object:
    """The array's numbers as nested lists; None for what JSON has no number for."""
    return _finite(cast("object", array.tolist()))


def _finite(value: object) -> object:
    if isinstance(value, list):
        return [_finite(part) for part in cast("Sequence[object]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value
