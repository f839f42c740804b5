"""The network as canonical JSON, and back.

`schema/network.schema.json` describes the document. A network has one text, and reading it gives an equal network.
Whatever is read is checked: the JSON, the schema, and then the shapes, which no schema can speak of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, NoReturn, TypeAlias, TypeVar, cast

from resdsl.diagnostics import Diagnostic, SpecError
from resdsl.network.document_check import TOO_DEEP, Problem, network_problems, schema_problems, value_problems
from resdsl.network.json_text import (
    DECODER,
    Json,
    Path,
    as_array,
    as_number,
    as_object,
    as_text,
    as_whole,
    place_of,
    pointer,
)
from resdsl.network.network import Network
from resdsl.network.operators import (
    OPERATOR_NAMES,
    OPERATORS,
    Chain,
    Element,
    Operator,
    Run,
    Shortcut,
    Unit,
    Units,
)
from resdsl.network.types import He, Image, Init, Normal, Orthogonal, Pair, PerCopy, Shape, Tap, Vector, Xavier, Zero
from resdsl.source import Location, Source, Span

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

VERSION = 1
"""Of the document; `resdsl` in it."""

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
MAX_DOCUMENT_UNITS = 100_000
MAX_PROBLEMS = 20
"""No more than this many defects are told at once."""

_INITS: dict[str, type[Init]] = {"he": He, "xavier": Xavier, "orthogonal": Orthogonal, "normal": Normal, "zero": Zero}
_INIT_NAMES: dict[type[Init], str] = {kind: name for name, kind in _INITS.items()}


def to_document(network: Network) -> dict[str, Json]:
    """The document of a network: JSON values, keys in the order of the types' fields."""
    return {"resdsl": VERSION, **_write_fields(network)}


def to_json(network: Network) -> str:
    """The document's text, which ends with a line break."""
    return json.dumps(to_document(network), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_document(document: Json, *, max_units: int = MAX_DOCUMENT_UNITS) -> Network:
    """The network of a document. Raises SpecError where it is not one."""
    return _checked(document, max_units, lambda _: None)


def from_json(source: Source, *, max_units: int = MAX_DOCUMENT_UNITS) -> Network:
    """The network of a document's text. Raises SpecError where it is not one."""
    if len(source.text.encode("utf-8", "surrogatepass")) > MAX_DOCUMENT_BYTES:
        _refuse(f"{source.name} has more than {MAX_DOCUMENT_BYTES:,} bytes, the most that a document may have")
    try:
        document = cast(Json, DECODER.decode(source.text))
    except json.JSONDecodeError as error:
        reason = f"{error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')}"
        _refuse(f"this is no JSON: {reason}", Span(source, error.pos, error.pos + 1))
    except RecursionError:
        _refuse(f"the document {TOO_DEEP}")
    return _checked(document, max_units, lambda path: Span(source, *place_of(source.text, path)))


# Writing. Fields are written by what they hold.


_Composite: TypeAlias = Network | Run | Unit | Shortcut | Operator | Init | Location
_Part: TypeAlias = "_Composite | Units | Shape | Tap | float | str | tuple[_Part, ...] | Mapping[str, Location] | None"


def _write(part: _Part) -> Json:
    match part:
        case None | int() | float() | str():
            return part
        case tuple():
            return [_write(inner) for inner in part]
        case Mapping():
            return {key: _write(inner) for key, inner in part.items()}
        case Tap():
            return part.value
        case Image(channels=channels, height=height, width=width):
            return {"image": [channels, height, width]}
        case Vector(features=features):
            return {"vector": features}
        case Units(runs=runs):
            return {"units": [_write(run) for run in runs]}
        case Unit():
            return _write_unit(part)
        case Network() | Run() | Shortcut() | Location():
            return _write_fields(part)
        case He() | Xavier() | Orthogonal() | Normal() | Zero():
            return {_INIT_NAMES[type(part)]: _write_fields(part)}
        case _:
            return {OPERATOR_NAMES[type(part)]: _write_fields(part)}


def _write_fields(part: _Composite) -> dict[str, Json]:
    written: dict[str, Json] = {}
    for name, is_number in _fields(type(part)):
        value: _Part = getattr(part, name)
        written[name] = _write(_floats(cast(PerCopy, value)) if is_number else value)
    return written


@cache
def _fields(kind: type[_Composite]) -> tuple[tuple[str, bool], ...]:
    """The fields of a type, and whether each is a number that is written as a float."""
    return tuple((field.name, field.type in ("float", "PerCopy")) for field in fields(kind))


def _write_unit(unit: Unit) -> dict[str, Json]:
    """The unit's fields, `changes_shape` behind `output`."""
    written: dict[str, Json] = {}
    for name, value in _write_fields(unit).items():
        written[name] = value
        if name == "output":
            written["changes_shape"] = unit.changes_shape
    return written


def _floats(value: PerCopy) -> PerCopy:
    return tuple(float(number) for number in value) if isinstance(value, tuple) else float(value)


# Reading. Fields are read by their declared types. The schema holds for what these functions are given.


_T = TypeVar("_T")


def _read_fields(kind: type[_T], value: Json) -> _T:
    values = as_object(value)
    declared = fields(cast("type[DataclassInstance]", kind))
    return kind(**{field.name: _READ[str(field.type)](values[field.name]) for field in declared})


def _read_chain(value: Json) -> Chain:
    return tuple(_read_element(element) for element in as_array(value))


def _read_element(value: Json) -> Element:
    name, inside = _only(value)
    if name == "units":
        return Units(tuple(_read_fields(Run, run) for run in as_array(inside)))
    return _read_fields(OPERATORS[name], inside)


def _read_shape(value: Json) -> Shape:
    name, inside = _only(value)
    if name == "vector":
        return Vector(as_whole(inside))
    channels, height, width = map(as_whole, as_array(inside))
    return Image(channels, height, width)


def _read_init(value: Json) -> Init:
    name, inside = _only(value)
    return _read_fields(_INITS[name], inside)


def _read_pair(value: Json) -> Pair:
    height, width = map(as_whole, as_array(value))
    return height, width


def _read_per_copy(value: Json) -> PerCopy:
    return tuple(map(as_number, value)) if isinstance(value, list) else as_number(value)


def _only(value: Json) -> tuple[str, Json]:
    (item,) = as_object(value).items()
    return item


_READ: dict[str, Callable[[Json], object]] = {
    "str": as_text,
    "int": as_whole,
    "bool": bool,
    "float": as_number,
    "Pair": _read_pair,
    "PerCopy": _read_per_copy,
    "Init": _read_init,
    "Shape": _read_shape,
    "Tap": Tap,
    "Chain": _read_chain,
    "Chain | None": lambda value: None if value is None else _read_chain(value),
    "tuple[Chain, ...]": lambda value: tuple(map(_read_chain, as_array(value))),
    "Shortcut": lambda value: _read_fields(Shortcut, value),
    "Unit": lambda value: _read_fields(Unit, value),
    "Mapping[str, Location]": lambda value: {key: _read_fields(Location, at) for key, at in as_object(value).items()},
}


def _checked(document: Json, max_units: int, place: Callable[[Path], Span | None]) -> Network:
    """The network of a document. Raises SpecError, with a span where `place` knows one."""
    try:
        problems = _first(value_problems(document)) or _first(schema_problems(document))
        if not problems:
            network = _read_fields(Network, document)
            problems = _first(network_problems(network, document, max_units))
            if not problems:
                return network
        diagnostics = [_diagnostic(problem, place(problem.path)) for problem in problems]
    except RecursionError:
        _refuse(f"the document {TOO_DEEP}")
    raise SpecError(diagnostics)


def _first(problems: Iterable[Problem]) -> list[Problem]:
    return list(islice(problems, MAX_PROBLEMS))


def _diagnostic(problem: Problem, span: Span | None) -> Diagnostic:
    message = f"{pointer(problem.path) or 'the document'} {problem.words}"
    return Diagnostic("document", message, span, help=problem.help)


def _refuse(message: str, span: Span | None = None) -> NoReturn:
    raise SpecError([Diagnostic("document", message, span)]) from None
