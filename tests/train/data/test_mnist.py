"""MNIST in files of the idx format, in small, and one clear sentence for what is not whole."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from resdsl.diagnostics import SpecError
from resdsl.network.types import Image
from resdsl.train.data.mnist import FILES, LARGEST, read_mnist

RECORDS = {"train": 7, "t10k": 3}


def pixels(part: str) -> np.ndarray:
    return np.random.default_rng(len(part)).integers(0, 256, (RECORDS[part], 28, 28), dtype=np.uint8)


def labels(part: str) -> list[int]:
    return [(3 * number + len(part)) % 10 for number in range(RECORDS[part])]


def idx(shape: tuple[int, ...], data: bytes, kind: int = 8) -> bytes:
    """As the format is described: two zeros, the kind of number, the number of axes, each size as four bytes, high byte first."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape) + data


def written(folder: Path, *, compressed: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    for part, count in RECORDS.items():
        files = {
            f"{part}-images-idx3-ubyte": idx((count, 28, 28), pixels(part).tobytes()),
            f"{part}-labels-idx1-ubyte": idx((count,), bytes(labels(part))),
        }
        for name, data in files.items():
            if compressed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(data))
            else:
                (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("compressed", [False, True])
def test_pixels_and_labels_as_written(tmp_path: Path, compressed: bool) -> None:
    found = read_mnist(written(tmp_path, compressed=compressed), partial=True)
    assert (found.name, found.shape, found.classes) == ("mnist", Image(1, 28, 28), tuple("0123456789"))
    for part, split in (("train", found.train), ("t10k", found.test)):
        np.testing.assert_array_equal(split.inputs[:, 0], pixels(part))
        assert split.inputs.dtype == np.uint8
        assert split.labels.tolist() == labels(part)
        assert split.labels.dtype == np.int64


def test_torch_takes_the_arrays_without_a_word(tmp_path: Path) -> None:
    found = read_mnist(written(tmp_path), partial=True)
    assert torch.from_numpy(found.train.inputs).shape == (7, 1, 28, 28)


def test_what_is_not_compressed_comes_first(tmp_path: Path) -> None:
    written(tmp_path, compressed=True)
    written(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"no gzip")
    assert len(read_mnist(tmp_path, partial=True).train) == RECORDS["train"]


def test_part_of_the_official_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"holds 7 images, and MNIST's 60,000"):
        read_mnist(written(tmp_path))


def test_absent_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="does not hold MNIST"):
        read_mnist(tmp_path)
    written(tmp_path)
    (tmp_path / FILES[1]).unlink()
    with pytest.raises(SpecError, match="lacks train-labels-idx1-ubyte of MNIST"):
        read_mnist(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with nothing, and an idx file of 3 axes with 00 00 08 03"),
        (idx((7,), bytes(7)), "begins with 00 00 08 01"),
        (idx((7, 28, 28), bytes(7 * 28 * 28), kind=13), "begins with 00 00 0d 03"),
        (idx((7, 28, 28), bytes(100)), "says it holds 7 x 28 x 28 bytes, and 100 follow"),
        (idx((7, 28, 28), bytes(7 * 28 * 28 + 1)), "and 5,489 follow"),
        (idx((7, 27, 28), bytes(7 * 27 * 28)), "are 27x28, and MNIST's are 28x28"),
        (idx((6, 28, 28), bytes(6 * 28 * 28)), "holds 6 images, and .* 7 labels"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, data: bytes, message: str) -> None:
    written(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(data)
    with pytest.raises(SpecError, match=message):
        read_mnist(tmp_path, partial=True)


def test_a_label_above_9(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx((3,), bytes([0, 10, 1])))
    with pytest.raises(SpecError, match=r"label 1 of .*t10k.* is 10, and labels are from 0 to 9"):
        read_mnist(tmp_path, partial=True)


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(idx((3,), bytes(3)), mtime=0)[:-9]], ids=["other", "cut"])
def test_a_damaged_archive(tmp_path: Path, data: bytes) -> None:
    written(tmp_path, compressed=True)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(data)
    with pytest.raises(SpecError, match="cannot be decompressed"):
        read_mnist(tmp_path, partial=True)


def test_the_largest_file_is_as_long_as_the_official_one() -> None:
    assert len(idx((60_000, 28, 28), bytes(60_000 * 28 * 28))) == LARGEST


@pytest.mark.parametrize("compressed", [False, True])
def test_more_bytes_than_mnist_has_are_not_read(tmp_path: Path, compressed: bool) -> None:
    """200 MB of zeros in a file of 0.2 MB, or in one with holes, take no more memory than MNIST does."""
    written(tmp_path, compressed=compressed)
    if compressed:
        (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(2 * 10**8)))
    else:
        with (tmp_path / "train-images-idx3-ubyte").open("wb") as file:
            file.truncate(2 * 10**8)
    tracemalloc.start()
    try:
        with pytest.raises(SpecError, match="holds more than 47,040,016 bytes"):
            read_mnist(tmp_path, partial=True)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * 10**8
    finally:
        tracemalloc.stop()
