"""The files that CIFAR's archives are made of: records of bytes, and pickled dictionaries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.train.data.pickles import read_pickle

PIXELS = 3 * 32 * 32
"""Bytes of an image: red, green, blue, each 32 rows."""
RECORDS = 10_000
"""In CIFAR-10's files; CIFAR-100 has 50,000 of them to train on in one file."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """pixels: (n, 3072), perhaps a view. labels: (n,)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def binary_labelled(path: Path, *, limits: tuple[int, ...]) -> Labelled:
    """Records of labels, one byte each, the last one wanted, and pixels. limits: the number of classes of each label.

    Raises SpecError for a file that is no whole number of records, at least one, or with a label beyond its limit.
    """
    size = len(limits) + PIXELS
    try:
        found = np.fromfile(path, np.uint8)
    except OSError as error:
        raise fail("unreadable", f"{path} cannot be read: {error.strerror or error}") from None
    if not len(found) or len(found) % size:
        message = f"{path} holds {len(found):,} bytes, which is no whole number of records of {size:,} bytes"
        records = RECORDS if len(limits) == 1 or path.name.startswith("test") else 5 * RECORDS
        help = f"the official file holds {records:,} records, {records * size:,} bytes: get it again"
        raise fail("incomplete-data", message, help=help)
    rows = found.reshape(-1, size)
    for column, limit in enumerate(limits):
        _require_labels(rows[:, column], limit, path)
    return Labelled(rows[:, len(limits) :], rows[:, len(limits) - 1].astype(np.int64))


def binary_names(path: Path) -> tuple[str, ...]:
    """A class on each line; lines at the end are empty."""
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise fail("unreadable", f"{path} cannot be read as names of classes: {error}") from None


def python_labelled(path: Path, *, key: str, limit: int) -> Labelled:
    """`data`, (n, 3072) of uint8, and a list of labels under `key`. Raises SpecError for anything else."""
    found = read_pickle(path)
    pixels = _entry(found, "data", path)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != PIXELS:
        what = f"{pixels.dtype} of {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise fail("wrong-data", f"`data` in {path} is {what}, and CIFAR's is uint8 of n x {PIXELS}")
    labels = _whole(_entry(found, key, path), key, path)
    if not len(pixels) or len(pixels) != len(labels):
        raise fail("incomplete-data", f"{path} holds {len(pixels):,} images and {len(labels):,} labels")
    _require_labels(labels, limit, path)
    return Labelled(pixels, labels)


def python_names(path: Path, *, key: str) -> tuple[str, ...]:
    """The classes in a file that is called meta or batches.meta."""
    found = _entry(read_pickle(path), key, path)
    if not isinstance(found, list):
        raise fail("wrong-data", f"`{key}` in {path} is no list of classes")
    return tuple(name.decode("latin-1") if isinstance(name, bytes) else str(name) for name in found)


def _entry(found: object, key: str, path: Path) -> object:
    if not isinstance(found, dict) or key not in found:
        notes = [f"it holds {', '.join(map(str, found))}"] if isinstance(found, dict) and found else []
        raise fail("wrong-data", f"{path} has no `{key}`", notes=notes)
    return found[key]


def _whole(found: object, key: str, path: Path) -> NDArray[np.int64]:
    labels = np.asarray(found) if isinstance(found, np.ndarray) else None
    if isinstance(found, list) and all(type(label) is int and abs(label) < 2**62 for label in found):
        labels = np.array(found, np.int64)
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise fail("wrong-data", f"`{key}` in {path} is no list of whole numbers")
    return labels.astype(np.int64)


def _require_labels(labels: NDArray[np.integer], limit: int, path: Path) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= limit))
    if len(wrong):
        message = f"record {wrong[0]} of {path} has the label {labels[wrong[0]]}, and labels are from 0 to {limit - 1}"
        raise fail("wrong-data", message, help="the file is damaged, or of another data set")
