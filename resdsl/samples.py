"""Samples in files: arrays and images as they are given to a model, and outputs as they are written."""

from __future__ import annotations

import io
import json
import math
import zipfile
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
    """What becomes of an image: values from 0 to 1, less `mean`, over `std`, of each channel or of all alike.

    channels, height, width: of the model's input.
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


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
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = "it holds Python objects" if "allow_pickle" in str(error) else str(error)
        raise fail("unreadable", f"{path} cannot be read as an array: {reason}") from None


def read_image(path: Path, pixels: Pixels) -> NDArray[np.float32]:
    """An image, (channels, height, width): its shorter side is resized to the model's, and the middle is taken.

    One channel is grey, three are RGB. Raises SpecError if it is no image, or pillow is not installed.
    """
    if pixels.channels not in (1, 3):
        raise fail("wrong-input", f"{path} is an image, and the model takes {pixels.channels} channels, not 1 or 3")
    for what, values in (("mean", pixels.mean), ("std", pixels.std)):
        if len(values) not in (1, pixels.channels):
            message = f"{len(values)} numbers are given as the {what} of {pixels.channels} channels"
            raise fail("wrong-input", message, help=f"one, or {pixels.channels}" if pixels.channels != 1 else "one")
    image = _open_image(path, "L" if pixels.channels == 1 else "RGB")
    height, width = pixels.height, pixels.width
    scale = max(height / image.height, width / image.width)
    if (image.height, image.width) != (height, width):
        from PIL.Image import Resampling

        size = max(width, round(image.width * scale)), max(height, round(image.height * scale))
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        image = image.resize(size, Resampling.BILINEAR).crop((left, top, left + width, top + height))
    values = np.asarray(image, np.float32).reshape(height, width, pixels.channels).transpose(2, 0, 1) / np.float32(255)
    mean, std = (np.asarray(part, np.float32)[:, None, None] for part in (pixels.mean, pixels.std))
    return np.ascontiguousarray((values - mean) / std)


def _open_image(path: Path, mode: str) -> Image:
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        raise fail("missing-library", "images are read with pillow, which is not installed", help="pip install pillow") from None  # fmt: skip
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert(mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise fail("unreadable", f"{path} cannot be read as an image: {error}") from None


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
