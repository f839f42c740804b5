"""Reading calibration data: samples like those a network is used on, from which int8 takes its ranges.

Arrays are what the network reads, as they are. Images are normalised first.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import SpecError, fail
from resdsl.network.types import Image, Shape, Vector

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

CODE = "calibration"
KEY = "input"
"""The array that is taken from a file with several; the name of the ONNX model's input."""
LIMIT = 1024
"""Samples that are read at most. Ranges hardly change beyond a few hundred."""
PICTURES = (".png", ".jpg", ".jpeg")
ARRAYS = (".npy", ".npz", ".safetensors")
Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """(pixel / 255 - mean) / std, with one number per colour, or one for all. Each std is above 0."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What torchvision's and most of timm's models are trained with."""
CIFAR10 = Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
"""Mean and standard deviation of CIFAR-10's training images."""
UNIT = Normalisation((0.0,), (1.0,))
"""Pixels from 0 to 1."""


def read_calibration(
    path: str | Path, shape: Shape, *, normalisation: Normalisation = IMAGENET, limit: int = LIMIT
) -> NDArray[np.float32]:
    """Samples for a network that reads `shape`: float32 of (n, *shape), n at most `limit`, spread evenly over the data.

    path: a .npy, .npz or .safetensors file with one array (n, *shape), or several and one of them called `input`; or a
    folder of .npy files, each with one sample or several; or a folder with images (png, jpg), also in folders below it.
    Arrays hold floating-point numbers as the network reads them. Images become RGB (grey for one channel), are scaled to
    cover height and width, cut to the centre, and normalised. Raises SpecError for anything else, and for NaN or infinity.
    """
    path = Path(path)
    if path.is_dir():
        return _finite(_folder(path, shape, normalisation, limit), path)
    if not path.is_file():
        raise fail(CODE, f"there is no calibration data {path}", help=f"a {', '.join(ARRAYS)} file, or a folder")
    if path.suffix.lower() not in ARRAYS:
        raise fail(CODE, f"{path} is no {', '.join(ARRAYS)} file", help="put images into a folder and name that")
    found = _checked(_array(path), shape, path)
    return _finite(_floats(found[_spread(len(found), limit)], path), path)


def _folder(folder: Path, shape: Shape, normalisation: Normalisation, limit: int) -> NDArray[np.float32]:
    try:
        files: list[Path] = sorted(
            file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")
        )
    except OSError as error:
        raise fail(CODE, f"{folder} cannot be read: {error.strerror or error}") from None
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    arrays = [file for file in files if file.suffix.lower() == ".npy"]
    if pictures and arrays:
        raise fail(CODE, f"{folder} holds images and .npy files", help="keep them in two folders and name one")
    if pictures:
        return _pictures([pictures[index] for index in _spread(len(pictures), limit)], shape, normalisation)
    if not arrays:
        raise fail(CODE, f"{folder} holds no calibration data", help="png, jpg or .npy files")
    parts: list[NDArray[np.float32]] = []
    for index in _spread(len(arrays), limit):
        file = arrays[index]
        found = _array(file)
        one = found[np.newaxis] if found.shape == extents(shape) else found
        parts.append(_finite(_floats(_checked(one, shape, file), file), file))
    joined = np.concatenate(parts)
    return joined[_spread(len(joined), limit)]


def extents(shape: Shape) -> tuple[int, ...]:
    """The sizes of one sample's axes."""
    match shape:
        case Image(channels=channels, height=height, width=width):
            return channels, height, width
        case Vector(features=features):
            return (features,)


def _array(path: Path) -> Array:
    """The array of a file. Nothing is unpickled."""
    kind = path.suffix.lower()
    try:
        if kind == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        if kind == ".npz":
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                return _one(list(file.files), lambda name: file[name], path)
    except SpecError:
        raise
    except (OSError, ValueError, EOFError, SyntaxError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise fail(CODE, f"{path} cannot be read: {_reason(error)}") from None
    except (zipfile.BadZipFile, zlib.error, MemoryError, OverflowError) as error:
        raise fail(CODE, f"{path} cannot be read: {_reason(error)}") from None
    from resdsl.weights.safetensors import read_safetensors

    try:
        tensors = read_safetensors(path)
    except SpecError as error:
        raise fail(CODE, error.diagnostics[0].message) from None
    return _one(list(tensors), tensors.__getitem__, path)


def _reason(error: Exception) -> str:
    """numpy's advice to allow pickles is not for files of strangers."""
    text = str(error).strip() or type(error).__name__
    return (
        "it holds Python objects, not numbers"
        if any(word in text for word in ("allow_pickle", "Object arrays", "Python objects"))
        else text
    )


def _one(names: Sequence[str], read: Callable[[str], Array], path: Path) -> Array:
    if len(names) == 1:
        return read(names[0])
    if KEY in names:
        return read(KEY)
    if not names:
        raise fail(CODE, f"{path} holds no array")
    message = f"{path} holds {len(names)} arrays, and none is called `{KEY}`"
    raise fail(CODE, message, notes=names, help=f"call the one that the network reads `{KEY}`")


def _checked(found: Array, shape: Shape, path: Path) -> Array:
    """found, if it is (n, *shape) of floating-point numbers."""
    expected = extents(shape)
    if np.issubdtype(found.dtype, np.integer):
        message = f"{path} holds {found.dtype}, and the network reads normalised floating-point numbers"
        raise fail(CODE, message, help="save it as float32 after the normalisation that the network was trained with")
    if not np.issubdtype(found.dtype, np.floating) and found.dtype.name != "bfloat16":
        raise fail(CODE, f"{path} holds {found.dtype}, not floating-point numbers")
    if found.shape[1:] != expected or found.ndim != len(expected) + 1:
        if found.shape == expected:
            help = "add a first axis: one sample is 1 x …"
        elif found.ndim == 4 and found.shape[1:] == (*expected[1:], expected[0]):
            help = "put the channels before height and width: x.transpose(0, 3, 1, 2)"
        else:
            help = ""
        message = f"{path} holds {_sizes(found.shape)}, and the network reads n x {_sizes(expected)}"
        raise fail(CODE, message, help=help)
    if not len(found):
        raise fail(CODE, f"{path} holds no samples")
    return found


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _spread(count: int, limit: int) -> list[int]:
    """Which of `count` to take: all, or `limit` at even distances. Data are often sorted by class."""
    return [index * count // limit for index in range(limit)] if count > limit else list(range(count))


def _floats(found: Array, path: Path) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(found, dtype=np.float32)
    except MemoryError:
        raise fail(CODE, f"{path} does not fit into memory", help="give fewer samples") from None


def _finite(found: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    if not np.isfinite(found).all():
        raise fail(CODE, f"{path} holds NaN, infinity or numbers too large for float32")
    return found


def _pictures(files: Sequence[Path], shape: Shape, normalisation: Normalisation) -> NDArray[np.float32]:
    if not isinstance(shape, Image) or shape.channels not in (1, 3):
        help = "give arrays: .npy, .npz or .safetensors"
        raise fail(CODE, f"the network reads {_sizes(extents(shape))}, and images have 3 channels or 1", help=help)
    if not all(0 < number < float("inf") for number in normalisation.std):
        raise fail(CODE, f"{normalisation.std} is no standard deviation", help="numbers above 0")
    mean, std = (_per_channel(part, shape.channels) for part in (normalisation.mean, normalisation.std))
    result = np.empty((len(files), *extents(shape)), np.float32)
    for index, file in enumerate(files):
        pixels = _pixels(file, shape)
        result[index] = (pixels / np.float32(255) - mean) / std
    return result


def _per_channel(numbers: tuple[float, ...], channels: int) -> NDArray[np.float32]:
    """For channels x height x width. Those of colours are averaged for a network that reads grey."""
    if len(numbers) not in (1, 3):
        raise fail(
            CODE, f"{len(numbers)} numbers are given to normalise with", help="one, or one for each of 3 channels"
        )
    result = np.array(numbers, np.float32).reshape(-1, 1, 1)
    return result.mean(axis=0, keepdims=True) if channels == 1 else result


def _pixels(file: Path, shape: Image) -> NDArray[np.uint8]:
    """channels x height x width. The whole file is decoded, so a truncated one is an error."""
    try:
        from PIL import Image as pillow  # noqa: N813
        from PIL import ImageOps
    except ModuleNotFoundError:
        raise fail("missing-library", "images are read with Pillow", help="pip install pillow") from None
    try:
        with pillow.open(file) as opened:
            picture: Picture = ImageOps.exif_transpose(opened).convert("RGB" if shape.channels == 3 else "L")
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error, pillow.DecompressionBombError) as error:
        raise fail(CODE, f"{file} cannot be read as an image: {error}") from None
    if picture.size != (shape.width, shape.height):
        picture = ImageOps.fit(picture, (shape.width, shape.height), pillow.Resampling.BICUBIC)
    pixels = np.asarray(picture, np.uint8).reshape(shape.height, shape.width, shape.channels)
    return pixels.transpose(2, 0, 1)
