"""What is wrong with a document: what JSON cannot hold, what the schema forbids, and what no schema can speak of."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from resdsl.diagnostics import did_you_mean
from resdsl.network.json_text import Json, Path, Repeating, as_array, as_object, as_text, shown
from resdsl.network.network import Network, count_units, inner_chains
from resdsl.network.operators import (
    OPERATOR_NAMES,
    PER_COPY_FIELDS,
    Chain,
    Conv,
    Gate,
    Operator,
    Partial,
    Scale,
    Unit,
    Units,
)
from resdsl.network.schema_errors import schema_errors
from resdsl.network.shapes import ShapeError, chain_output, output, with_channels
from resdsl.network.types import PerCopy, Shape, Tap

if TYPE_CHECKING:
    from jsonschema import ValidationError

MAX_DEPTH = 512
"""Arrays and objects in each other; a unit in a unit takes six."""
TOO_DEEP = f"is nested more than {MAX_DEPTH} deep"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with the part at `path`; `words` follow its pointer."""

    path: Path
    words: str
    help: str = ""


def value_problems(document: Json) -> Iterator[Problem]:
    """What no schema speaks of: values that JSON or UTF-8 cannot hold, keys that stand twice, depth."""
    waiting: list[tuple[Path, Json]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > MAX_DEPTH:
            yield Problem((), TOO_DEEP)
            return
        match value:
            case Repeating():
                yield Problem(path, f"holds the key {shown(value.repeated)} more than once")
            case dict():
                if all(isinstance(key, str) and _is_unicode(key) for key in cast(dict[object, Json], value)):
                    waiting += [((*path, key), part) for key, part in reversed(value.items())]
                else:
                    yield Problem(path, "has a key that is no Unicode text")
            case list():
                waiting += [((*path, number), part) for number, part in reversed([*enumerate(value)])]
            case str():
                if not _is_unicode(value):
                    yield Problem(path, "is no Unicode text: it has half of a surrogate pair")
            case int() | float():
                if not abs(value) <= sys.float_info.max:
                    yield Problem(path, "is not a finite number")
            case None:
                pass
            case _:
                yield Problem(path, "is no JSON value")


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def schema_problems(document: Json) -> Iterator[Problem]:
    """Where the document departs from the schema."""
    told: set[tuple[Path, str]] = set()
    for where, error in schema_errors("network", document):
        keyword = str(error.validator)
        if told.isdisjoint({(where, keyword), (where, "type")}):  # jsonschema tells each missing key by itself
            told.add((where, keyword))
            yield _schema_problem(where, error)


_KINDS = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def _schema_problem(path: Path, error: ValidationError) -> Problem:
    value, rule = cast(Json, error.instance), cast(Json, error.validator_value)
    schema = cast(Mapping[str, Json], error.schema)
    this = shown(value)
    match error.validator:
        case "type":
            kinds = [rule] if isinstance(rule, str) else as_array(rule)
            return Problem(path, f"must be {' or '.join(_KINDS[as_text(kind)] for kind in kinds)}, and this is {this}")
        case "required":
            missing: list[Json] = [key for key in as_array(rule) if key not in as_object(value)]
            return Problem(path, f"lacks {_listed(missing)}")
        case "additionalProperties":
            known = as_object(schema["properties"])
            unknown = [key for key in as_object(value) if key not in known]
            return Problem(path, f"has the unknown key {_listed([*unknown])}", did_you_mean(unknown[0], known))
        case "minProperties" | "maxProperties":
            return Problem(path, f"must have one key, and it has {_listed([*as_object(value)]) or 'none'}")
        case "minItems" | "maxItems":
            bound = "at least" if error.validator == "minItems" else "at most"
            return Problem(path, f"must hold {bound} {rule}, and it holds {len(as_array(value))}")
        case "minimum":
            return Problem(path, f"must be at least {rule}, and this is {this}")
        case "exclusiveMinimum":
            return Problem(path, f"must be above {rule}, and this is {this}")
        case "maximum":
            return Problem(path, f"must be at most {rule:,}, and this is {this}")
        case "exclusiveMaximum":
            return Problem(path, f"must be below {rule}, and this is {this}")
        case "const":
            return Problem(path, f"must be {rule}, the version of the format that is known here, and this is {this}")
        case "enum":
            return Problem(path, f"must be one of {_listed(as_array(rule))}, and this is {this}")
        case "pattern":
            return Problem(path, f"does not have the right form: {this}", as_text(schema["description"]))
        case keyword:
            raise AssertionError(f"the schema says {keyword}, and there are no words for it")


def _listed(values: list[Json]) -> str:
    return ", ".join(shown(value) for value in values[:8]) + (", …" if len(values) > 8 else "")


@dataclass(frozen=True, slots=True)
class _Where:
    """Around a chain: the section it is in, and how many copies there are of the unit (None outside of units)."""

    section: str
    copies: int | None = None


def network_problems(network: Network, document: Json, max_units: int) -> list[Problem]:
    """Where shapes do not meet, and what stands where it may not."""
    units = sum(count_units(chain) for _, chain in network.sections())
    if units > max_units:
        return [Problem((), f"has {units:,} units: more than the {max_units:,} that a network may have")]
    return _Checker(document).network(network)


class _Checker:
    """Checks what follows from the operators: shapes, and which operators may stand where.

    Chains give back the shape that leaves them, or None where it is not known because of a problem told before.
    """

    def __init__(self, document: Json) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def network(self, network: Network) -> list[Problem]:
        shape: Shape | None = network.input
        paths: list[Path] = [("stem",), *(("stages", number) for number in range(len(network.stages))), ("head",)]
        for path, (_, chain) in zip(paths, network.sections(), strict=True):
            shape = self.chain(chain, shape, path, _Where("network"))
        return self.problems

    def tell(self, path: Path, words: str, help: str = "") -> None:
        self.problems.append(Problem(path, words, help))

    def chain(self, chain: Chain, shape: Shape | None, path: Path, where: _Where) -> Shape | None:
        for number, element in enumerate(chain):
            here = (*path, number)
            if isinstance(element, Units):
                shape = self.units(element, shape, (*here, "units"), where)
            else:
                shape = self.operator(element, shape, (*here, OPERATOR_NAMES[type(element)]), where)
        return shape

    def units(self, units: Units, shape: Shape | None, path: Path, where: _Where) -> Shape:
        if where.section not in ("network", "branch"):
            self.tell(path, "cannot stand here: shortcuts, and what follows the addition, hold no units")
        for number, run in enumerate(units.runs):
            here: Path = (*path, number)
            unit = run.unit
            if shape is not None and unit.input != shape:
                self.tell((*here, "unit", "input"), f"is {unit.input}, and what the unit reads here is {shape}")
            if run.count > 1 and unit.output != unit.input:
                self.tell((*here, "count"), f"must be 1: the unit reads {unit.input} and gives {unit.output}")
            self.unit(unit, (*here, "unit"), run.count)
            shape = unit.output
        return units.runs[-1].unit.output

    def unit(self, unit: Unit, path: Path, copies: int) -> None:
        if self.written(path, "changes_shape") != unit.changes_shape:
            words = f"must be {shown(unit.changes_shape)}: {unit.input} becomes {unit.output}"
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

    def operator(self, operator: Operator, shape: Shape | None, path: Path, where: _Where) -> Shape | None:
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

    def rules(self, operator: Operator, path: Path, where: _Where) -> None:
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

    def written(self, path: Path, key: str) -> Json:
        """What the document says at `key` of the object at `path`."""
        value = self.document
        for step in path:
            value = as_array(value)[step] if isinstance(step, int) else as_object(value)[step]
        return as_object(value)[key]


def _inner(operator: Operator, path: Path) -> list[tuple[Path, Chain]]:
    """The chains inside an operator, and where they stand."""
    chains = inner_chains(operator)
    if isinstance(operator, Partial):
        return [((*path, "chain"), chain) for chain in chains]
    return [((*path, "chains", number), chain) for number, chain in enumerate(chains)]
