"""An operator call, once its input shape is known, becomes an operator of the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resdsl.diagnostics import fail
from resdsl.network import operators as op
from resdsl.network.types import Image, Init, Pair, Shape
from resdsl.semantics.signatures import Fitted, Kind, Parameter, Required, Signature, mismatch
from resdsl.semantics.values import ChainValue, OperatorCall, SizeValue, Value
from resdsl.source import Span

LowerChain = Callable[[ChainValue, Shape], op.Chain]


@dataclass(frozen=True, slots=True)
class Fit:
    """What the branch's result gives to a shortcut's conv, linear or pad that leaves it unwritten."""

    channels: int
    stride: int


class Arguments:
    """The arguments of one call, checked and typed, defaults filled in where they are plain values."""

    def __init__(self, call: OperatorCall, resolve: Callable[[Value], Value], fit: Fit | None) -> None:
        self.call = call
        self.signature: Signature = call.signature
        self.resolve = resolve
        self.fit = fit
        self.written = {bound.name: bound for bound in call.arguments}

    def span(self, name: str) -> Span:
        return self.written[name].span if name in self.written else self.call.span

    def given(self, name: str) -> bool:
        return name in self.written

    def value(self, name: str) -> Value:
        parameter = self.signature.by_name[name]
        bound = self.written.get(name)
        if bound is None:
            return self.default(parameter)
        value = self.resolve(bound.value)
        if value is bound.value:  # it did not wait for a place, and was looked at when the call was read
            return value
        reason = mismatch(parameter.kind, value)
        if reason:
            raise fail("wrong-argument", f"`{name}` of {self.signature.name} {reason}", bound.span)
        return value

    def default(self, parameter: Parameter) -> Value:
        default = parameter.default
        if isinstance(default, Fitted):
            if self.fit is not None:
                return self.fit.stride if parameter.name == "stride" else self.fit.channels
            if default.otherwise is not None:
                return default.otherwise
            message = f"{self.signature.name} needs `{parameter.name}` here"
            help = "it is taken from the branch's result only on a shortcut or projection itself, not inside partial or concat"
            raise fail("missing-argument", message, self.call.span, help=help)
        assert isinstance(default, bool | int | float | ChainValue), f"{parameter.name} has no plain default: {default}"
        assert not isinstance(default, Required)
        return default

    def whole(self, name: str) -> int:
        value = self.value(name)
        assert isinstance(value, int)
        return value

    def number(self, name: str) -> float:
        value = self.value(name)
        assert isinstance(value, int | float)
        return float(value)

    def boolean(self, name: str) -> bool:
        value = self.value(name)
        assert isinstance(value, bool)
        return value

    def chain(self, name: str) -> ChainValue:
        value = self.value(name)
        assert isinstance(value, ChainValue)
        return value

    def chains(self) -> list[ChainValue]:
        """The arguments of an operator that takes any number of chains."""
        chains: list[ChainValue] = []
        for bound in self.call.arguments:
            value = self.resolve(bound.value)
            if not isinstance(value, ChainValue):
                reason = mismatch(Kind.CHAIN, value)
                raise fail("wrong-argument", f"an argument of {self.signature.name} {reason}", bound.span)
            chains.append(value)
        return chains

    def init(self, setting: Init) -> Init:
        if not self.given("init"):
            return setting
        value = self.value("init")
        assert isinstance(value, Init)
        return value

    def pair(self, name: str) -> Pair:
        value = self.value(name)
        if isinstance(value, SizeValue):
            return value.values[0], value.values[1]
        assert isinstance(value, int)
        return value, value

    def padding(self, kernel: Pair, dilation: int, even: Pair | None) -> Pair:
        """The written padding, or half of an odd kernel; `even` is the default for even ones, None if they have none."""
        if self.given("padding"):
            return self.pair("padding")
        if kernel[0] % 2 and kernel[1] % 2:
            return dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2
        if even is None:
            message = f"an even kernel, {kernel[0]}x{kernel[1]}, has no middle: its padding must be written"
            raise fail("missing-argument", message, self.call.span, help="write for instance `padding = 0`")
        return even


def build_operator(arguments: Arguments, shape: Shape, init: Init, lower: LowerChain) -> op.Operator:
    """The operator for a call that reads `shape`. `init`: the innermost setting. `lower`: for chains inside."""
    a = arguments
    match a.signature.name:
        case "conv":
            kernel, dilation = a.pair("kernel"), a.whole("dilation")
            if a.given("eps") and not a.boolean("standardise"):
                message = "`eps` of conv belongs to filters that are standardised"
                raise fail("wrong-argument", message, a.span("eps"), help="write `standardise = true` too")
            return op.Conv(
                kernel=kernel,
                channels=a.whole("channels"),
                stride=a.whole("stride"),
                groups=a.whole("groups"),
                dilation=dilation,
                bias=a.boolean("bias"),
                padding=a.padding(kernel, dilation, None),
                standardise=a.boolean("standardise"),
                eps=a.number("eps"),
                init=a.init(init),
            )
        case "linear":
            return op.Linear(a.whole("features"), a.boolean("bias"), a.init(init))
        case "bn":
            return op.BatchNorm(a.number("eps"), a.number("momentum"))
        case "groupnorm":
            return op.GroupNorm(a.whole("groups"), a.number("eps"))
        case "layernorm":
            return op.LayerNorm(a.number("eps"))
        case "relu":
            return op.Relu()
        case "gelu":
            return op.Gelu()
        case "silu":
            return op.Silu()
        case "tanh":
            return op.Tanh()
        case "sigmoid":
            return op.Sigmoid()
        case "scale":
            if a.boolean("per_channel") and not a.boolean("learn"):
                message = "a scale that is not learned has one number for all channels"
                raise fail("wrong-argument", message, a.span("per_channel"), help="write `learn = true` too")
            return op.Scale(a.number("factor"), a.number("branch"), a.boolean("learn"), a.boolean("per_channel"))
        case "gate":
            return op.Gate(a.number("bias"), a.boolean("branch"), a.init(init))
        case "dropout":
            return op.Dropout(a.number("p"))
        case "drop_path":
            return op.DropPath(a.number("p"), a.boolean("per_sample"), a.boolean("rescale"))
        case "se":
            return op.SqueezeExcite(a.whole("reduction"), a.init(init))
        case "maxpool":
            kernel = a.pair("kernel")
            return op.MaxPool(kernel, a.whole("stride"), a.padding(kernel, 1, (0, 0)))
        case "avgpool":
            if not a.given("kernel"):
                return op.GlobalAvgPool()
            return op.AvgPool(a.pair("kernel"), a.whole("stride"), a.pair("padding"), a.boolean("count_padding"))
        case "pad":
            return op.Pad(a.whole("channels"), a.whole("stride"))
        case "flatten":
            return op.Flatten()
        case "partial":
            fraction = a.number("fraction")
            channels = round(fraction * shape.channels)
            if abs(channels - fraction * shape.channels) > 1e-6 or channels == 0:
                message = f"{fraction} of {shape.channels} channels is no whole number of channels"
                raise fail("wrong-argument", message, a.span("fraction"))
            part = Image(channels, shape.height, shape.width) if isinstance(shape, Image) else type(shape)(channels)
            return op.Partial(channels, lower(a.chain("chain"), part))
        case "concat":
            return op.Concat(tuple(lower(chain, shape) for chain in a.chains()))
        case other:
            raise AssertionError(f"the operator {other} has a signature and no build")
