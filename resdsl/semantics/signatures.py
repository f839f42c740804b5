"""The operators as users call them: parameters in positional order, kinds, defaults.

What a call becomes in the network is in build.py; what shapes it takes is in network/shapes.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias, assert_never

from resdsl.network.types import He, Init, Normal, Orthogonal, Xavier
from resdsl.semantics.values import (
    IDENTITY,
    Bound,
    ChainValue,
    Deferred,
    PlacementValue,
    SizeValue,
    Value,
    format_value,
    kind_of,
)

MAX_COUNT = 1 << 24
MAX_FLOAT32 = (2 - 2**-23) * 2.0**127


class Kind(Enum):
    """What an argument must be, in the words of a message."""

    WINDOW = "a size like 3x3"
    PADDING = "a size like 1x1, or a whole number from 0"
    COUNT = "a whole number from 1"
    NUMBER = "a number"
    POSITIVE = "a number above 0"
    POSITIVE_OR_ZERO = "a number from 0"
    PROBABILITY = "a number from 0 to below 1"
    FRACTION = "a number above 0, up to 1"
    BOOLEAN = "true or false"
    CHAIN = "an operator or a chain"
    INIT = "an initialisation (he, xavier, orthogonal, normal, zero)"


@dataclass(frozen=True, slots=True)
class Required:
    """Must be given."""


@dataclass(frozen=True, slots=True)
class Derived:
    """Follows from the rest when not given; `rule` says how."""

    rule: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """Taken from the branch's result on a shortcut or projection; elsewhere it is `otherwise`, or required if None."""

    otherwise: int | None


Default: TypeAlias = Required | Derived | Fitted | bool | int | float | ChainValue


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    kind: Kind
    default: Default = Required()
    keyword_only: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    parameters: tuple[Parameter, ...] = ()
    variadic: bool = False
    """Takes any number of positional chains (from one), and nothing else."""
    shortcut_only: bool = False
    by_name: dict[str, Parameter] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {parameter.name: parameter for parameter in self.parameters})

    def leading(self, arguments: tuple[Bound, ...]) -> int:
        """How many of the arguments can be written without their names."""
        if self.variadic:
            return len(arguments)
        count = 0
        for bound, parameter in zip(arguments, self.parameters, strict=False):
            if bound.name != parameter.name or parameter.keyword_only or parameter.default != Required():
                break
            count += 1
        return count

    def needs_arguments(self) -> bool:
        return self.variadic or any(isinstance(parameter.default, Required) for parameter in self.parameters)


_P = Parameter
_ODD = Derived("dilation * (kernel - 1) / 2 for odd kernels")
_FROM_SETTINGS = Derived("the innermost `init`")
_INIT = _P("init", Kind.INIT, _FROM_SETTINGS, keyword_only=True)

_TABLE = (
    Signature(
        "conv",
        (
            _P("kernel", Kind.WINDOW),
            _P("channels", Kind.COUNT, Fitted(None)),
            _P("stride", Kind.COUNT, Fitted(1)),
            _P("groups", Kind.COUNT, 1),
            _P("dilation", Kind.COUNT, 1),
            _P("bias", Kind.BOOLEAN, False),
            _P("padding", Kind.PADDING, _ODD),
            _P("standardise", Kind.BOOLEAN, False),
            _P("eps", Kind.POSITIVE_OR_ZERO, 0),
            _INIT,
        ),
    ),
    Signature("linear", (_P("features", Kind.COUNT, Fitted(None)), _P("bias", Kind.BOOLEAN, True), _INIT)),
    Signature("bn", (_P("eps", Kind.POSITIVE, 1e-5), _P("momentum", Kind.FRACTION, 0.1))),
    Signature("groupnorm", (_P("groups", Kind.COUNT), _P("eps", Kind.POSITIVE, 1e-5))),
    Signature("layernorm", (_P("eps", Kind.POSITIVE, 1e-6),)),
    Signature("relu"),
    Signature("gelu"),
    Signature("silu"),
    Signature("tanh"),
    Signature("sigmoid"),
    Signature(
        "scale",
        (
            _P("factor", Kind.NUMBER),
            _P("branch", Kind.NUMBER, 1),
            _P("learn", Kind.BOOLEAN, False),
            _P("per_channel", Kind.BOOLEAN, False),
        ),
    ),
    Signature(
        "gate", (_P("bias", Kind.NUMBER), _P("branch", Kind.BOOLEAN, False), _INIT), shortcut_only=True
    ),
    Signature("dropout", (_P("p", Kind.PROBABILITY),)),
    Signature(
        "drop_path",
        (
            _P("p", Kind.PROBABILITY),
            _P("per_sample", Kind.BOOLEAN, True),
            _P("rescale", Kind.BOOLEAN, True),
        ),
    ),
    Signature("se", (_P("reduction", Kind.COUNT), _INIT)),
    Signature(
        "maxpool",
        (
            _P("kernel", Kind.WINDOW),
            _P("stride", Kind.COUNT),
            _P("padding", Kind.PADDING, Derived("(kernel - 1) / 2 for odd kernels, 0 for even ones")),
        ),
    ),
    Signature(
        "avgpool",
        (
            _P("kernel", Kind.WINDOW, Derived("everything: the mean over all positions, a vector")),
            _P("stride", Kind.COUNT, Derived("required with a kernel")),
            _P("padding", Kind.PADDING, 0),
            _P("count_padding", Kind.BOOLEAN, True),
        ),
    ),
    Signature("pad", (_P("channels", Kind.COUNT, Fitted(None)), _P("stride", Kind.COUNT, Fitted(1)))),
    Signature("partial", (_P("fraction", Kind.FRACTION), _P("chain", Kind.CHAIN, IDENTITY))),
    Signature("concat", variadic=True),
    Signature("flatten"),
)  # fmt: skip

SIGNATURES: dict[str, Signature] = {signature.name: signature for signature in _TABLE}

PLACEMENT_CHAINS = ("pre", "mid", "post", "after")


@dataclass(frozen=True, slots=True)
class InitSignature:
    """An initialisation as users call it: its one parameter, and what that is by default (None: it must be given)."""

    make: Callable[[float], Init]
    parameter: str
    kind: Kind
    default: float | None


INITS: dict[str, InitSignature] = {
    "he": InitSignature(He, "gain", Kind.NUMBER, 1.0),
    "xavier": InitSignature(Xavier, "gain", Kind.NUMBER, 1.0),
    "orthogonal": InitSignature(Orthogonal, "gain", Kind.NUMBER, 1.0),
    "normal": InitSignature(Normal, "std", Kind.POSITIVE, None),
}
"""Initialisations with a number; `zero` has none."""


def mismatch(kind: Kind, value: Value) -> str:
    """Why a value is not of a kind, or an empty string. Values that wait for the unit's place are asked later."""
    if isinstance(value, Deferred):
        return ""
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    whole = value if isinstance(value, int) and not isinstance(value, bool) else None
    size = value.values if isinstance(value, SizeValue) and len(value.values) == 2 else None
    match kind:
        case Kind.WINDOW:
            good = size is not None and _within(size, 1)
        case Kind.PADDING:
            good = (size is not None and _within(size, 0)) or (whole is not None and _within((whole,), 0))
        case Kind.COUNT:
            good = whole is not None and _within((whole,), 1)
        case Kind.NUMBER:
            good = number is not None
        case Kind.POSITIVE:
            good = number is not None and number > 0
        case Kind.POSITIVE_OR_ZERO:
            good = number is not None and number >= 0
        case Kind.PROBABILITY:
            good = number is not None and 0 <= number < 1
        case Kind.FRACTION:
            good = number is not None and 0 < number <= 1
        case Kind.BOOLEAN:
            good = isinstance(value, bool)
        case Kind.CHAIN:
            good = isinstance(value, ChainValue)
        case Kind.INIT:
            good = isinstance(value, Init)
        case _:
            assert_never(kind)
    if good and number is not None and abs(number) > MAX_FLOAT32:
        return f"must be a number that float32 can hold, and this is {_shown(value)}"
    if not good and max(size or (whole or 0,)) > MAX_COUNT:
        return f"may be {MAX_COUNT:,} at most, and this is {_shown(value)}"
    hint = "; `//` divides whole numbers" if kind is Kind.COUNT and isinstance(value, float) else ""
    return "" if good else f"must be {kind.value}, and this is {_shown(value)}{hint}"


def _within(values: tuple[int, ...], least: int) -> bool:
    return all(least <= value <= MAX_COUNT for value in values)


def _shown(value: Value) -> str:
    match value:
        case float():
            return repr(value)
        case bool() | int() | SizeValue():
            return format_value(value)
        case ChainValue() | PlacementValue():
            return kind_of(value)
        case _:
            return f"{kind_of(value)}, {format_value(value)}"
