"""Data sets in one .npz file: names, axes and kinds of numbers, and one clear sentence for anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from resdsl.diagnostics import SpecError
from resdsl.network.types import Image, Vector
from resdsl.train.data.npz import read_npz

DRAW = np.random.default_rng(0)
INPUTS = DRAW.integers(0, 256, (8, 3, 5, 6), dtype=np.uint8)
LABELS = np.arange(8) % 3


def saved(folder: Path, **changed: ArrayLike | None) -> Path:
    good = {"x_train": INPUTS[:6], "y_train": LABELS[:6], "x_test": INPUTS[6:], "y_test": LABELS[6:]}
    np.savez(folder / "set.npz", **{name: x for name, x in (good | changed).items() if x is not None})
    return folder / "set.npz"


def both(inputs: np.ndarray) -> dict[str, np.ndarray]:
    return {"x_train": inputs[:6], "x_test": inputs[6:]}


def test_names_as_keras_has_them(tmp_path: Path) -> None:
    found = read_npz(saved(tmp_path))
    assert np.array_equal(found.train.inputs, INPUTS[:6])
    assert np.array_equal(found.test.inputs, INPUTS[6:])
    assert found.train.labels.tolist() == LABELS[:6].tolist()
    assert found.test.labels.tolist() == LABELS[6:].tolist()
    assert (found.train.inputs.dtype, found.train.labels.dtype) == (np.uint8, np.int64)
    assert (found.name, found.shape, found.classes) == ("set.npz", Image(3, 5, 6), ("0", "1", "2"))


def test_names_in_full(tmp_path: Path) -> None:
    full = {
        "train_inputs": INPUTS[:6],
        "train_labels": LABELS[:6],
        "test_inputs": INPUTS[6:],
        "test_labels": LABELS[6:],
    }
    np.savez(tmp_path / "full.npz", **full)
    assert read_npz(tmp_path / "full.npz").fingerprint == read_npz(saved(tmp_path)).fingerprint


@pytest.mark.parametrize("kind", [np.int8, np.uint64, np.int32, ">i4"])
def test_labels_of_any_whole_numbers_and_in_a_column(kind: str, tmp_path: Path) -> None:
    labels = LABELS.astype(kind)[:, np.newaxis]
    found = read_npz(saved(tmp_path, y_train=labels[:6], y_test=labels[6:]))
    assert found.train.labels.tolist() == LABELS[:6].tolist()
    assert found.train.labels.dtype == np.int64


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_are_taken_as_they_are(kind: type, tmp_path: Path) -> None:
    floats = DRAW.standard_normal((8, 7)).astype(kind)
    found = read_npz(saved(tmp_path, **both(floats)))
    assert found.train.inputs.dtype == np.float32
    assert np.array_equal(found.train.inputs, floats[:6].astype(np.float32))
    assert found.shape == Vector(7)


@pytest.mark.parametrize(
    ("shape", "layout", "wanted"),
    [
        ((8, 3, 5, 6), None, Image(3, 5, 6)),
        ((8, 5, 6, 3), None, Image(3, 5, 6)),
        ((8, 5, 6, 1), None, Image(1, 5, 6)),
        ((8, 4, 5, 6), None, Image(4, 5, 6)),
        ((8, 5, 6, 4), None, Image(4, 5, 6)),
        ((8, 5, 6), None, Image(1, 5, 6)),
        ((8, 3, 5, 3), "nchw", Image(3, 5, 3)),
        ((8, 3, 5, 3), "NHWC", Image(3, 3, 5)),
        ((8, 5, 6, 10), "channels_last", Image(10, 5, 6)),
        ((8, 10, 5, 6), "channels-first", Image(10, 5, 6)),
    ],
)
def test_channels_are_found(shape: tuple[int, ...], layout: str | None, wanted: Image, tmp_path: Path) -> None:
    inputs = DRAW.integers(0, 256, shape, dtype=np.uint8)
    found = read_npz(saved(tmp_path, **both(inputs), layout=layout))
    assert found.shape == wanted
    by_channel = inputs[:, np.newaxis] if len(shape) == 3 else inputs
    if by_channel.shape[1:] != (wanted.channels, wanted.height, wanted.width):
        by_channel = by_channel.transpose(0, 3, 1, 2)
    assert np.array_equal(found.train.inputs, by_channel[:6])
    assert found.train.inputs.flags.c_contiguous


@pytest.mark.parametrize("shape", [(8, 3, 5, 3), (8, 1, 1, 1), (8, 2, 5, 6), (8, 5, 6, 10)])
def test_channels_are_not_guessed(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"which axis of x_train in .* has the channels is not clear") as caught:
        read_npz(saved(tmp_path, **both(np.zeros(shape, np.uint8))))
    assert 'layout="nchw"' in caught.value.diagnostics[0].help


@pytest.mark.parametrize("classes", [["a", "b", "ç"], [b"a", b"b", "ç".encode()]])
def test_classes_have_names(classes: list[str], tmp_path: Path) -> None:
    assert read_npz(saved(tmp_path, classes=classes)).classes == ("a", "b", "ç")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": None, "y_test": None}, "holds no x_test, y_test"),
        ({"y_train": LABELS[:5]}, "holds 6 of x_train and 5 of y_train"),
        ({"y_train": LABELS[:6] - 1}, "y_train in .* holds -1, and labels count from 0"),
        ({"y_train": LABELS[:6] * 1.0}, "y_train in .* holds float64, and labels are whole numbers"),
        ({"y_train": LABELS[:6] > 0}, "y_train in .* holds bool"),
        ({"y_train": np.eye(3, dtype=int)[LABELS[:6]]}, "y_train in .* is 6 x 3, and labels are n"),
        ({"y_train": LABELS[:6] + 1, "y_test": LABELS[6:] + 1}, "y_train in .* lacks 1 of 4 classes: 0"),
        ({"y_train": LABELS[:6] * 2}, "lacks 2 of 5 classes: 1, 3"),
        ({"y_test": LABELS[6:] + 9}, "lacks 8 of 11 classes"),
        ({"classes": ["a", "b", "c", "d"]}, "lacks 1 of 4 classes: 3"),
        ({"classes": ["a", "b"]}, "names 2 classes, and has labels to 2"),
        ({"classes": [1, 2, 3]}, "`classes` in .* is no list of names: int64 of 3"),
        ({"x_train": INPUTS[:6].astype(np.int64)}, "x_train in .* holds int64"),
        ({"x_train": INPUTS[:6] * 1.0}, "is float32, and one of x_test uint8"),
        ({"x_test": INPUTS[6:, :, :4]}, "is 3 x 5 x 6, and one of x_test 3 x 4 x 6"),
        ({"x_train": INPUTS[:0], "y_train": LABELS[:0]}, "x_train in .* is empty: 0 x 3 x 5 x 6"),
        ({"x_train": LABELS[:6].astype(np.uint8)}, "x_train in .* is 6\n"),
        ({"layout": "chwn"}, "`layout` in .* is 'chwn'"),
        ({"x_train": np.array([None] * 6)}, "Python objects, not numbers"),
        (both(np.full((8, 4), np.nan)), "x_train in .* holds NaN, infinity"),
        (both(np.full((8, 4), 1e300)), "x_train in .* holds .* too large for float32"),
    ],
)
def test_anything_else_is_refused(changed: dict[str, ArrayLike | None], message: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_npz(saved(tmp_path, **changed))
    [diagnostic] = caught.value.diagnostics
    with pytest.raises(SpecError, match=message):
        raise SpecError([diagnostic])


def test_counting_from_one_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_npz(saved(tmp_path, y_train=LABELS[:6] + 1, y_test=LABELS[6:] + 1))
    assert caught.value.diagnostics[0].help == "count labels from 0: subtract 1"


def test_labels_that_are_no_classes_do_not_take_all_memory(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"lacks 1,000,000,000,000 of 1,000,000,000,003 classes: 0, 1, 2, 3, 4, 5, 6, 7, …"
    ):
        read_npz(saved(tmp_path, y_train=LABELS[:6] + 10**12))


def test_no_npz_file(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", LABELS)
    (tmp_path / "array.npy").rename(tmp_path / "a.npz")
    with pytest.raises(SpecError, match=r"is no \.npz file"):
        read_npz(tmp_path / "a.npz")
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        read_npz(tmp_path / "absent.npz")


def test_damaged_files_are_one_sentence(tmp_path: Path) -> None:
    path = saved(tmp_path)
    content = path.read_bytes()
    for length in range(2, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(SpecError, match=r"set\.npz"):
            read_npz(path)
