"""Samples in files: arrays and images as they are given to a model, and outputs as they are written."""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import SpecError, fail
from resdsl.weights.safetensors import read_safetensors, write_safetensors

if TYPE_CHECKING:
    from PIL.Image import Image

Array: TypeAlias = NDArray[np.generic]

ARRAYS = (".npy", ".npz", ".safetensors")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


@dataclass(frozen=True, slots=True)
class Pixels:
    """What becomes of an image: values from 0 to 1, less `mean`, over `std`. Both have one number, or one for each of three
    colours, of which a model that takes one channel gets the average.

    channels, height, width: of the model's input. The defaults are ImageNet's.
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


def read_array(path: Path, name: str) -> Array:
    """The array in a .npy, .npz or .safetensors file: its only one, or the one called `name`. Raises SpecError."""
    match path.suffix.lower():
        case ".npy" | ".npz":
            found = _read_numpy(path)
        case ".safetensors":
            try:
                found = read_safetensors(path)
            except SpecError as error:
                raise SpecError([replace(d, code="unreadable") for d in error.diagnostics]) from None
        case _:
            raise fail(
                "unreadable", f"{path} is no file of samples", help=f"one that ends in {', '.join(ARRAYS + IMAGES)}"
            )
    if name not in found and len(found) != 1:
        held = f"{len(found)} arrays ({', '.join(found)})" if found else "no arrays"
        raise fail("wrong-input", f"{path} holds {held}", help=f"one array, or one called {name}")
    return found[name] if name in found else next(iter(found.values()))


def _read_numpy(path: Path) -> dict[str, Array]:
    try:
        loaded = cast("Array | np.lib.npyio.NpzFile", np.load(path, allow_pickle=False))
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded:
            return {name: cast("Array", loaded[name]) for name in loaded.files}
    except (OSError, ValueError, EOFError, SyntaxError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = "it holds Python objects" if "allow_pickle" in str(error) else str(error)
        raise fail("unreadable", f"{path} cannot be read as an array: {reason}") from None


def read_image(path: Path, pixels: Pixels) -> NDArray[np.float32]:
    """An image, (channels, height, width): RGB or grey, resized to cover the model's height and width, cut to the middle.

    Raises SpecError if it is no image, or pillow is not installed.
    """
    if pixels.channels not in (1, 3):
        raise fail("wrong-input", f"{path} is an image, and the model takes {pixels.channels} channels, not 1 or 3")
    mean, std = (_for_channels(part, pixels.channels) for part in (pixels.mean, pixels.std))
    shape = pixels.height, pixels.width, pixels.channels
    values = np.asarray(_open_image(path, pixels), np.float32).reshape(shape).transpose(2, 0, 1) / np.float32(255)
    return np.ascontiguousarray((values - mean) / std)


def _for_channels(numbers: tuple[float, ...], channels: int) -> NDArray[np.float32]:
    """(channels, 1, 1), or one number for all."""
    if len(numbers) not in (1, 3):
        raise fail("wrong-input", f"{len(numbers)} numbers are given to normalise with", help="one, or one for each of 3 channels")  # fmt: skip
    found = np.asarray(numbers, np.float32)[:, None, None]
    return found.mean(axis=0, keepdims=True) if channels == 1 else found


def _open_image(path: Path, pixels: Pixels) -> Image:
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        raise fail("missing-library", "images are read with pillow, which is not installed", help="pip install pillow") from None  # fmt: skip
    try:
        with Image.open(path) as image:
            read = ImageOps.exif_transpose(image).convert("L" if pixels.channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, EOFError, zlib.error, Image.DecompressionBombError) as error:
        raise fail("unreadable", f"{path} cannot be read as an image: {error}") from None
    size = pixels.width, pixels.height
    return read if read.size == size else ImageOps.fit(read, size, Image.Resampling.BICUBIC)


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
