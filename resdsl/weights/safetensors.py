"""Weights on disk as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import ml_dtypes  # noqa: F401  # pyright: ignore[reportUnusedImport]  (it teaches numpy bfloat16)
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save  # pyright: ignore[reportUnknownVariableType]

from resdsl.diagnostics import fail


def write_safetensors(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """The bytes of a file that holds these arrays under these names."""
    return save(dict(arrays), metadata={"format": "pt"})


def read_safetensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """Name -> array, as in the file. Raises SpecError for a file that is truncated or no safetensors file."""
    try:
        return load_file(path)
    except AttributeError as error:  # numpy has no such type
        raise fail("weights", f"{path} holds numbers of a type that is not read: {error.name}") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise fail("weights", f"{path} cannot be read as safetensors: {error}") from None
