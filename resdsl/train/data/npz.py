"""A data set in one `.npz` file of numpy's: inputs and labels, to train on and to test with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import SpecError, fail
from resdsl.train.data.dataset import Arrays, Split

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile

Array: TypeAlias = NDArray[np.generic]

MAGIC = b"PK"
COLOURS = (1, 3, 4)
"""Channels by which an axis is told from height and width."""
SHOWN = 8
"""Classes that a message lists at most."""
CHANNELS_FIRST = ("nchw", "channels-first", "channels_first")
CHANNELS_LAST = ("nhwc", "channels-last", "channels_last")


@dataclass(frozen=True, slots=True)
class Names:
    """Of inputs and labels: two to train on, two to test with."""

    train: tuple[str, str]
    test: tuple[str, str]

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.train, *self.test)


KERAS = Names(("x_train", "y_train"), ("x_test", "y_test"))
OURS = Names(("train_inputs", "train_labels"), ("test_inputs", "test_labels"))


def read_npz(path: Path) -> Arrays:
    """x_train, y_train, x_test, y_test, as Keras's files name them, or train_inputs, train_labels, test_inputs,
    test_labels; perhaps `classes`, their names, and `layout`, "nchw" or "nhwc".

    Inputs: uint8 or floating-point numbers, (n, channels, height, width), (n, height, width, channels), (n, height,
    width) or (n, features). Labels: whole numbers from 0, (n,) or (n, 1). Nothing is unpickled. Raises SpecError.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise fail("unreadable", f"{path} is no .npz file", help="numpy.savez writes them")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                return _read(path, file)
    except SpecError:
        raise
    except MemoryError:
        raise fail("out-of-memory", f"{path} does not fit into memory") from None
    except OSError as error:
        raise fail("unreadable", f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # in a damaged file, numpy's and zipfile's parsers raise all sorts
        raise fail("unreadable", f"{path} cannot be read as arrays: {_reason(error)}") from None


def _read(path: Path, file: NpzFile) -> Arrays:
    names = _names(path, file.files)
    layout = str(file["layout"]).lower() if "layout" in file.files else None
    train, test = (_split(path, file, each, layout) for each in (names.train, names.test))
    for one, other in (
        (_said(train.inputs.shape[1:]), _said(test.inputs.shape[1:])),
        (train.inputs.dtype, test.inputs.dtype),
    ):
        if one != other:
            message = f"a sample of {names.train[0]} in {path} is {one}, and one of {names.test[0]} {other}"
            raise fail("wrong-data", message)
    given = _given_classes(path, file)
    count = max(int(train.labels.max()), int(test.labels.max())) + 1
    if given is not None and len(given) < count:
        raise fail("wrong-data", f"{path} names {len(given)} classes, and has labels to {count - 1:,}")
    _require_all(path, names.train[1], train.labels, len(given or ()) or count)
    classes = given or tuple(map(str, range(count)))
    return Arrays(path.name, train, test, classes)


def _names(path: Path, held: list[str]) -> Names:
    """The names that most of the file's arrays have."""
    names = max((KERAS, OURS), key=lambda names: len(set(names.all) & set(held)))
    absent = [name for name in names.all if name not in held]
    if absent:
        message = f"{path} holds no {', '.join(absent)}"
        help = f"name the arrays {', '.join(KERAS.all)}, or {', '.join(OURS.all)}"
        raise fail("incomplete-data", message, notes=[f"it holds {', '.join(held) or 'no array'}"], help=help)
    return names


def _split(path: Path, file: NpzFile, names: tuple[str, str], layout: str | None) -> Split:
    inputs_name, labels_name = names
    inputs = _inputs(path, inputs_name, file[inputs_name], layout)
    labels = _labels(path, labels_name, file[labels_name])
    if len(inputs) != len(labels):
        message = f"{path} holds {len(inputs):,} of {inputs_name} and {len(labels):,} of {labels_name}"
        raise fail("wrong-data", message, help="one label for each input")
    return Split(inputs, labels)


def _inputs(path: Path, name: str, found: Array, layout: str | None) -> NDArray[np.uint8] | NDArray[np.float32]:
    """(n, channels, height, width) or (n, features), finite."""
    if found.dtype != np.uint8 and found.dtype.kind != "f":
        message = f"{name} in {path} holds {found.dtype}"
        raise fail("wrong-data", message, help="save images as uint8, 0 to 255, and other numbers as float32")
    if not found.size:
        raise fail("wrong-data", f"{name} in {path} is empty: {_said(found.shape)}")
    match found.ndim:
        case 2:
            shaped = found
        case 3:
            shaped = found[:, np.newaxis]
        case 4:
            shaped = np.moveaxis(found, -1, 1) if _is_last(path, name, found.shape, layout) else found
        case _:
            message = f"{name} in {path} is {_said(found.shape)}"
            help = "n x channels x height x width, n x height x width x channels, n x height x width, or n x features"
            raise fail("wrong-data", message, help=help)
    if shaped.dtype == np.uint8:
        return np.ascontiguousarray(shaped, np.uint8)
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(shaped, np.float32)
    if not np.isfinite(floats).all():
        raise fail("wrong-data", f"{name} in {path} holds NaN, infinity or numbers too large for float32")
    return floats


def _is_last(path: Path, name: str, shape: tuple[int, ...], layout: str | None) -> bool:
    """Whether the channels are behind height and width: as the file says, or if one end alone looks like channels."""
    if layout is not None and layout not in CHANNELS_FIRST + CHANNELS_LAST:
        raise fail("wrong-data", f"`layout` in {path} is {layout!r}", help='"nchw" or "nhwc"')
    if layout is not None:
        return layout in CHANNELS_LAST
    first, last = shape[1] in COLOURS, shape[3] in COLOURS
    if first == last:
        message = f"which axis of {name} in {path} has the channels is not clear: {_said(shape)}"
        help = 'add an array `layout` to the file: numpy.savez(..., layout="nchw"), or "nhwc" if they are last'
        raise fail("wrong-data", message, help=help)
    return last


def _labels(path: Path, name: str, found: Array) -> NDArray[np.int64]:
    """(n,), from 0."""
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        one_hot = found.ndim == 2
        help = "labels.argmax(1), if these are one-hot" if one_hot else ""
        raise fail("wrong-data", f"{name} in {path} is {_said(found.shape)}, and labels are n", help=help)
    if found.dtype.kind not in "iu":
        message = f"{name} in {path} holds {found.dtype}, and labels are whole numbers"
        raise fail("wrong-data", message, help="labels.astype(int64)" if found.dtype.kind == "f" else "")
    if len(found) and found.min() < 0:
        raise fail("wrong-data", f"{name} in {path} holds {found.min()}, and labels count from 0")
    return found.astype(np.int64)


def _given_classes(path: Path, file: NpzFile) -> tuple[str, ...] | None:
    if "classes" not in file.files:
        return None
    found = file["classes"]
    if found.ndim != 1 or found.dtype.kind not in "US":
        raise fail("wrong-data", f"`classes` in {path} is no list of names: {found.dtype} of {_said(found.shape)}")
    return tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in found.tolist())


def _require_all(path: Path, name: str, labels: NDArray[np.int64], classes: int) -> None:
    """Each class occurs. Labels that are no classes, such as years, may be many and large."""
    held = np.unique(labels)
    if len(held) == classes:
        return
    absent = np.setdiff1d(np.arange(min(classes, len(held) + SHOWN)), held)[:SHOWN].tolist()
    count = classes - len(held)
    shown = ", ".join(map(str, absent)) + (", …" if count > len(absent) else "")
    message = f"{name} in {path} lacks {count:,} of {classes:,} classes: {shown}"
    help = "count labels from 0: subtract 1" if absent == [0] else "number the classes from 0, without gaps"
    raise fail("wrong-data", message, help=help)


def _said(what: object) -> str:
    return " x ".join(map(str, what)) if isinstance(what, tuple) else str(what)


def _reason(error: Exception) -> str:
    """numpy's advice to allow pickles is not for files of strangers."""
    text = str(error).strip() or type(error).__name__
    return "it holds Python objects, not numbers" if "allow_pickle" in text or "Object arrays" in text else text
