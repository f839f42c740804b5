"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in the two layouts of https://www.cs.toronto.edu/~kriz/cifar.html for others
than MATLAB: 60,000 colour images of 32x32, 50,000 of them to train on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.train.data.cifar_files import Labelled, binary_labelled, binary_names, python_labelled, python_names
from resdsl.train.data.dataset import Arrays, Split

TRAIN, TEST = 50_000, 10_000
PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"


@dataclass(frozen=True, slots=True)
class Layout:
    """One of the archives. records: of each training file, and of the test file. labelled: the pixels and labels of a
    file; names: the classes in the file called `meta`.
    """

    folder: str
    archive: str
    train: tuple[str, ...]
    test: str
    meta: str
    labelled: Callable[[Path], Labelled]
    names: Callable[[Path], tuple[str, ...]]

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.test, self.meta)


@dataclass(frozen=True, slots=True)
class Cifar:
    """A data set in all its layouts."""

    name: str
    title: str
    classes: int
    layouts: tuple[Layout, ...]


CIFAR10 = Cifar(
    "cifar10",
    "CIFAR-10",
    10,
    (
        Layout(
            folder="cifar-10-batches-bin",
            archive="cifar-10-binary.tar.gz",
            train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
            test="test_batch.bin",
            meta="batches.meta.txt",
            labelled=lambda path: binary_labelled(path, limits=(10,)),
            names=binary_names,
        ),
        Layout(
            folder="cifar-10-batches-py",
            archive="cifar-10-python.tar.gz",
            train=tuple(f"data_batch_{number}" for number in range(1, 6)),
            test="test_batch",
            meta="batches.meta",
            labelled=lambda path: python_labelled(path, key="labels", limit=10),
            names=lambda path: python_names(path, key="label_names"),
        ),
    ),
)
CIFAR100 = Cifar(
    "cifar100",
    "CIFAR-100",
    100,
    (
        Layout(
            folder="cifar-100-binary",
            archive="cifar-100-binary.tar.gz",
            train=("train.bin",),
            test="test.bin",
            meta="fine_label_names.txt",
            labelled=lambda path: binary_labelled(path, limits=(20, 100)),
            names=binary_names,
        ),
        Layout(
            folder="cifar-100-python",
            archive="cifar-100-python.tar.gz",
            train=("train",),
            test="test",
            meta="meta",
            labelled=lambda path: python_labelled(path, key="fine_labels", limit=100),
            names=lambda path: python_names(path, key="fine_label_names"),
        ),
    ),
)


def read_cifar(kind: Cifar, root: Path, *, partial: bool = False) -> Arrays:
    """root: the folder of an archive, or the one that it lies in. CIFAR-100 has its 100 fine classes.

    A set that is not whole would be trained on without a word, and its error be compared with published ones: unless
    `partial`, files of other than the official numbers of records are refused. Raises SpecError.
    """
    layout, folder = _found(kind, root)
    absent = [name for name in layout.files if not (folder / name).is_file()]
    if absent:
        message = f"{folder} lacks {', '.join(absent)} of {kind.title}"
        raise fail("incomplete-data", message, help=f"extract {layout.archive} of {PAGE} again")
    names = layout.names(folder / layout.meta)
    if len(names) != kind.classes:
        message = f"{folder / layout.meta} names {len(names)} classes, and {kind.title} has {kind.classes}"
        raise fail("wrong-data", message)
    train = _split(kind, layout, folder, layout.train, TRAIN, partial)
    test = _split(kind, layout, folder, (layout.test,), TEST, partial)
    return Arrays(kind.name, train, test, names)


def _found(kind: Cifar, root: Path) -> tuple[Layout, Path]:
    """The first layout that is there, binary before Python's, since it is read faster."""
    places = [(layout, place) for layout in kind.layouts for place in (root, root / layout.folder)]
    for layout, place in places:
        if any((place / name).is_file() for name in (*layout.train, layout.test)):
            return layout, place
    _require_extracted(kind, root)
    other = CIFAR100 if kind is CIFAR10 else CIFAR10
    for layout in other.layouts:
        if any((place / layout.train[0]).is_file() for place in (root, root / layout.folder)):
            message = f"{root} holds {other.title}, not {kind.title}"
            raise fail("wrong-data", message, help=f"name the data set {other.name}")
    message = f"{root} does not hold {kind.title}"
    notes = [f"{layout.folder} with {layout.train[0]} and so on" for layout in kind.layouts]
    raise fail("no-data", message, notes=notes, help=f"extract {kind.layouts[0].archive} of {PAGE} there")


def _require_extracted(kind: Cifar, root: Path) -> None:
    for layout in kind.layouts:
        if root.name == layout.archive or (root / layout.archive).is_file():
            archive = root if root.name == layout.archive else root / layout.archive
            message = f"{archive} is not extracted"
            raise fail("no-data", message, help=f"tar -xzf {archive} -C {archive.parent}, and name that folder")


def _split(kind: Cifar, layout: Layout, folder: Path, files: Sequence[str], official: int, partial: bool) -> Split:
    """The files' records one after another; each file has the same number of them."""
    pixels: list[NDArray[np.uint8]] = []
    labels: list[NDArray[np.int64]] = []
    for name in files:
        found = layout.labelled(folder / name)
        if len(found.labels) != official // len(files) and not partial:
            message = (
                f"{folder / name} holds {len(found.labels):,} images, and {kind.title}'s {official // len(files):,}"
            )
            raise fail("incomplete-data", message, help=f"extract {layout.archive} of {PAGE} again")
        pixels.append(found.pixels)
        labels.append(found.labels)
    return Split(np.concatenate(pixels).reshape(-1, 3, 32, 32), np.concatenate(labels))
