"""MNIST (LeCun et al. 1998) in its four files of the idx format, compressed or not: 70,000 grey images of 28x28, 60,000 of them to
train on. Other sets in the same files, as Fashion-MNIST, are read as well.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.train.data.dataset import Arrays, Split

PAGE = "http://yann.lecun.com/exdb/mnist/"
SIDE, CLASSES = 28, 10
IDX = 0x0800
"""The first two bytes of an idx file are 0, the third says unsigned bytes; the fourth is the number of axes, and their sizes follow."""
COMPRESSED = ".gz"


@dataclass(frozen=True, slots=True)
class Part:
    """The images and labels of one split, and the official number of them."""

    images: str
    labels: str
    official: int


TRAIN = Part("train-images-idx3-ubyte", "train-labels-idx1-ubyte", 60_000)
TEST = Part("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", 10_000)
LARGEST = 16 + TRAIN.official * SIDE**2
"""Bytes of MNIST's largest file, the images to train on. What is longer is not read to its end: few bytes can decompress to many."""
FILES = (TRAIN.images, TRAIN.labels, TEST.images, TEST.labels)


def read_mnist(root: Path, *, partial: bool = False) -> Arrays:
    """root: the folder of the four files, each as it is or with `.gz` behind its name.

    Unless `partial`, files of other than the official numbers of images are refused: an error rate on part of a data set looks
    like one on the whole. Raises SpecError.
    """
    found = {name: _found(root, name) for name in FILES}
    absent = [name for name, path in found.items() if path is None]
    if len(absent) == len(FILES):
        help = f"it is {', '.join(FILES)}, each perhaps with {COMPRESSED}, of {PAGE}"
        raise fail("no-data", f"{root} does not hold MNIST", help=help)
    if absent:
        raise fail("incomplete-data", f"{root} lacks {', '.join(absent)} of MNIST", help=f"get them of {PAGE}")
    paths = {name: path for name, path in found.items() if path is not None}
    train, test = (_split(paths[part.images], paths[part.labels], part, partial) for part in (TRAIN, TEST))
    return Arrays("mnist", train, test, tuple(map(str, range(CLASSES))))


def _found(root: Path, name: str) -> Path | None:
    """The file as it is before the compressed one, since it is read faster."""
    return next((path for path in (root / name, root / f"{name}{COMPRESSED}") if path.is_file()), None)


def _split(images: Path, labels: Path, part: Part, partial: bool) -> Split:
    pixels, classes = _idx(images, 3), _idx(labels, 1)
    if pixels.shape[1:] != (SIDE, SIDE):
        high, wide = pixels.shape[1:]
        raise fail("wrong-data", f"the images in {images} are {high}x{wide}, and MNIST's are {SIDE}x{SIDE}")
    if not len(pixels) or len(pixels) != len(classes):
        message = f"{images} holds {len(pixels):,} images, and {labels} {len(classes):,} labels"
        raise fail("incomplete-data", message, help=f"get both of {PAGE} again")
    if len(pixels) != part.official and not partial:
        message = f"{images} holds {len(pixels):,} images, and MNIST's {part.official:,}"
        raise fail("incomplete-data", message, help=f"get it of {PAGE} again")
    wrong = np.flatnonzero(classes >= CLASSES)
    if len(wrong):
        message = f"label {wrong[0]} of {labels} is {classes[wrong[0]]}, and labels are from 0 to {CLASSES - 1}"
        raise fail("wrong-data", message, help="the file is damaged, or of another data set")
    return Split(pixels[:, None], classes.astype(np.int64))


def _idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array in a file of unsigned bytes. Raises SpecError unless the file is that, of so many axes, and ends where the array does."""
    data = _bytes(path)
    head = 4 * (1 + axes)
    magic = int.from_bytes(data[:4], "big")
    if len(data) < head or magic != IDX + axes:
        message = f"{path} begins with {data[:4].hex(' ') or 'nothing'}, and an idx file of {axes} axes with {(IDX + axes).to_bytes(4, 'big').hex(' ')}"
        raise fail("wrong-data", message, help=f"it is no such file, or damaged: get it of {PAGE} again")
    shape = [int.from_bytes(data[start : start + 4], "big") for start in range(4, head, 4)]
    size = int(np.prod(shape, dtype=object))
    if len(data) - head != size:
        message = f"{path} says it holds {' x '.join(map(str, shape))} bytes, and {len(data) - head:,} follow"
        raise fail("incomplete-data", message, help=f"get it of {PAGE} again")
    return (
        np.frombuffer(data, np.uint8, offset=head).reshape(shape).copy()
    )  # or it could not be written to, which torch warns of


def _bytes(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.name.endswith(COMPRESSED) else path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        help = f"get it of {PAGE} again"
        raise fail("unreadable", f"{path} cannot be decompressed: {error}", help=help) from None
    except OSError as error:
        raise fail("unreadable", f"{path} cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST:
        message = f"{path} holds more than {LARGEST:,} bytes, the length of MNIST's largest file"
        raise fail("wrong-data", message, help=f"get it of {PAGE} again")
    return data
