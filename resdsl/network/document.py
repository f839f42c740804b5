"""The network as canonical JSON, and back.

`schema/network.schema.json` describes the document. A network has one text, and reading it gives an equal network.
Whatever is read is checked: the JSON, the schema, and then the shapes, which no schema can speak of.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from itertools import count, islice
from typing import TYPE_CHECKING, NoReturn, TypeAlias, TypeVar, cast

from resdsl.diagnostics import Diagnostic, SpecError, did_you_mean
from resdsl.network.network import Network, count_units, inner_chains
from resdsl.network.operators import (
    OPERATOR_NAMES,
    OPERATORS,
    PER_COPY_FIELDS,
    Chain,
    Conv,
    Element,
    Gate,
    Operator,
    Partial,
    Run,
    Scale,
    Shortcut,
    Unit,
    Units,
)
from resdsl.network.shapes import ShapeError, chain_output, output, with_channels
from resdsl.network.types import He, Image, Init, Normal, Orthogonal, Pair, PerCopy, Shape, Tap, Vector, Xavier, Zero
from resdsl.source import Location, Source, Span

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

VERSION = 1
"""Of the document; `resdsl` in it."""

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
MAX_DOCUMENT_UNITS = 100_000
MAX_DEPTH = 512
"""Arrays and objects in each other; a unit in a unit takes six."""
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
        document = cast(Json, _DECODER.decode(source.text))
    except json.JSONDecodeError as error:
        reason = f"{error.msg[:1].lower()}{error.msg[1:].removesuffix(' at')}"
        _refuse(f"this is no JSON: {reason}", Span(source, error.pos, error.pos + 1))
    except RecursionError:
        _refuse(f"the document {_TOO_DEEP}")
    return _checked(document, max_units, lambda path: Span(source, *_place(source.text, path)))


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
    for field in fields(part):
        value: _Part = getattr(part, field.name)
        written[field.name] = _write(_floats(cast(PerCopy, value)) if field.type in ("float", "PerCopy") else value)
    return written


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
    values = _object(value)
    declared = fields(cast("type[DataclassInstance]", kind))
    return kind(**{field.name: _READ[str(field.type)](values[field.name]) for field in declared})


def _read_chain(value: Json) -> Chain:
    return tuple(_read_element(element) for element in _array(value))


def _read_element(value: Json) -> Element:
    name, inside = _only(value)
    if name == "units":
        return Units(tuple(_read_fields(Run, run) for run in _array(inside)))
    return _read_fields(OPERATORS[name], inside)


def _read_shape(value: Json) -> Shape:
    name, inside = _only(value)
    if name == "vector":
        return Vector(_whole(inside))
    channels, height, width = map(_whole, _array(inside))
    return Image(channels, height, width)


def _read_init(value: Json) -> Init:
    name, inside = _only(value)
    return _read_fields(_INITS[name], inside)


def _read_pair(value: Json) -> Pair:
    height, width = map(_whole, _array(value))
    return height, width


def _read_per_copy(value: Json) -> PerCopy:
    return tuple(map(_number, value)) if isinstance(value, list) else _number(value)


def _object(value: Json) -> dict[str, Json]:
    assert isinstance(value, dict)
    return value


def _only(value: Json) -> tuple[str, Json]:
    (item,) = _object(value).items()
    return item


def _array(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value


def _text(value: Json) -> str:
    assert isinstance(value, str)
    return value


def _whole(value: Json) -> int:
    assert isinstance(value, int)
    return value


def _number(value: Json) -> float:
    assert isinstance(value, int | float)
    return float(value)


_READ: dict[str, Callable[[Json], object]] = {
    "str": _text,
    "int": _whole,
    "bool": bool,
    "float": _number,
    "Pair": _read_pair,
    "PerCopy": _read_per_copy,
    "Init": _read_init,
    "Shape": _read_shape,
    "Tap": Tap,
    "Chain": _read_chain,
    "Chain | None": lambda value: None if value is None else _read_chain(value),
    "tuple[Chain, ...]": lambda value: tuple(map(_read_chain, _array(value))),
    "Shortcut": lambda value: _read_fields(Shortcut, value),
    "Unit": lambda value: _read_fields(Unit, value),
    "Mapping[str, Location]": lambda value: {key: _read_fields(Location, at) for key, at in _object(value).items()},
}


# Checking.


_Path: TypeAlias = tuple[str | int, ...]
"""Keys and numbers that lead from the document to a part of it."""


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is wrong with the part at `path`; `words` follow its pointer."""

    path: _Path
    words: str
    help: str = ""


_TOO_DEEP = f"is nested more than {MAX_DEPTH} deep"


def _checked(document: Json, max_units: int, place: Callable[[_Path], Span | None]) -> Network:
    """The network of a document. Raises SpecError, with a span where `place` knows one."""
    try:
        problems = _first(_value_problems(document)) or _first(_schema_problems(document))
        if not problems:
            network = _read_fields(Network, document)
            problems = _first(_network_problems(network, document, max_units))
            if not problems:
                return network
        diagnostics = [_diagnostic(problem, place(problem.path)) for problem in problems]
    except RecursionError:
        _refuse(f"the document {_TOO_DEEP}")
    raise SpecError(diagnostics)


def _first(problems: Iterable[_Problem]) -> list[_Problem]:
    return list(islice(problems, MAX_PROBLEMS))


def _diagnostic(problem: _Problem, span: Span | None) -> Diagnostic:
    message = f"{_pointer(problem.path) or 'the document'} {problem.words}"
    return Diagnostic("document", message, span, help=problem.help)


def _pointer(path: _Path) -> str:
    """The JSON pointer (RFC 6901), with ? for what cannot be printed."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(character if character.isprintable() else "?" for step in steps for character in f"/{step}")


def _refuse(message: str, span: Span | None = None) -> NoReturn:
    raise SpecError([Diagnostic("document", message, span)]) from None


def _value_problems(document: Json) -> Iterator[_Problem]:
    """What no schema speaks of: values that JSON or UTF-8 cannot hold, keys that stand twice, depth."""
    waiting: list[tuple[_Path, Json]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > MAX_DEPTH:
            yield _Problem((), _TOO_DEEP)
            return
        match value:
            case _Repeating():
                yield _Problem(path, f"holds the key {_shown(value.repeated)} more than once")
            case dict():
                if all(isinstance(key, str) and _is_unicode(key) for key in cast(dict[object, Json], value)):
                    waiting += [((*path, key), part) for key, part in reversed(value.items())]
                else:
                    yield _Problem(path, "has a key that is no Unicode text")
            case list():
                waiting += [((*path, number), part) for number, part in reversed([*enumerate(value)])]
            case str():
                if not _is_unicode(value):
                    yield _Problem(path, "is no Unicode text: it has half of a surrogate pair")
            case int() | float():
                if not abs(value) <= sys.float_info.max:
                    yield _Problem(path, "is not a finite number")
            case None:
                pass
            case _:
                yield _Problem(path, "is no JSON value")


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _schema_problems(document: Json) -> Iterator[_Problem]:
    """Where the document departs from the schema. Chains are checked one by one, so depth costs no stack."""
    root, chain = _validators()
    waiting: deque[tuple[_Path, Json, Validator]] = deque([((), document, root)])
    while waiting:
        path, value, validator = waiting.popleft()
        told: set[tuple[_Path, str]] = set()
        for error in validator.iter_errors(value):
            where, keyword = (*path, *error.absolute_path), str(error.validator)
            if keyword == "$ref":
                waiting.append((where, cast(Json, error.instance), chain))
            elif told.isdisjoint({(where, keyword), (where, "type")}):  # jsonschema tells each missing key by itself
                told.add((where, keyword))
                yield _schema_problem(where, error)


@cache
def _validators() -> tuple[Validator, Validator]:
    """Validators of a document and of a chain. For a reference to a chain they yield an error of `$ref`, for later."""
    # Imported here, for the commands that read no document: jsonschema takes 70 ms.
    from jsonschema import Draft202012Validator, ValidationError, validators

    chain = "#/$defs/chain"
    follow = Draft202012Validator.VALIDATORS["$ref"]

    def reference(validator: Validator, to: str, value: Json, schema: Mapping[str, Json]) -> Iterator[ValidationError]:
        if to == chain:
            yield ValidationError("later")
        else:
            yield from follow(validator, to, value, schema)

    def is_whole(_: object, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", is_whole)  # the draft's own takes 1.0 for one
    extend = cast("Callable[..., type[Validator]]", validators.extend)  # pyright: ignore[reportUnknownMemberType]
    kind = extend(Draft202012Validator, {"$ref": reference}, type_checker=types)
    schema = json.loads(resources.files("resdsl.network.schema").joinpath("network.schema.json").read_text("utf-8"))
    root = kind(schema)
    return root, root.evolve(schema=schema["$defs"]["chain"])  # pyright: ignore[reportUnknownMemberType]


_KINDS = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def _schema_problem(path: _Path, error: ValidationError) -> _Problem:
    value, rule = cast(Json, error.instance), cast(Json, error.validator_value)
    schema = cast(Mapping[str, Json], error.schema)
    shown = _shown(value)
    match error.validator:
        case "type":
            kinds = [rule] if isinstance(rule, str) else _array(rule)
            return _Problem(path, f"must be {' or '.join(_KINDS[_text(kind)] for kind in kinds)}, and this is {shown}")
        case "required":
            missing: list[Json] = [key for key in _array(rule) if key not in _object(value)]
            return _Problem(path, f"lacks {_listed(missing)}")
        case "additionalProperties":
            known = _object(schema["properties"])
            unknown = [key for key in _object(value) if key not in known]
            return _Problem(path, f"has the unknown key {_listed([*unknown])}", did_you_mean(unknown[0], known))
        case "minProperties" | "maxProperties":
            return _Problem(path, f"must have one key, and it has {_listed([*_object(value)]) or 'none'}")
        case "minItems" | "maxItems":
            bound = "at least" if error.validator == "minItems" else "at most"
            return _Problem(path, f"must hold {bound} {rule}, and it holds {len(_array(value))}")
        case "minimum":
            return _Problem(path, f"must be at least {rule}, and this is {shown}")
        case "exclusiveMinimum":
            return _Problem(path, f"must be above {rule}, and this is {shown}")
        case "maximum":
            return _Problem(path, f"must be at most {rule:,}, and this is {shown}")
        case "exclusiveMaximum":
            return _Problem(path, f"must be below {rule}, and this is {shown}")
        case "const":
            return _Problem(path, f"must be {rule}, the version of the format that is known here, and this is {shown}")
        case "enum":
            return _Problem(path, f"must be one of {_listed(_array(rule))}, and this is {shown}")
        case "pattern":
            return _Problem(path, f"does not have the right form: {shown}", _text(schema["description"]))
        case keyword:
            raise AssertionError(f"the schema says {keyword}, and there are no words for it")


def _listed(values: list[Json]) -> str:
    return ", ".join(_shown(value) for value in values[:8]) + (", …" if len(values) > 8 else "")


def _shown(value: Json) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case _:
            text = json.dumps(value)
            return text if len(text) <= 60 else f"{text[:57]}…"


@dataclass(frozen=True, slots=True)
class _Where:
    """Around a chain: the section it is in, and how many copies there are of the unit (None outside of units)."""

    section: str
    copies: int | None = None


def _network_problems(network: Network, document: Json, max_units: int) -> list[_Problem]:
    units = sum(count_units(chain) for _, chain in network.sections())
    if units > max_units:
        return [_Problem((), f"has {units:,} units: more than the {max_units:,} that a network may have")]
    return _Checker(document).network(network)


class _Checker:
    """Checks what follows from the operators: shapes, and which operators may stand where.

    Chains give back the shape that leaves them, or None where it is not known because of a problem told before.
    """

    def __init__(self, document: Json) -> None:
        self.document = document
        self.problems: list[_Problem] = []

    def network(self, network: Network) -> list[_Problem]:
        shape: Shape | None = network.input
        paths: list[_Path] = [("stem",), *(("stages", number) for number in range(len(network.stages))), ("head",)]
        for path, (_, chain) in zip(paths, network.sections(), strict=True):
            shape = self.chain(chain, shape, path, _Where("network"))
        return self.problems

    def tell(self, path: _Path, words: str, help: str = "") -> None:
        self.problems.append(_Problem(path, words, help))

    def chain(self, chain: Chain, shape: Shape | None, path: _Path, where: _Where) -> Shape | None:
        for number, element in enumerate(chain):
            here = (*path, number)
            if isinstance(element, Units):
                shape = self.units(element, shape, (*here, "units"), where)
            else:
                shape = self.operator(element, shape, (*here, OPERATOR_NAMES[type(element)]), where)
        return shape

    def units(self, units: Units, shape: Shape | None, path: _Path, where: _Where) -> Shape:
        if where.section not in ("network", "branch"):
            self.tell(path, "cannot stand here: shortcuts, and what follows the addition, hold no units")
        for number, run in enumerate(units.runs):
            here: _Path = (*path, number)
            unit = run.unit
            if shape is not None and unit.input != shape:
                self.tell((*here, "unit", "input"), f"is {unit.input}, and what the unit reads here is {shape}")
            if run.count > 1 and unit.output != unit.input:
                self.tell((*here, "count"), f"must be 1: the unit reads {unit.input} and gives {unit.output}")
            self.unit(unit, (*here, "unit"), run.count)
            shape = unit.output
        return units.runs[-1].unit.output

    def unit(self, unit: Unit, path: _Path, copies: int) -> None:
        if self.written(path, "changes_shape") != unit.changes_shape:
            words = f"must be {_shown(unit.changes_shape)}: {unit.input} becomes {unit.output}"
            self.tell((*path, "changes_shape"), words)
        told = len(self.problems)
        branch = self.chain(unit.branch, unit.input, (*path, "branch"), _Where("branch", copies))
        if branch is None or len(self.problems) > told:
            return
        read = chain_output(unit.branch[: unit.lead], unit.input) if unit.shortcut.tap is Tap.ACTIVATED else unit.input
        if unit.shortcut.chain is not None:
            where = _Where("shortcut", copies)
            shortcut = self.chain(unit.shortcut.chain, read, (*path, "shortcut", "chain"), where)
            if shortcut is not None and shortcut != branch:
                self.tell((*path, "shortcut"), f"gives {shortcut}, and the branch gives {branch}")
        after = self.chain(unit.after, branch, (*path, "after"), _Where("after", copies))
        if after is not None and after != unit.output:
            self.tell((*path, "output"), f"is {unit.output}, and what the unit gives is {after}")

    def operator(self, operator: Operator, shape: Shape | None, path: _Path, where: _Where) -> Shape | None:
        self.rules(operator, path, where)
        if shape is None:
            return None
        told = len(self.problems)
        fits = not isinstance(operator, Partial) or operator.channels <= shape.channels
        read = with_channels(shape, operator.channels) if isinstance(operator, Partial) else shape
        for inner_path, chain in _inner(operator, path) if fits else ():
            self.chain(chain, read, inner_path, where)
        if len(self.problems) > told:
            return None
        try:
            return output(operator, shape)
        except ShapeError as error:
            self.tell(path, f"cannot stand here: {error.message}", error.help)
            return None

    def rules(self, operator: Operator, path: _Path, where: _Where) -> None:
        """What holds for an operator whatever it reads."""
        if where.section != "shortcut":
            if isinstance(operator, Gate):
                self.tell(path, "cannot stand here: a gate stands on a shortcut")
            if isinstance(operator, Scale) and operator.branch != 1:
                self.tell((*path, "branch"), "must be 1: other than on a shortcut there is no branch to multiply")
        if isinstance(operator, Conv) and operator.eps != 0 and not operator.standardise:
            self.tell((*path, "eps"), "must be 0: it belongs to filters that are standardised")
        for name in PER_COPY_FIELDS.get(type(operator), ()):
            value: PerCopy = getattr(operator, name)
            if not isinstance(value, tuple):
                continue
            if where.copies is None:
                self.tell((*path, name), "must be a number: only within a unit there is one for each copy")
            elif len(value) != where.copies:
                self.tell((*path, name), f"must hold {where.copies}, one for each copy, and it holds {len(value)}")

    def written(self, path: _Path, key: str) -> Json:
        """What the document says at `key` of the object at `path`."""
        value = self.document
        for step in path:
            value = _array(value)[step] if isinstance(step, int) else _object(value)[step]
        return _object(value)[key]


def _inner(operator: Operator, path: _Path) -> list[tuple[_Path, Chain]]:
    """The chains inside an operator, and where they stand."""
    chains = inner_chains(operator)
    if isinstance(operator, Partial):
        return [((*path, "chain"), chain) for chain in chains]
    return [((*path, "chains", number), chain) for number, chain in enumerate(chains)]


# The text.


class _Repeating(dict[str, Json]):
    """An object of which a key stands more than once in the text."""

    def __init__(self, pairs: list[tuple[str, Json]]) -> None:
        super().__init__(pairs)
        self.repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]


def _object_of(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    return result if len(result) == len(pairs) else _Repeating(pairs)


def _integer_of(digits: str) -> int | float:
    """Beyond 64 bits no field is whole, and Python refuses to read thousands of digits."""
    return int(digits) if len(digits) < 20 else float(digits)


_DECODER = json.JSONDecoder(object_pairs_hook=_object_of, parse_int=_integer_of)


_BETWEEN = re.compile(r"[\s:,]*")


def _place(text: str, path: _Path) -> tuple[int, int]:
    """Where the value at `path` begins and ends in the text of a document."""

    def skip(at: int) -> int:
        match = _BETWEEN.match(text, at)
        return match.end() if match else at

    at = skip(0)
    for step in path:
        keyed = text[at] == "{"
        at = skip(at + 1)
        for number in count():
            key: Json = number
            if keyed:
                key, at = _DECODER.raw_decode(text, at)
                at = skip(at)
            if key == step:
                break
            at = skip(_DECODER.raw_decode(text, at)[1])
    return at, _DECODER.raw_decode(text, at)[1]
