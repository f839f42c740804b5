"""Image files in folders by class: what is listed, in which order, and what is said of folders that are not so."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.data.folders import image_folders


def made(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")
    return root


GOOD = ("train/b/2.JPEG", "train/b/10.png", "train/a/1.jpg", "val/a/1.webp", "val/b/1.bmp")


def test_classes_are_sorted_and_files_are_listed(tmp_path: Path) -> None:
    found = image_folders(made(tmp_path, *GOOD, "train/a/notes.txt", "train/a/.hidden.jpg", "train/labels.csv"))
    assert found.classes == ("a", "b")
    assert [str(path.relative_to(tmp_path)) for path in found.train.paths] == [GOOD[2], GOOD[1], GOOD[0]]
    assert found.train.labels.tolist() == [0, 1, 1]
    assert [str(path.relative_to(tmp_path)) for path in found.test.paths] == [GOOD[3], GOOD[4]]
    assert found.test.labels.tolist() == [0, 1]
    assert (len(found.train), len(found.test)) == (3, 2)


def test_the_order_is_not_that_of_the_file_system(tmp_path: Path) -> None:
    one, other = (made(tmp_path / name, *files) for name, files in (("x", GOOD), ("y", GOOD[::-1])))
    assert image_folders(one).fingerprint == image_folders(other).fingerprint


def test_test_stands_for_val_if_there_is_none(tmp_path: Path) -> None:
    made(tmp_path, "train/a/1.jpg", "test/a/2.jpg")
    assert image_folders(tmp_path).test.paths == (tmp_path / "test/a/2.jpg",)
    made(tmp_path, "val/a/3.jpg")
    assert image_folders(tmp_path).test.paths == (tmp_path / "val/a/3.jpg",)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a/1.jpg"], "there is no folder .*train"),
        (["train/a/1.jpg"], "there is no folder .*val"),
        (["train/x.txt", "val/a/1.jpg"], "train is empty"),
        (["train/a/1.jpg", "train/b/x.txt", "val/a/1.jpg", "val/b/1.jpg"], "no image in .*train/b"),
        (["train/n01440764.tar", "val/a/1.jpg"], r"train holds .tar files"),
        (["train/a/1.jpg", "val/ILSVRC2012_val_00000001.JPEG"], "the images in .*val are in no folders"),
    ],
)
def test_other_folders_are_refused(files: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        image_folders(made(tmp_path, *files))
    assert caught.value.diagnostics[0].help


def test_classes_that_differ_are_listed(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"train has 3 classes and .*val 2") as caught:
        image_folders(made(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "val/a/1.jpg", "val/d/1.jpg"))
    assert caught.value.diagnostics[0].notes == (
        f"only in {tmp_path / 'train'}: b, c",
        f"only in {tmp_path / 'val'}: d",
    )


def test_long_lists_of_classes_are_cut(tmp_path: Path) -> None:
    files = [f"train/{number:04}/1.jpg" for number in range(30)]
    with pytest.raises(SpecError) as caught:
        image_folders(made(tmp_path, *files, "val/0000/1.jpg"))
    assert caught.value.diagnostics[0].notes[0].endswith("0008 and 21 more")
