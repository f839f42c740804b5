"""What a file of a point holds, as the value that was stored: every field checked, as files can be damaged or edited."""

from __future__ import annotations

from dataclasses import fields
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from resdsl.analysis.demystify.points import Course, Ends, Errors
from resdsl.analysis.hessian.spectrum import Spectrum
from resdsl.train.run.difference import Plain

V = TypeVar("V", Spectrum, Ends, Course, Errors)


def value(kind: type[V], said: Plain, count: int) -> V:
    """Of JSON. Lists are tuples in values, of `count` entries each. Raises ValueError for other fields, lengths and kinds of entries."""
    if not isinstance(said, dict):
        raise ValueError("it holds no fields")
    if said.keys() != {each.name for each in fields(kind)}:
        raise ValueError(f"it holds {', '.join(said) or 'nothing'}")
    types = get_type_hints(kind)
    return kind(**{name: _field(name, each, types[name], count) for name, each in said.items()})


def _field(name: str, said: Plain, type: Any, count: int) -> Any:
    if get_origin(type) is not tuple:
        if not _fits(said, type):
            raise ValueError(f"{name} is {said!r}")
        return said
    if not isinstance(said, list) or len(said) != count:
        raise ValueError(f"{name} is no list of {count:,}")
    for each in said:
        if not _fits(each, get_args(type)[0]):
            raise ValueError(f"{name} holds {each!r}")
    return tuple(said)


def _fits(said: Plain, type: Any) -> bool:
    """type: float or int, or one of them or None. Whole numbers are floats, too; true and false are no numbers."""
    wanted = get_args(type) or (type,)
    match said:
        case None:
            return NoneType in wanted
        case bool():
            return False
        case int():
            return int in wanted or float in wanted
        case float():
            return float in wanted
        case _:
            return False
