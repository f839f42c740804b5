"""Data sets by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resdsl.diagnostics import SpecError
from resdsl.network.types import Image
from resdsl.train.data.dataset import Arrays, Files
from resdsl.train.data.open import DATASETS, open_data


def test_digits_need_no_folder() -> None:
    found = open_data("digits", None)
    assert isinstance(found, Arrays)
    assert found.shape == Image(1, 8, 8)


def test_npz_files_by_path(tmp_path: Path) -> None:
    x, y = np.zeros((2, 3), np.float32), np.arange(2)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert open_data(str(tmp_path / "a.npz"), None).name == "a.npz"


def test_folders_of_images(tmp_path: Path) -> None:
    for part in ("train", "val"):
        (tmp_path / part / "cat").mkdir(parents=True)
        (tmp_path / part / "cat" / "1.jpg").write_bytes(b"")
    assert isinstance(open_data("imagenet", tmp_path), Files)


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100", "imagenet"])
def test_where_it_comes_from_is_said(name: str, tmp_path: Path) -> None:
    for root, message in ((None, f"where {name} lies is not said"), (tmp_path / "absent", "there is no folder")):
        with pytest.raises(SpecError, match=message) as caught:
            open_data(name, root)
        assert "://" in caught.value.diagnostics[0].help
    with pytest.raises(SpecError):
        open_data(name, tmp_path)


@pytest.mark.parametrize("name", ["digits", "a.npz"])
def test_a_folder_that_says_nothing_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=f"{name} .*lies in no folder"):
        open_data(name, tmp_path)


def test_unknown_names(tmp_path: Path) -> None:
    for name, help in (
        ("cifar-10", "did you mean `cifar10`?"),
        ("coco", "one of digits, mnist, cifar10, cifar100, imagenet, or a file that ends in .npz"),
        (str(tmp_path), "name a data set, one of"),
    ):
        with pytest.raises(SpecError, match="there is no data set") as caught:
            open_data(name, None)
        assert caught.value.diagnostics[0].help.startswith(help)


def test_each_says_what_it_is() -> None:
    assert all(source.says for source in DATASETS.values())
