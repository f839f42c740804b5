"""What expressions evaluate to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias, assert_never

from resdsl.network.types import He, Init, Normal, Orthogonal, Tap, Xavier, Zero
from resdsl.source import Source, Span

if TYPE_CHECKING:
    from resdsl.semantics.program import UnitDeclaration
    from resdsl.semantics.scope import Scope
    from resdsl.semantics.signatures import Signature
    from resdsl.syntax import nodes


@dataclass(frozen=True, slots=True)
class SizeValue:
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """An argument by its parameter's name. `kind` keeps 1, 1.0 and true apart, which Python takes for equal."""

    name: str
    value: Value
    span: Span = field(compare=False, repr=False)
    kind: type = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self.value))


@dataclass(frozen=True, slots=True)
class OperatorCall:
    """An operator with the arguments that were written; the rest is filled in where its input shape is known."""

    signature: Signature
    arguments: tuple[Bound, ...]
    span: Span = field(compare=False, repr=False)

    def argument(self, name: str) -> Bound | None:
        return next((bound for bound in self.arguments if bound.name == name), None)


class Setting(Enum):
    NORM = "norm"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class SettingUse:
    """`norm` or `act`: what the innermost unit or network around it says."""

    setting: Setting
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Nothing:
    """`none` as a shortcut."""

    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Repetition:
    """`count * unit(arguments) first(…) last(…)`."""

    unit: UnitDeclaration
    arguments: tuple[Bound, ...]
    count: int
    first: tuple[Bound, ...]
    last: tuple[Bound, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Deferred:
    """An expression that waits for the place of its unit (`count`, `index`, `position`)."""

    expression: nodes.Expression
    scope: Scope


Item: TypeAlias = OperatorCall | SettingUse | Nothing | Repetition | Deferred


@dataclass(frozen=True, slots=True)
class ChainValue:
    """Operators and units in a row; empty is `identity`.

    size: how many there are, those in arguments counted. depth: how deep chains are nested in arguments.
    """

    items: tuple[Item, ...]
    size: int = field(init=False, compare=False, repr=False)
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        size, depth = len(self.items), 0
        for item in self.items:
            for bound in _arguments(item):
                if isinstance(bound.value, ChainValue | PlacementValue):
                    for chain in _chains(bound.value):
                        size, depth = size + chain.size, max(depth, chain.depth)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "depth", 1 + depth)


IDENTITY = ChainValue(())


@dataclass(frozen=True, slots=True)
class PlacementValue:
    """Four chains: at the branch's head, between weight layers, behind the last, behind the addition."""

    pre: ChainValue = IDENTITY
    mid: ChainValue = IDENTITY
    post: ChainValue = IDENTITY
    after: ChainValue = IDENTITY

    def at(self, span: Span) -> PlacementValue:
        """A built-in placement, whose norms and activations stand where its name is written."""

        def there(chain: ChainValue) -> ChainValue:
            uses = (item for item in chain.items if isinstance(item, SettingUse))
            return ChainValue(tuple(SettingUse(use.setting, span) for use in uses)) if chain.items else chain

        return PlacementValue(there(self.pre), there(self.mid), there(self.post), there(self.after))


Value: TypeAlias = bool | int | float | SizeValue | ChainValue | PlacementValue | Tap | Init | Deferred


def _arguments(item: Item) -> tuple[Bound, ...]:
    match item:
        case OperatorCall(arguments=arguments):
            return arguments
        case Repetition(arguments=arguments, first=first, last=last):
            return (*arguments, *first, *last)
        case _:
            return ()


def _chains(value: ChainValue | PlacementValue) -> tuple[ChainValue, ...]:
    match value:
        case ChainValue():
            return (value,)
        case PlacementValue(pre=pre, mid=mid, post=post, after=after):
            return pre, mid, post, after


def kind_of(value: Value) -> str:
    """What a value is, in the user's words."""
    match value:
        case bool():
            return "a truth value"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case SizeValue():
            return "a size"
        case ChainValue(items=(Repetition(),)):
            return "a unit"
        case ChainValue():
            return "an operator" if len(value.items) < 2 else "a chain"
        case PlacementValue():
            return "a placement"
        case Tap():
            return "a tap"
        case He() | Xavier() | Orthogonal() | Normal() | Zero():
            return "an initialisation"
        case Deferred():
            return "a value that depends on the unit's place"
    assert_never(value)


def format_value(value: Value) -> str:
    """The value as it would be written."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return format_number(value)
        case SizeValue(values=values):
            return "x".join(map(str, values))
        case ChainValue(items=items):
            return " -> ".join(map(_format_item, items)) if items else "identity"
        case PlacementValue():
            named = next((name for name, placement in PLACEMENTS.items() if placement == value), None)
            if named is not None:
                return named
            parts = {"pre": value.pre, "mid": value.mid, "post": value.post, "after": value.after}
            written = (f"{name} = {format_value(chain)}" for name, chain in parts.items() if chain.items)
            return f"at({', '.join(written)})"
        case Tap():
            return value.value
        case He() | Xavier() | Orthogonal():
            name = type(value).__name__.lower()
            return name if value.gain == 1 else f"{name}(gain = {format_number(value.gain)})"
        case Normal(std=std):
            return f"normal(std = {format_number(std)})"
        case Zero():
            return "zero"
        case Deferred(expression=expression):
            return expression.span.text
    assert_never(value)


def format_number(value: float) -> str:
    """The shortest text that reads back as the same number; whole floats without a point."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return repr(value)


def format_call(name: str, arguments: tuple[Bound, ...], positional: int) -> str:
    """`conv(3x3, 16, stride = 2)`: the first `positional` arguments without their names; `relu` without arguments."""
    if not arguments:
        return name
    texts = [
        format_value(bound.value) if index < positional else f"{bound.name} = {format_value(bound.value)}"
        for index, bound in enumerate(arguments)
    ]
    return f"{name}({', '.join(texts)})"


def _format_item(item: Item) -> str:
    match item:
        case OperatorCall(signature=signature, arguments=arguments):
            return format_call(signature.name, arguments, signature.leading(arguments))
        case SettingUse(setting=setting):
            return setting.value
        case Nothing():
            return "none"
        case Repetition(unit=unit, arguments=arguments, count=count):
            call = format_call(unit.name, arguments, unit.leading(arguments))
            return call if count == 1 else f"{count} * {call}"
        case Deferred(expression=expression):
            return expression.span.text
    assert_never(item)


BUILTIN = "<built in>"


def builtin_span(text: str) -> Span:
    """The place of something that is built in: a source of its own."""
    return Span(Source(BUILTIN, text), 0, len(text))


def _chain(*names: str) -> ChainValue:
    return ChainValue(tuple(SettingUse(Setting(name), builtin_span(name)) for name in names))


_NORM_ACT = _chain("norm", "act")
PLACEMENTS: dict[str, PlacementValue] = {
    "post": PlacementValue(mid=_NORM_ACT, post=_chain("norm"), after=_chain("act")),
    "bn_after_add": PlacementValue(mid=_NORM_ACT, after=_NORM_ACT),
    "relu_before_add": PlacementValue(mid=_NORM_ACT, post=_NORM_ACT),
    "relu_only_pre": PlacementValue(pre=_chain("act"), mid=_NORM_ACT, post=_chain("norm")),
    "pre": PlacementValue(pre=_NORM_ACT, mid=_NORM_ACT),
}
"""The placements of He et al. 2016, Fig. 4 a to e."""
