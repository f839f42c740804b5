"""A data set, in memory or as files of images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from resdsl.network.types import Image, Shape, Vector


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """inputs: (n, channels, height, width) or (n, features); uint8 images are divided by 255 later, floats are taken as
    they are. labels: (n,), int64, from 0.
    """

    inputs: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Arrays:
    """A data set that is held in memory, and on the device. classes: their names, by label."""

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]

    @property
    def shape(self) -> Shape:
        sizes = self.train.inputs.shape[1:]
        return Vector(*sizes) if len(sizes) == 1 else Image(*sizes)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all inputs and labels: what a run that is resumed must find again."""
        digest = hashlib.sha256()
        for split in (self.train, self.test):
            digest.update(np.ascontiguousarray(split.inputs))
            digest.update(np.ascontiguousarray(split.labels))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Files of images with their labels, (n,), int64; decoded when they are needed."""

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, eq=False)
class Files:
    """A data set of image files, in colour, each of a size of its own."""

    name: str
    train: Listed
    test: Listed
    classes: tuple[str, ...]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all paths from the last two folders on, with labels and sizes in bytes, not of the contents."""
        digest = hashlib.sha256()
        for listed in (self.train, self.test):
            for path, label in zip(listed.paths, listed.labels, strict=True):
                digest.update(f"{'/'.join(path.parts[-3:])}\0{label}\0{path.stat().st_size}\n".encode())
        return digest.hexdigest()


Dataset: TypeAlias = Arrays | Files
