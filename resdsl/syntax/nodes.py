"""The tree of a `.resnet` file: frozen nodes in closed unions.

Every node knows its span; spans take no part in comparisons, so two trees are equal if they say the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from resdsl.source import Source, Span


def _span() -> Span:
    return field(compare=False, repr=False)


class BinaryOperator(Enum):
    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    FLOOR_DIVIDE = "//"
    REMAINDER = "%"
    POWER = "**"
    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    AND = "and"
    OR = "or"


class UnaryOperator(Enum):
    PLUS = "+"
    MINUS = "-"
    NOT = "not"


class ClauseKind(Enum):
    """The words that open a clause and are followed by one expression."""

    PLACEMENT = "placement"
    BRANCH = "branch"
    SHORTCUT = "shortcut"
    PROJECTION = "projection"
    AFTER = "after"
    INPUT = "input"
    STEM = "stem"
    STAGE = "stage"
    HEAD = "head"
    NORM = "norm"
    ACT = "act"
    INIT = "init"


@dataclass(frozen=True, slots=True)
class Integer:
    value: int
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Float:
    value: float
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Boolean:
    value: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Size:
    """`3x3`, `3x32x32`."""

    values: tuple[int, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Attribute:
    """`value.name`."""

    value: Expression
    name: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Argument:
    """`value` or `name = value`."""

    name: str | None
    value: Expression
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Call:
    callee: Name
    arguments: tuple[Argument, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Unary:
    operator: UnaryOperator
    operand: Expression
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Binary:
    operator: BinaryOperator
    left: Expression
    right: Expression
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Conditional:
    """`then if test else otherwise`."""

    test: Expression
    then: Expression
    otherwise: Expression
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Chain:
    """`a -> b -> c`, at least two links."""

    links: tuple[Expression, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Override:
    """`first(…)` or `last(…)` behind a repetition."""

    is_first: bool
    arguments: tuple[Argument, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Overridden:
    repetition: Expression
    overrides: tuple[Override, ...]
    span: Span = _span()


Expression: TypeAlias = (
    Integer | Float | Boolean | Size | Name | Attribute | Call | Unary | Binary | Conditional | Chain | Overridden
)


@dataclass(frozen=True, slots=True)
class Clause:
    """`stem conv(3x3, 16)`, `shortcut identity from input`; `tap` is what stands behind `from`."""

    kind: ClauseKind
    value: Expression
    tap: Expression | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Let:
    name: str
    value: Expression
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Assert:
    """`assert test, "message with {value}"`; the message alternates texts and values."""

    test: Expression
    message: tuple[str | Expression, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    default: Expression | None
    span: Span = _span()


BodyItem: TypeAlias = Clause | Let | Assert


@dataclass(frozen=True, slots=True)
class Unit:
    name: Name
    parameters: tuple[Parameter, ...]
    doc: str
    body: tuple[BodyItem, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Network:
    name: Name
    parameters: tuple[Parameter, ...]
    doc: str
    body: tuple[BodyItem, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Alias:
    """`network name(parameters) = value`."""

    name: Name
    parameters: tuple[Parameter, ...]
    doc: str
    value: Expression
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Import:
    path: str
    span: Span = _span()


Item: TypeAlias = Import | Unit | Network | Alias | Let


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment with its `#`, as written."""

    text: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class File:
    version: int
    items: tuple[Item, ...]
    comments: tuple[Comment, ...] = field(compare=False)
    source: Source = field(compare=False, repr=False)
