"""CIFAR in the official layouts, in small: the same records in both, and one clear sentence for what is not whole."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resdsl.diagnostics import SpecError
from resdsl.network.types import Image
from resdsl.train.data.cifar import CIFAR10, CIFAR100, Cifar, read_cifar

RECORDS = 6
FILES = {
    CIFAR10.name: ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"],
    CIFAR100.name: ["train", "test"],
}
Write = Callable[[Cifar, Path], Path]


def images(kind: Cifar) -> dict[str, np.ndarray]:
    """(records, 3, 32, 32) of each file, and no two files alike."""
    draw = np.random.default_rng(kind.classes)
    return {name: draw.integers(0, 256, (RECORDS, 3, 32, 32), dtype=np.uint8) for name in FILES[kind.name]}


def labels(kind: Cifar, name: str) -> list[int]:
    first = FILES[kind.name].index(name)
    return [(first + 7 * number) % kind.classes for number in range(RECORDS)]


def names(kind: Cifar) -> list[str]:
    return [f"class_{number}" for number in range(kind.classes)]


def binary(kind: Cifar, folder: Path) -> Path:
    """One byte a label, for CIFAR-100 the coarse one before it, then red, green, blue."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in images(kind).items():
        records = b""
        for label, image in zip(labels(kind, name), pixels, strict=True):
            records += bytes([label % 20, label] if kind is CIFAR100 else [label]) + image.tobytes()
        (folder / f"{name}.bin").write_bytes(records)
    meta = "batches.meta.txt" if kind is CIFAR10 else "fine_label_names.txt"
    (folder / meta).write_text("\n".join(names(kind)) + "\n\n")
    return folder


def python(kind: Cifar, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    key = b"labels" if kind is CIFAR10 else b"fine_labels"
    for name, pixels in images(kind).items():
        entries = {b"data": pixels.reshape(RECORDS, -1), key: labels(kind, name), b"filenames": [b"a.png"] * RECORDS}
        (folder / name).write_bytes(pickle.dumps(entries, protocol=2))
    meta = "batches.meta" if kind is CIFAR10 else "meta"
    entries = {b"label_names" if kind is CIFAR10 else b"fine_label_names": [name.encode() for name in names(kind)]}
    (folder / meta).write_bytes(pickle.dumps(entries, protocol=2))
    return folder


BOTH = pytest.mark.parametrize("kind", [CIFAR10, CIFAR100], ids=lambda kind: kind.name)


@BOTH
@pytest.mark.parametrize("write", [binary, python])
def test_images_and_labels_are_those_of_the_files(kind: Cifar, write: Write, tmp_path: Path) -> None:
    found = read_cifar(kind, write(kind, tmp_path), partial=True)
    written = images(kind)
    *training, test = FILES[kind.name]
    assert np.array_equal(found.train.inputs, np.concatenate([written[name] for name in training]))
    assert np.array_equal(found.test.inputs, written[test])
    assert found.train.labels.tolist() == [label for name in training for label in labels(kind, name)]
    assert found.test.labels.tolist() == labels(kind, test)
    assert found.train.labels.dtype == np.int64
    assert found.train.inputs.flags.writeable, "torch warns of others"
    assert found.classes == tuple(names(kind))
    assert found.shape == Image(3, 32, 32)


@BOTH
def test_both_layouts_are_the_same_data(kind: Cifar, tmp_path: Path) -> None:
    one, other = (read_cifar(kind, write(kind, tmp_path / write.__name__), partial=True) for write in (binary, python))
    assert one.fingerprint == other.fingerprint


@BOTH
@pytest.mark.parametrize("index", [0, 1])
def test_the_folder_above_will_do(kind: Cifar, index: int, tmp_path: Path) -> None:
    (binary, python)[index](kind, tmp_path / kind.layouts[index].folder)
    assert len(read_cifar(kind, tmp_path, partial=True).test) == RECORDS


@pytest.mark.parametrize("write", [binary, python])
def test_a_set_that_is_not_whole_is_refused(write: Write, tmp_path: Path) -> None:
    write(CIFAR10, tmp_path)
    with pytest.raises(SpecError, match=r"data_batch_1(.bin)? holds 6 images, and CIFAR-10's 10,000"):
        read_cifar(CIFAR10, tmp_path)


def test_whole_numbers_of_the_official_files() -> None:
    for kind, training in ((CIFAR10, 5), (CIFAR100, 1)):
        assert all(len(layout.train) == training for layout in kind.layouts)


@pytest.mark.parametrize("bytes_", [0, 1, 3072, 3074 * 2])
def test_broken_records_are_named(bytes_: int, tmp_path: Path) -> None:
    (binary(CIFAR10, tmp_path) / "data_batch_3.bin").write_bytes(bytes(bytes_))
    with pytest.raises(SpecError, match=r"data_batch_3.bin holds [\d,]+ bytes.*of 3,073") as caught:
        read_cifar(CIFAR10, tmp_path, partial=True)
    assert "10,000 records, 30,730,000 bytes" in caught.value.diagnostics[0].help


def test_the_size_of_cifar100s_training_file(tmp_path: Path) -> None:
    (binary(CIFAR100, tmp_path) / "train.bin").write_bytes(bytes(5))
    with pytest.raises(SpecError, match=r"train.bin holds 5 bytes.*of 3,074") as caught:
        read_cifar(CIFAR100, tmp_path)
    assert "50,000 records, 153,700,000 bytes" in caught.value.diagnostics[0].help


@pytest.mark.parametrize(
    ("kind", "at", "label", "limit"), [(CIFAR10, 3073, 10, 9), (CIFAR100, 3074, 20, 19), (CIFAR100, 3075, 100, 99)]
)
def test_labels_beyond_the_classes_are_named(kind: Cifar, at: int, label: int, limit: int, tmp_path: Path) -> None:
    file = binary(kind, tmp_path) / f"{FILES[kind.name][0]}.bin"
    content = bytearray(file.read_bytes())
    content[at] = label
    file.write_bytes(content)
    with pytest.raises(SpecError, match=rf"record 1 of .*{file.name} has the label {label}.*from 0 to {limit}"):
        read_cifar(kind, tmp_path, partial=True)


def test_absent_files_are_named(tmp_path: Path) -> None:
    folder = binary(CIFAR10, tmp_path)
    (folder / "data_batch_2.bin").unlink()
    (folder / "batches.meta.txt").unlink()
    with pytest.raises(SpecError, match=r"lacks data_batch_2.bin, batches.meta.txt of CIFAR-10"):
        read_cifar(CIFAR10, tmp_path, partial=True)


@BOTH
@pytest.mark.parametrize("index", [0, 1])
def test_archives_are_to_be_extracted(kind: Cifar, index: int, tmp_path: Path) -> None:
    archive = tmp_path / kind.layouts[index].archive
    archive.write_bytes(b"\x1f\x8b")
    for root in (tmp_path, archive):
        with pytest.raises(SpecError, match="is not extracted") as caught:
            read_cifar(kind, root)
        assert f"tar -xzf {archive}" in caught.value.diagnostics[0].help


@pytest.mark.parametrize(("here", "asked"), [(CIFAR10, CIFAR100), (CIFAR100, CIFAR10)])
@pytest.mark.parametrize("write", [binary, python])
def test_one_is_not_taken_for_the_other(here: Cifar, asked: Cifar, write: Write, tmp_path: Path) -> None:
    write(here, tmp_path)
    with pytest.raises(SpecError, match=f"holds {here.title}, not {asked.title}") as caught:
        read_cifar(asked, tmp_path)
    assert caught.value.diagnostics[0].help == f"name the data set {here.name}"


def test_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()  # a folder of ImageNet's, and a file of CIFAR-100's
    with pytest.raises(SpecError, match="does not hold CIFAR-100") as caught:
        read_cifar(CIFAR100, tmp_path)
    assert "https://www.cs.toronto.edu" in caught.value.diagnostics[0].help


def entries(**changed: object) -> dict[bytes, object]:
    good = {"data": np.zeros((RECORDS, 3072), np.uint8), "labels": [0] * RECORDS}
    return {key.encode(): value for key, value in (good | changed).items() if value is not None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (entries(labels=None), "has no `labels`"),
        (entries(data=None), "has no `data`"),
        (entries(data=np.zeros((RECORDS, 3072), np.int16)), "`data` in .* is int16"),
        (entries(data=np.zeros((RECORDS, 1024), np.uint8)), r"is uint8 of \(6, 1024\)"),
        (entries(data=[1, 2]), "`data` in .* is list"),
        (entries(labels=[0] * 5), "6 images and 5 labels"),
        (entries(labels=[10] * RECORDS), "record 0 of .* has the label 10"),
        (entries(labels=[-1] * RECORDS), "record 0 of .* has the label -1"),
        (entries(labels=[2**70] * RECORDS), "no list of whole numbers"),
        (entries(labels=[0.0] * RECORDS), "no list of whole numbers"),
        (entries(labels=[None] * RECORDS), "no list of whole numbers"),
        (entries(data=np.zeros((0, 3072), np.uint8), labels=[]), "0 images and 0 labels"),
        ([1, 2], "holds no dictionary"),
    ],
)
def test_other_pickles_are_refused(content: object, message: str, tmp_path: Path) -> None:
    (python(CIFAR10, tmp_path) / "data_batch_1").write_bytes(pickle.dumps(content))
    with pytest.raises(SpecError, match=message):
        read_cifar(CIFAR10, tmp_path, partial=True)


def test_labels_may_be_an_array(tmp_path: Path) -> None:
    content = entries(labels=np.arange(RECORDS, dtype=np.int32))
    (python(CIFAR10, tmp_path) / "data_batch_1").write_bytes(pickle.dumps(content, protocol=5))
    assert read_cifar(CIFAR10, tmp_path, partial=True).train.labels[:RECORDS].tolist() == list(range(RECORDS))


def test_the_number_of_classes_is_held_to(tmp_path: Path) -> None:
    (binary(CIFAR10, tmp_path) / "batches.meta.txt").write_text("cat\ndog\n")
    with pytest.raises(SpecError, match="names 2 classes, and CIFAR-10 has 10"):
        read_cifar(CIFAR10, tmp_path, partial=True)
