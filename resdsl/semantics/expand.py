"""A network written out again, as a file in which nothing is implied.

No placement, no settings, no `first` or `last`, no parameters but one kind: a unit whose copies differ in numbers takes
those, and is called once a copy. Each distinct unit is declared once. Channels, strides and what a projection reads are
always written; other arguments where they are not the default.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from itertools import count, groupby
from typing import TypeAlias, assert_never

from resdsl.network import operators as op
from resdsl.network.network import Network, distinct_units, inner_chains, unit_chains
from resdsl.network.shapes import chain_output, output, with_channels
from resdsl.network.types import He, Image, Init, Normal, Orthogonal, Pair, PerCopy, Shape, Tap, Vector, Xavier, Zero
from resdsl.semantics.evaluate import CALL_NAMES, VALUE_NAMES
from resdsl.semantics.names import walk
from resdsl.semantics.signatures import SIGNATURES, Kind, Parameter
from resdsl.source import Source, Span
from resdsl.syntax import nodes
from resdsl.syntax.nodes import BinaryOperator, ClauseKind, UnaryOperator
from resdsl.syntax.parser import LANGUAGE_VERSION

_SOURCE = Source("<expanded>", "")
_SPAN = Span(_SOURCE, 0, 0)
_RESERVED = frozenset({"if", "else", "and", "or", "not", "true", "false"})
_WORDS = frozenset({*VALUE_NAMES, *CALL_NAMES, *_RESERVED})

Column: TypeAlias = tuple[float, ...]
"""The numbers of one argument of a unit, one a copy."""


def expand(network: Network) -> nodes.File:
    """The file that says the same as the network: lowering it gives the network again, but for the names of units.

    That holds for every network that comes from a source. One from a document reads back as lowering would have left
    it: equal neighbours joined, pads that do nothing gone from shortcuts. A network that is named like an operator
    which its file needs gets a number behind its name; of its docstring what none can hold is changed: three quotes in
    a row, blanks around lines. The text may be larger than the parser reads.
    """
    sections = ((network.stem,), network.stages, (network.head,))
    (stem,), stages, (head,) = (tuple(map(_without_labels, chains)) for chains in sections)
    return _Writer(replace(network, stem=stem, stages=stages, head=head)).file()


def _without_labels(chain: op.Chain) -> op.Chain:
    """The chain with all labels of units cleared: units that were only called differently are one."""
    return tuple(map(_element_without_labels, chain))


def _element_without_labels(element: op.Element) -> op.Element:
    match element:
        case op.Units(runs=runs):
            units = (replace(run.unit, label="", branch=_without_labels(run.unit.branch)) for run in runs)
            return op.Units(tuple(replace(run, unit=unit) for run, unit in zip(runs, units, strict=True)))
        case op.Partial(chain=chain):
            return replace(element, chain=_without_labels(chain))
        case op.Concat(chains=chains):
            return replace(element, chains=tuple(map(_without_labels, chains)))
        case _:
            return element


class _Writer:
    """Turns the parts of one network into nodes. Units have no labels.

    columns: of each unit, the numbers that differ between its copies, with the parameters that stand for them.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        units = distinct_units(network)
        names = _distinct_names([unit.name for unit in units], {*_WORDS, network.name})
        self.names = dict(zip(units, names, strict=True))
        self.columns = {unit: _columns(unit, {*_WORDS, *names}) for unit in units}

    def file(self) -> nodes.File:
        units = [self.unit(unit) for unit in self.names]
        body = self.network_body()
        used = {name for part in (body, *(unit.body for unit in units)) for name in _names(part)}
        (name,) = _distinct_names([self.network.name], used | _RESERVED)
        network = nodes.Network(_name(name), (), _docstring(self.network.doc), body, _SPAN)
        return nodes.File(LANGUAGE_VERSION, (network, *units), (), _SOURCE)

    def network_body(self) -> tuple[nodes.Clause, ...]:
        network, shape = self.network, self.network.input
        clauses = [_clause(ClauseKind.INPUT, _shape(shape))]
        kinds = [ClauseKind.STEM, *(ClauseKind.STAGE for _ in network.stages), ClauseKind.HEAD]
        for kind, (_, chain) in zip(kinds, network.sections(), strict=True):
            if chain or kind is ClauseKind.STAGE:
                clauses.append(_clause(kind, self.chain(chain, shape, {})))
            shape = chain_output(chain, shape)
        return tuple(clauses)

    def unit(self, unit: op.Unit) -> nodes.Unit:
        columns = self.columns[unit]
        target = chain_output(unit.branch, unit.input)
        clauses = [_clause(ClauseKind.BRANCH, self.chain(unit.branch, unit.input, columns))]
        clauses += self.shortcut(unit, target, columns)
        if unit.after:
            clauses.append(_clause(ClauseKind.AFTER, self.chain(unit.after, target, columns)))
        parameters = tuple(nodes.Parameter(name, None, _SPAN) for name in columns.values())
        return nodes.Unit(_name(self.names[unit]), parameters, "", tuple(clauses), _SPAN)

    def shortcut(self, unit: op.Unit, target: Shape, columns: Mapping[Column, str]) -> list[nodes.Clause]:
        shortcut = unit.shortcut
        activated = shortcut.tap is Tap.ACTIVATED
        source = chain_output(unit.branch[: unit.lead], unit.input) if activated else unit.input
        path = _name("none") if shortcut.chain is None else self.chain(shortcut.chain, source, columns)
        if not shortcut.projection:
            return [_clause(ClauseKind.SHORTCUT, path, _name("activated") if activated else None)]
        # Which shortcut did not fit is not kept: `identity` does not, or, where it would, `avgpool` does not.
        misfit = _name("identity" if unit.input != target else "avgpool")
        return [
            _clause(ClauseKind.SHORTCUT, misfit),
            _clause(ClauseKind.PROJECTION, path, _name(shortcut.tap.value)),
        ]

    def chain(self, chain: op.Chain, shape: Shape, columns: Mapping[Column, str]) -> nodes.Expression:
        links: list[nodes.Expression] = []
        for element in chain:
            if isinstance(element, op.Units):
                links += [link for run in element.runs for link in self.run(run)]
            else:
                links.append(self.operator(element, shape, columns))
            shape = output(element, shape)
        match links:
            case []:
                return _name("identity")
            case [link]:
                return link
            case _:
                return nodes.Chain(tuple(links), _SPAN)

    def run(self, run: op.Run) -> list[nodes.Expression]:
        """`3 * name`, or one call a copy, equal neighbours together."""
        name = _name(self.names[run.unit])
        columns = self.columns[run.unit]
        if not columns:
            return [_repeated(run.count, name)]
        return [
            _repeated(len(list(copies)), nodes.Call(name, tuple(_argument(_number(value)) for value in row), _SPAN))
            for row, copies in groupby(zip(*columns, strict=True))
        ]

    def operator(self, operator: op.Operator, shape: Shape, columns: Mapping[Column, str]) -> nodes.Expression:
        match operator:
            case op.GlobalAvgPool():
                return _name("avgpool")
            case op.Concat(chains=chains):
                arguments = [_argument(self.chain(chain, shape, columns)) for chain in chains]
            case _:
                arguments = self.arguments(operator, shape, columns)
        name = _name(op.OPERATOR_NAMES[type(operator)])
        return nodes.Call(name, tuple(arguments), _SPAN) if arguments else name

    def arguments(self, operator: op.Operator, shape: Shape, columns: Mapping[Column, str]) -> list[nodes.Argument]:
        """The arguments that must be written; those with a default of their own by name."""
        arguments: list[nodes.Argument] = []
        for parameter in SIGNATURES[op.OPERATOR_NAMES[type(operator)]].parameters:
            value = self.argument(operator, parameter, shape, columns)
            if value is not None:
                arguments.append(_argument(value, parameter.name if _is_named(parameter) else None))
        return arguments

    def argument(
        self, operator: op.Operator, parameter: Parameter, shape: Shape, columns: Mapping[Column, str]
    ) -> nodes.Expression | None:
        """The argument as it must be written; None where it may be left out."""
        if isinstance(operator, op.Partial):
            if parameter.name == "fraction":
                return _number(operator.channels / shape.channels)
            inner = with_channels(shape, operator.channels)
            return self.chain(operator.chain, inner, columns) if operator.chain else None
        value = getattr(operator, parameter.name)
        if isinstance(parameter.default, bool | int | float) and value == parameter.default:
            return None
        match parameter.kind:
            case Kind.WINDOW:
                return nodes.Size(value, _SPAN)
            case Kind.PADDING:
                return None if value == _derived_padding(operator) else _padding(value)
            case Kind.COUNT:
                return nodes.Integer(value, _SPAN)
            case Kind.NUMBER | Kind.POSITIVE | Kind.POSITIVE_OR_ZERO | Kind.PROBABILITY | Kind.FRACTION:
                return _name(columns[value]) if isinstance(value, tuple) else _number(value)
            case Kind.BOOLEAN:
                return nodes.Boolean(value, _SPAN)
            case Kind.CHAIN:
                raise AssertionError(f"{parameter.name} of {operator} is no chain of the network")
            case Kind.INIT:
                return None if value == He() else _init(value)
        assert_never(parameter.kind)


def _distinct_names(wanted: Sequence[str], taken: Set[str]) -> list[str]:
    """A name for each wanted one: itself where it is wanted once and not taken, else the next free with a number."""
    counts = Counter(wanted)
    used = {*taken, *(name for name in wanted if counts[name] == 1)}
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
    names: list[str] = []
    for name in wanted:
        if counts[name] > 1 or name in taken:
            name = next(numbered for number in numbers[name] if (numbered := f"{name}_{number}") not in used)
        names.append(name)
    return names


def _columns(unit: op.Unit, taken: Set[str]) -> dict[Column, str]:
    fields: dict[Column, str] = {}
    for operator in (found for chain in unit_chains(unit) for found in _operators(chain)):
        for field in op.PER_COPY_FIELDS.get(type(operator), ()):
            value: PerCopy = getattr(operator, field)
            if isinstance(value, tuple):
                fields.setdefault(value, field)
    return dict(zip(fields, _distinct_names(list(fields.values()), taken), strict=True))


def _operators(chain: op.Chain) -> Iterator[op.Operator]:
    """The operators of a chain and of the chains inside it, without those of units."""
    for element in chain:
        if not isinstance(element, op.Units):
            yield element
            for inner in inner_chains(element):
                yield from _operators(inner)


def _names(body: tuple[nodes.BodyItem, ...]) -> Iterator[str]:
    """The names that the clauses use."""
    for clause in body:
        assert isinstance(clause, nodes.Clause)
        for expression in (clause.value, *(() if clause.tap is None else (clause.tap,))):
            for node in walk(expression):
                match node:
                    case nodes.Name(name=name) | nodes.Call(callee=nodes.Name(name=name)):
                        yield name
                    case _:
                        pass


def _is_named(parameter: Parameter) -> bool:
    return parameter.keyword_only or parameter.kind is Kind.PADDING or isinstance(parameter.default, bool | int | float)


def _derived_padding(operator: op.Operator) -> Pair | None:
    """The padding of a window that writes none; None where it must write one."""
    match operator:
        case op.Conv(kernel=(height, width), dilation=dilation) if height % 2 and width % 2:
            return dilation * (height - 1) // 2, dilation * (width - 1) // 2
        case op.MaxPool(kernel=(height, width)) if height % 2 and width % 2:
            return (height - 1) // 2, (width - 1) // 2
        case op.MaxPool() | op.AvgPool():
            return 0, 0
        case _:
            return None


def _clause(kind: ClauseKind, value: nodes.Expression, tap: nodes.Expression | None = None) -> nodes.Clause:
    return nodes.Clause(kind, value, tap, _SPAN)


def _name(name: str) -> nodes.Name:
    return nodes.Name(name, _SPAN)


def _argument(value: nodes.Expression, name: str | None = None) -> nodes.Argument:
    return nodes.Argument(name, value, _SPAN)


def _repeated(times: int, unit: nodes.Expression) -> nodes.Expression:
    if times == 1:
        return unit
    return nodes.Binary(BinaryOperator.MULTIPLY, nodes.Integer(times, _SPAN), unit, _SPAN)


def _number(value: float) -> nodes.Expression:
    """A number that reads back as the same float; whole ones without a point, but -0.0 is no whole number."""
    negative = math.copysign(1, value) < 0
    size = abs(value)
    whole = size == int(size) and size < 1e16 and (size > 0 or not negative)
    literal = nodes.Integer(int(size), _SPAN) if whole else nodes.Float(float(size), _SPAN)
    return nodes.Unary(UnaryOperator.MINUS, literal, _SPAN) if negative else literal


def _padding(padding: Pair) -> nodes.Expression:
    height, width = padding
    return nodes.Integer(height, _SPAN) if height == width else nodes.Size(padding, _SPAN)


def _init(init: Init) -> nodes.Expression:
    match init:
        case He(gain=gain):
            name = "he"
        case Xavier(gain=gain):
            name = "xavier"
        case Orthogonal(gain=gain):
            name = "orthogonal"
        case Normal(std=std):
            return nodes.Call(_name("normal"), (_argument(_number(std), "std"),), _SPAN)
        case Zero():
            return _name("zero")
    return _name(name) if gain == 1 else nodes.Call(_name(name), (_argument(_number(gain), "gain"),), _SPAN)


def _shape(shape: Shape) -> nodes.Expression:
    match shape:
        case Image(channels=channels, height=height, width=width):
            return nodes.Size((channels, height, width), _SPAN)
        case Vector(features=features):
            return nodes.Integer(features, _SPAN)


def _docstring(doc: str) -> str:
    """The text as it reads back from a docstring that holds it."""
    return "\n".join(line.strip() for line in doc.replace('"""', "'''").strip().splitlines())
