"""Samples in files, as a network or model is given them: arrays as they are, images normalised."""

from __future__ import annotations

import math
import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import SpecError, fail
from resdsl.network.types import Image, Shape, Vector
from resdsl.weights.safetensors import read_safetensors

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Array: TypeAlias = NDArray[np.generic]

ARRAYS = (".npy", ".npz", ".safetensors")
MAGIC = {".npy": np.lib.format.MAGIC_PREFIX, ".npz": b"PK"}
"""How numpy's files begin; it takes any other for a pickle."""
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
INPUT = "input"
"""The array that is taken from a file with several; the name of an ONNX model's input."""
LIMIT = 1024
"""Samples that are read at most. The ranges of activations hardly change beyond a few hundred."""


@dataclass(frozen=True, slots=True)
class Normalisation:
    """(pixel / 255 - mean) / std, with one number for each of three colours, or one for all.

    What takes one channel gets their average. Raises SpecError for other counts, and for a std that is not above 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for numbers in (self.mean, self.std):
            if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
                message = f"{_listed(numbers)} does not normalise images"
                raise fail("normalisation", message, help="give one number, or one for each of 3 colours")
        if min(self.std) <= 0:
            raise fail("normalisation", f"{_listed(self.std)} is no standard deviation", help="give numbers above 0")


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What torchvision's and most of timm's models are trained with."""
CIFAR10 = Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
"""Mean and standard deviation of CIFAR-10's training images."""
UNIT = Normalisation((0.0,), (1.0,))
"""Pixels from 0 to 1."""


def read_samples(
    path: str | Path, shape: Shape, *, normalisation: Normalisation = IMAGENET, limit: int = LIMIT
) -> NDArray[np.float32]:
    """Samples for a network that reads `shape`: float32 of (n, *shape), n at most `limit`, spread evenly over the data.

    path: a file that read_array or read_image reads, or a folder of such files, also in folders below it: all arrays or
    all images. Arrays hold one sample or (n, *shape), floating-point numbers as the network reads them. Raises SpecError
    for anything else, and for NaN or infinity.
    """
    path = Path(path)
    files = _files(path) if os.path.isdir(path) else [path]
    files = [files[index] for index in spread(len(files), limit)]
    if is_image(files[0]):
        result = np.empty((len(files), *_extents(shape)), np.float32)
        for index, file in enumerate(files):
            result[index] = read_image(file, shape, normalisation)
        return result
    if len(files) == 1:
        found = _fitted(read_array(path := files[0], INPUT), shape, path)
        return _floats(found, spread(len(found), limit), path)
    return _from_several(files, shape, limit)


def given_samples(array: Array, shape: Shape, name: str = "the calibration") -> NDArray[np.float32]:
    """Samples that are in memory: float32 of (n, *shape), under the rules of read_samples. Raises SpecError."""
    found = _fitted(np.asarray(array), shape, name)
    return _floats(found, range(len(found)), name)


def spread(count: int, limit: int) -> list[int]:
    """Which of `count` to take: all, or `limit` at even distances. Data are often sorted by class."""
    return [index * count // limit for index in range(limit)] if count > limit else list(range(count))


def is_image(path: Path) -> bool:
    """Whether the file's name says that it is an image."""
    return path.suffix.lower() in IMAGES


def read_array(path: Path, name: str, *, by_name: bool = False) -> Array:
    """The array in a .npy, .npz or .safetensors file: its only one, or the one called `name`. Nothing is unpickled.

    by_name: another name will not do, and so no .npy file, which has none. That of a .npy file may be mapped from it. Raises SpecError.
    """
    _require_file(path)
    if by_name:
        return _named(path, name)
    match path.suffix.lower():
        case ".npy" | ".npz":
            return _read_numpy(path, name)
        case ".safetensors":
            return _chosen(_read_safetensors(path), name, path)
        case _:
            help = f"give one that ends in {', '.join(ARRAYS + IMAGES)}"
            raise fail("unreadable", f"{path} is no file of samples", help=help)


def read_image(path: Path, shape: Shape, normalisation: Normalisation = IMAGENET) -> NDArray[np.float32]:
    """An image, (channels, height, width): RGB or grey, scaled to cover height and width, cut to the centre, normalised.

    Raises SpecError if it is no image, if the shape is none of an image, or pillow is not installed.
    """
    _require_file(path)
    if not isinstance(shape, Image) or shape.channels not in (1, 3):
        help = f"images have 3 channels or 1; give arrays: {', '.join(ARRAYS)}"
        raise fail("wrong-input", f"{path} is an image, and no image becomes {_sizes(_extents(shape))}", help=help)
    mean, std = (_per_channel(part, shape.channels) for part in (normalisation.mean, normalisation.std))
    pixels = np.asarray(_picture(path, shape), np.float32).reshape(shape.height, shape.width, shape.channels)
    return np.ascontiguousarray((pixels.transpose(2, 0, 1) / np.float32(255) - mean) / std)


def _named(path: Path, name: str) -> Array:
    help = f"a .npz or .safetensors file with an array called {name}"
    match path.suffix.lower():
        case ".npz":
            return _read_numpy(path, name, by_name=True)
        case ".safetensors":
            return _chosen(_read_safetensors(path), name, path, by_name=True)
        case ".npy":
            raise fail("wrong-input", f"{path} holds one array, and it has no name", help=help)
        case _:
            raise fail("unreadable", f"{path} holds no named arrays", help=help)


def _files(folder: Path) -> list[Path]:
    """The folder's files, all arrays or all images, at least one."""
    try:
        found = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise fail("unreadable", f"{folder} cannot be read: {error.strerror or error}") from None
    images = [file for file in found if is_image(file)]
    arrays = [file for file in found if file.suffix.lower() in ARRAYS]
    if images and arrays:
        raise fail("wrong-input", f"{folder} holds images and arrays", help="keep them in two folders and name one")
    if not images and not arrays:
        raise fail("wrong-input", f"{folder} holds no samples", help=f"files that end in {', '.join(ARRAYS + IMAGES)}")
    return images or arrays


def _require_file(path: Path) -> None:
    if os.path.isdir(path):
        raise fail("unreadable", f"{path} is a folder", help="name a file in it")
    if not os.path.isfile(path):
        raise fail("unreadable", f"there is no file {path}")


def _read_numpy(path: Path, name: str, *, by_name: bool = False) -> Array:
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as stream:
            if not stream.read(len(MAGIC[suffix])).startswith(MAGIC[suffix]):
                raise fail("unreadable", f"{path} cannot be read as an array: it is no {suffix} file")
        if suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return _chosen(file, name, path, by_name=by_name)
    except SpecError:
        raise
    except Exception as error:  # in a damaged file, numpy's, zipfile's and tokenize's parsers raise all sorts
        raise fail("unreadable", f"{path} cannot be read as an array: {_reason(error)}") from None


def _read_safetensors(path: Path) -> dict[str, Array]:
    try:
        return read_safetensors(path)
    except SpecError as error:
        raise SpecError([replace(d, code="unreadable") for d in error.diagnostics]) from None


def _reason(error: Exception) -> str:
    """numpy's advice to allow pickles is not for files of strangers."""
    text = str(error).strip() or type(error).__name__
    pickled = any(word in text for word in ("allow_pickle", "Object arrays", "Python objects"))
    return "it holds Python objects, not numbers" if pickled else text


def _chosen(arrays: Mapping[str, Array], name: str, path: Path, *, by_name: bool = False) -> Array:
    names = list(arrays)
    if by_name and name not in names:
        raise fail("wrong-input", f"{path} holds no array called {name}", notes=names, help=f"call one {name}")
    if name not in names and len(names) != 1:
        message = f"{path} holds {len(names)} arrays, and none is called {name}" if names else f"{path} holds no array"
        raise fail("wrong-input", message, notes=names, help=f"give one array, or call one {name}")
    return arrays[name if name in names else names[0]]


def _from_several(files: Sequence[Path], shape: Shape, limit: int) -> NDArray[np.float32]:
    """At most `limit` samples, spread evenly over those of all files. Each file is read twice, first for how many it
    holds, so that no more is held than what is returned and one file.
    """
    ends = list(accumulate(len(_fitted(read_array(file, INPUT), shape, file)) for file in files))
    chosen = spread(ends[-1], limit)
    result = np.empty((len(chosen), *_extents(shape)), np.float32)
    for file, start, end in zip(files, [0, *ends], ends, strict=False):
        first, last = bisect_left(chosen, start), bisect_left(chosen, end)
        if first < last:  # no name is given to a file's array: it would live until the next one is read
            here = [index - start for index in chosen[first:last]]
            result[first:last] = _floats(_fitted(read_array(file, INPUT), shape, file), here, file)
    return result


def _floats(found: Array, chosen: Sequence[int], path: Path | str) -> NDArray[np.float32]:
    """The chosen of the samples found in a file, or under a name, finite."""
    try:
        with np.errstate(over="ignore"):
            floats = np.ascontiguousarray(found[chosen], dtype=np.float32)
    except MemoryError:
        raise fail("out-of-memory", f"{path} does not fit into memory", help="give fewer samples") from None
    if not np.isfinite(floats).all():
        raise fail("wrong-input", f"{path} holds NaN, infinity or numbers too large for float32")
    return floats


def _fitted(found: Array, shape: Shape, path: Path | str) -> Array:
    """found as (n, *shape), if it is that or one sample, of floating-point numbers."""
    sample = _extents(shape)
    if np.issubdtype(found.dtype, np.integer):
        message = f"{path} holds {found.dtype}, and the network reads normalised floating-point numbers"
        help = "save it as float32 after the normalisation that the network was trained with"
        raise fail("wrong-input", message, help=help)
    if not np.issubdtype(found.dtype, np.floating) and found.dtype.name != "bfloat16":
        raise fail("wrong-input", f"{path} holds {found.dtype}, not floating-point numbers")
    batch = found[np.newaxis] if found.shape == sample else found
    if batch.shape[1:] != sample or batch.ndim != len(sample) + 1:
        last = len(sample) == 3 and found.shape[-3:] == (*sample[1:], sample[0])
        message = f"{path} holds {_sizes(found.shape)}, and the network reads n x {_sizes(sample)}"
        raise fail(
            "wrong-input",
            message,
            help="put the channels before height and width: np.moveaxis(x, -1, -3)" if last else "",
        )
    if not len(batch):
        raise fail("wrong-input", f"{path} holds no samples")
    return batch


def _extents(shape: Shape) -> tuple[int, ...]:
    """The sizes of one sample's axes."""
    match shape:
        case Image(channels=channels, height=height, width=width):
            return channels, height, width
        case Vector(features=features):
            return (features,)


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _listed(numbers: Iterable[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers) or "nothing"


def _per_channel(numbers: tuple[float, ...], channels: int) -> NDArray[np.float32]:
    """(3, 1, 1), or one number for all."""
    found = np.array(numbers, np.float32).reshape(-1, 1, 1)
    return found.mean(axis=0, keepdims=True) if channels == 1 else found


def _picture(path: Path, shape: Image) -> Picture:
    """The whole file is decoded, so a truncated one is an error."""
    try:
        from PIL import Image as pillow  # noqa: N813
        from PIL import ImageOps
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        message = "images are read with pillow, which is not installed"
        raise fail("missing-library", message, help="pip install 'resdsl[images]'") from None
    try:
        with pillow.open(path) as opened:
            if opened.mode.startswith(("I", "F")):  # pillow would cut these off at 255
                message = f"{path} holds pixels of more than 8 bits"
                raise fail("wrong-input", message, help="save it with 8 bits, or what the network reads as an array")
            picture = ImageOps.exif_transpose(opened).convert("L" if shape.channels == 1 else "RGB")
    except SpecError:
        raise
    except Exception as error:  # as above
        raise fail("unreadable", f"{path} cannot be read as an image: {error}") from None
    size = shape.width, shape.height
    return picture if picture.size == size else ImageOps.fit(picture, size, pillow.Resampling.BICUBIC)
