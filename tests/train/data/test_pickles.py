"""Pickles: what numpy writes is read, whatever the version, and nothing in a file is run."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.data.pickles import read_pickle


def stored(content: bytes, folder: Path) -> Path:
    path = folder / "pickle"
    path.write_bytes(content)
    return path


def text(value: str) -> bytes:
    """What Python 2 writes for str in protocol 2: BINSTRING."""
    return b"T" + struct.pack("<I", len(value)) + value.encode("latin-1")


def by_python_2(pixels: np.ndarray) -> bytes:
    """The program that Python 2 and numpy 1 wrote for {"data": pixels}, opcode by opcode."""
    shape = b"".join(b"J" + struct.pack("<i", extent) for extent in pixels.shape)
    raw = pixels.tobytes()
    return (
        b"\x80\x02}"
        + text("data")
        + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        + text("b")
        + b"\x87R(K\x01("
        + shape
        + b"tcnumpy\ndtype\n"
        + text("u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text("|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<I", len(raw))
        + raw
        + b"tbs."
    )


def test_what_python_2_wrote(tmp_path: Path) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(2, 128)
    content = by_python_2(pixels)
    assert pickle.loads(content.replace(b"numpy.core", b"numpy._core"), encoding="bytes").keys() == {b"data"}
    found = read_pickle(stored(content, tmp_path))["data"]
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.uint8
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("core", [b"numpy._core", b"numpy.core"])
def test_what_python_3_writes(protocol: int, core: bytes, tmp_path: Path) -> None:
    written = {
        b"data": np.arange(12, dtype=np.uint8).reshape(3, 4),
        b"columns": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        b"labels": [np.int64(3), 4],
        "names": ["é", b"cat"],
    }
    content = pickle.dumps(written, protocol)
    if protocol < 4:  # later ones write the length of a name before it
        content = content.replace(b"numpy._core", core)
    found = read_pickle(stored(content, tmp_path))
    for name in ("data", "columns"):
        assert np.array_equal(found[name], written[name.encode()])
    assert found["labels"] == [3, 4]
    assert found["names"] == ["é", b"cat"]


class Runs:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_run(protocol: int, tmp_path: Path) -> None:
    made = tmp_path / "made"
    content = pickle.dumps({b"data": Runs(made)}, protocol)
    with pytest.raises(SpecError, match=r"asks to run (posix|nt|os)\.mkdir, which was not done"):
        read_pickle(stored(content, tmp_path))
    assert not made.exists()
    pickle.loads(content)
    assert made.exists(), "the file is what it claims to be"


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"(S'1'\nibuiltins\neval\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",
        b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.view\x93.",  # an attribute of what is allowed
        b"cnumpy\nload\n(S'x'\ntR.",
        b"ccopyreg\n_reconstructor\n(tR.",
    ],
)
def test_other_names_are_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_pickle(stored(content, tmp_path))
    assert caught.value.diagnostics[0].code == "unsafe-pickle"


KIND = b"cnumpy\ndtype\n(S'%s'\nI0\nI1\ntR"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (KIND % b"O" + b".", "elements of O"),
        (KIND % b"V8" + b".", "elements of V8"),
        (KIND % b"u1" + b"(I3\nS'!'\nNNNI-1\nI-1\nI0\ntb.", "order of bytes"),
        (b"cnumpy\ndtype\n}S'__defaults__'\nNsb.", "changes a function"),
        (b"cnumpy\ndtype\nN}S'does'\nNs\x86b.", "changes a function"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "cannot be read as a pickle"),  # NEWOBJ
        (b"cnumpy.core.multiarray\nscalar\n(" + KIND % b"i8" + b"S'ab'\ntR.", "cannot be read as a pickle"),
        (b"cnumpy.core.multiarray\nscalar\n(" + KIND % b"i8" + b"I3\ntR.", "not bytes"),
        (b"S'a'\nQ.", "cannot be read as a pickle"),  # a persistent id
        (b"", "cannot be read as a pickle"),
        (b"\x80\x63.", "cannot be read as a pickle"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fab", "cannot be read as a pickle"),  # a length beyond all memory
        (b"I1\n.", "no dictionary"),
    ],
)
def test_damaged_files_are_one_sentence(content: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=reason) as caught:
        read_pickle(stored(content, tmp_path))
    assert caught.value.diagnostics[0].code == "unreadable"
    assert str(tmp_path) in caught.value.diagnostics[0].message


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="elements of O8"):
        read_pickle(stored(pickle.dumps({b"data": np.array([None, {}])}), tmp_path))


def test_kinds_of_numbers_are_not_changed_for_the_process(tmp_path: Path) -> None:
    """numpy's own reader gives its shared int64 another order of bytes, if the pickle says so and makes no copy."""
    content = b"}S'a'\ncnumpy\ndtype\n(S'i8'\nI0\nI0\ntR(I3\nS'>'\nNNNI-1\nI-1\nI0\ntbs."
    read_pickle(stored(content, tmp_path))
    assert np.dtype("i8").isnative


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        read_pickle(tmp_path / "absent")


def test_every_cut_of_a_file_is_one_sentence(tmp_path: Path) -> None:
    content = pickle.dumps({b"data": np.zeros((2, 2), np.uint8), b"labels": [1, 2]}, protocol=2)
    for length in range(len(content)):
        with pytest.raises(SpecError):
            read_pickle(stored(content[:length], tmp_path))
