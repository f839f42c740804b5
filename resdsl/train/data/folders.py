"""Image files in folders by class, as ImageNet's lie: ROOT/train/CLASS/* and ROOT/val/CLASS/*.

Files are decoded by pillow: torchvision's own folders of images are too, so that the pixels are the same everywhere, and
there is one path to keep right.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from resdsl.diagnostics import fail
from resdsl.train.data.dataset import Files, Listed

ENDINGS = (".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm")
"""Of names; any other file is left out. What is in a file is seen when it is read: ImageNet has a PNG that ends in .JPEG."""
TESTS = ("val", "test")
SHOWN = 8


def image_folders(root: Path, name: str = "imagenet") -> Files:
    """Classes are the folders in `train`, sorted; those in `val` (or `test`, if there is no `val`) must be the same.

    Files are listed, not opened. Raises SpecError for folders that are absent, empty, or not the same.
    """
    train = root / "train"
    if not train.is_dir():
        raise fail("no-data", f"there is no folder {train}", help="images to train on are in train/CLASS/")
    test = next((root / each for each in TESTS if (root / each).is_dir()), None)
    if test is None:
        raise fail("no-data", f"there is no folder {root / TESTS[0]}", help="images to test with are in val/CLASS/")
    classes, others = _classes(train), _classes(test)
    if classes != others:
        notes = [
            f"only in {folder}: {_listed(sorted(set(here) - set(there)))}"
            for folder, here, there in ((train, classes, others), (test, others, classes))
            if set(here) - set(there)
        ]
        message = f"{train} has {len(classes)} classes and {test} {len(others)}, and they are not the same"
        raise fail("wrong-data", message, notes=notes, help="give both the same folders")
    return Files(name, _files(train, classes), _files(test, classes), tuple(classes))


def _classes(folder: Path) -> list[str]:
    """The names of its folders."""
    with _scanned(folder) as entries:
        held = [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
    found = sorted(name for name, is_folder in held if is_folder)
    if found:
        return found
    files = [name for name, _ in held]
    if any(name.endswith(".tar") for name in files):
        message = f"{folder} holds .tar files"
        raise fail("no-data", message, help="extract each into a folder of its name: n01440764.tar into n01440764/")
    if any(name.lower().endswith(ENDINGS) for name in files):
        message = f"the images in {folder} are in no folders"
        help = f"{folder.name}/CLASS/: ImageNet's {folder.name} images are sorted by the labels of its development kit"
        raise fail("no-data", message, help=help)
    raise fail("no-data", f"{folder} is empty", help=f"images are in {folder.name}/CLASS/")


def _files(folder: Path, classes: Sequence[str]) -> Listed:
    """All images, class by class, sorted by name."""
    paths: list[Path] = []
    counts: list[int] = []
    for name in classes:
        with _scanned(folder / name) as entries:
            found = sorted(
                entry.name
                for entry in entries
                if entry.name.lower().endswith(ENDINGS) and not entry.name.startswith(".") and entry.is_file()
            )
        if not found:
            help = f"files that end in {', '.join(ENDINGS)}, in the folder itself"
            raise fail("no-data", f"there is no image in {folder / name}", help=help)
        paths += (folder / name / file for file in found)
        counts.append(len(found))
    return Listed(tuple(paths), np.repeat(np.arange(len(classes), dtype=np.int64), counts))


def _scanned(folder: Path) -> os._ScandirIterator[str]:  # typeshed's name, in annotations alone
    try:
        return os.scandir(folder)
    except OSError as error:
        raise fail("unreadable", f"{folder} cannot be read: {error.strerror or error}") from None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
