"""Pickles of strangers, read without running them: numbers, texts, lists, dictionaries and numpy's arrays.

A pickle is a program that may call any function of any library. Here the few names that numpy writes lead to stand-ins
of ours, and no other name leads anywhere, so numpy's own code for pickles is not run either.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail

NUMBERS = re.compile(r"b1|[iu][1248]|f[248]")
"""numpy's names for kinds of numbers; any other, such as O for Python's objects, is refused."""
ORDERS = "<>|="


def read_pickle(path: Path) -> Mapping[str, object]:
    """The dictionary in a file; keys and texts of Python 2 are bytes in it, and keys become str. Arrays may be read-only.

    Raises SpecError for a file that cannot be read, that asks for anything but the above, or holds no dictionary.
    """
    try:
        with path.open("rb") as stream:
            found: object = _Unpickler(stream, encoding="bytes").load()
    except OSError as error:
        raise fail("unreadable", f"{path} cannot be read: {error.strerror or error}") from None
    except _RefusedError as error:
        help = "it is no file of the official data set: do not open it with anything else"
        raise fail("unsafe-pickle", f"{path} asks to run {error}, which was not done", help=help) from None
    except Exception as error:  # in a damaged file the unpickler raises all sorts
        reason = str(error).strip() or type(error).__name__
        raise fail("unreadable", f"{path} cannot be read as a pickle: {reason}") from None
    if not isinstance(found, dict):
        raise fail("unreadable", f"{path} holds no dictionary, as CIFAR's pickles do")
    return {_text(key): value.array if isinstance(value, _Array) else value for key, value in found.items()}


class _RefusedError(Exception):
    """A name that is none of numpy's."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> object:
        """Also what a pickle's extension codes come through."""
        found = NAMES.get((module, name))
        if found is None:
            raise _RefusedError(f"{module}.{name}")
        return _Call(found)


class _Call:
    """A function without attributes: a pickle may set those of what it has named."""

    __slots__ = ("__does",)

    def __init__(self, does: Callable[..., object]) -> None:
        self.__does = does

    def __call__(self, *given: object) -> object:
        return self.__does(*given)

    def __setstate__(self, _: object) -> None:
        raise pickle.UnpicklingError("it changes a function")


class _Kind:
    """The kind of an array's elements; numpy's own may be one object for the whole process, which a state would change."""

    __slots__ = ("name", "order")

    def __init__(self, name: object, *_: object) -> None:
        self.name, self.order = _text(name), "="
        if not NUMBERS.fullmatch(self.name):
            raise pickle.UnpicklingError(f"it holds elements of {self.name}, not numbers")

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.order = _text(state[1])
        if self.order not in ORDERS:
            raise pickle.UnpicklingError(f"there is no order of bytes {self.order}")

    def over(self, data: object) -> NDArray[np.generic]:
        """The numbers in these bytes; protocols up to 2 have them as text of Latin-1."""
        found = data.encode("latin-1") if isinstance(data, str) else data
        if not isinstance(found, bytes | bytearray):
            raise pickle.UnpicklingError(f"the elements of an array are {type(data).__name__}, not bytes")
        return np.frombuffer(found, np.dtype(self.order + self.name))


class _Array:
    """An array that is made empty first, and then given its state."""

    __slots__ = ("array",)

    def __init__(self, *_: object) -> None:
        self.array: NDArray[np.generic] = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Kind, bool, object]) -> None:
        _, shape, kind, by_columns, data = state
        self.array = kind.over(data).reshape(shape, order="F" if by_columns else "C")


def _from_buffer(data: object, kind: _Kind, shape: tuple[int, ...], order: str) -> _Array:
    found = _Array()
    found.array = kind.over(data).reshape(shape, order="F" if order == "F" else "C")
    return found


def _scalar(kind: _Kind, data: object) -> int | float | bool:
    return kind.over(data)[0].item()


def _encoded(text: str, _: str) -> bytes:
    """How Python 3 writes bytes in protocols that have none."""
    return text.encode("latin-1")


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


NAMES: Mapping[tuple[str, str], Callable[..., object]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _encoded,
    **{
        (f"numpy.{core}.{module}", name): does  # core until numpy 1, _core from numpy 2 on
        for core in ("core", "_core")
        for module, name, does in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _from_buffer),
        )
    },
}
