"""Which tensors a network has, and what they hold before training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from resdsl.network.names import Named, name_network, name_unit
from resdsl.network.network import Network, copy_of, varies
from resdsl.network.operators import (
    BatchNorm,
    Conv,
    Gate,
    GroupNorm,
    LayerNorm,
    Linear,
    Operator,
    Partial,
    Scale,
    SqueezeExcite,
    Unit,
    Units,
)
from resdsl.network.shapes import branch_output, output, shortcut_input, with_channels
from resdsl.network.types import He, Image, Init, Normal, Orthogonal, Shape, Xavier, Zero


@dataclass(frozen=True, slots=True)
class OrthogonalRows:
    gain: float


@dataclass(frozen=True, slots=True)
class Constant:
    value: float


Fill: TypeAlias = Normal | OrthogonalRows | Constant


@dataclass(frozen=True, slots=True)
class Tensor:
    """A parameter (`trainable`) or a buffer: its name in the state_dict, its shape, what it starts as.

    is_scale: the factor of a learned scale.
    """

    name: str
    shape: tuple[int, ...]
    fill: Fill
    trainable: bool = True
    is_scale: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def network_tensors(network: Network) -> list[Tensor]:
    """All tensors, in the order of execution, branches before shortcuts."""
    result: list[Tensor] = []
    cache: dict[int, tuple[Unit, list[Tensor]]] = {}
    shape = network.input
    for _, named in name_network(network):
        shape = _chain_tensors(named, shape, "", result, cache)
    return result


def _chain_tensors(
    chain: tuple[Named, ...],
    shape: Shape,
    prefix: str,
    result: list[Tensor],
    cache: dict[int, tuple[Unit, list[Tensor]]],
) -> Shape:
    for named in chain:
        element = named.element
        name = prefix + named.name
        if isinstance(element, Units):
            for index, tensor in _units_tensors(element, cache):
                result.append(replace(tensor, name=f"{name}.{index}.{tensor.name}"))
        else:
            result += operator_tensors(element, shape, name)
            for inner in named.inner:
                _chain_tensors(inner, inner_shape(element, shape), prefix, result, cache)
        shape = output(element, shape)
    return shape


def inner_shape(operator: Operator, shape: Shape) -> Shape:
    """What the chains inside an operator read, for what it reads itself."""
    return with_channels(shape, operator.channels) if isinstance(operator, Partial) else shape


def _units_tensors(units: Units, cache: dict[int, tuple[Unit, list[Tensor]]]) -> Iterator[tuple[int, Tensor]]:
    index = 0
    for run in units.runs:
        differs = varies(run.unit)
        for copy in range(run.count):
            unit = copy_of(run.unit, copy) if differs else run.unit
            for tensor in unit_tensors(unit, cache):
                yield index, tensor
            index += 1


def unit_tensors(unit: Unit, cache: dict[int, tuple[Unit, list[Tensor]]] | None = None) -> list[Tensor]:
    """The tensors of one copy of a unit, named from within it."""
    cache = {} if cache is None else cache
    known = cache.get(id(unit))
    if known is not None:
        return known[1]
    names = name_unit(unit)
    result: list[Tensor] = []
    _chain_tensors(names.branch, unit.input, "", result, cache)
    _chain_tensors(names.shortcut, shortcut_input(unit), "", result, cache)
    _chain_tensors(names.after, branch_output(unit), "", result, cache)
    cache[id(unit)] = (unit, result)
    return result


def operator_tensors(operator: Operator, shape: Shape, name: str) -> list[Tensor]:
    """The tensors of one operator that reads `shape`, not those of chains inside it."""
    channels = shape.channels
    match operator:
        case Conv(kernel=kernel, groups=groups, init=init):
            out = operator.channels
            weight = Tensor(
                f"{name}.weight", (out, channels // groups, *kernel), _conv_fill(init, out, channels, operator)
            )
            bias = [Tensor(f"{name}.bias", (out,), Constant(0.0))] if operator.bias else []
            gain = [Tensor(f"{name}.gain", (out, 1, 1, 1), Constant(1.0))] if operator.standardise else []
            return [weight, *bias, *gain]
        case Linear(features=features, bias=has_bias, init=init):
            weight = Tensor(f"{name}.weight", (features, channels), _fill(init, channels, channels, features))
            return [weight, Tensor(f"{name}.bias", (features,), Constant(0.0))] if has_bias else [weight]
        case BatchNorm():
            return [
                Tensor(f"{name}.weight", (channels,), Constant(1.0)),
                Tensor(f"{name}.bias", (channels,), Constant(0.0)),
                Tensor(f"{name}.running_mean", (channels,), Constant(0.0), trainable=False),
                Tensor(f"{name}.running_var", (channels,), Constant(1.0), trainable=False),
            ]
        case GroupNorm() | LayerNorm():
            return [
                Tensor(f"{name}.weight", (channels,), Constant(1.0)),
                Tensor(f"{name}.bias", (channels,), Constant(0.0)),
            ]
        case Scale(factor=factor, learn=True, per_channel=per_channel):
            assert isinstance(factor, int | float), "the copies of a repeated unit are told apart before this"
            spread = (channels, 1, 1) if isinstance(shape, Image) else (channels,)
            return [Tensor(name, spread if per_channel else (), Constant(float(factor)), is_scale=True)]
        case Gate(bias=bias, init=init):
            assert isinstance(bias, int | float), "the copies of a repeated unit are told apart before this"
            kernel = (1, 1) if isinstance(shape, Image) else ()
            fan = channels
            return [
                Tensor(f"{name}.weight", (channels, channels, *kernel), _fill(init, fan, fan, fan)),
                Tensor(f"{name}.bias", (channels,), Constant(float(bias))),
            ]
        case SqueezeExcite(reduction=reduction, init=init):
            middle = channels // reduction
            return [
                Tensor(f"{name}.reduce.weight", (middle, channels), _fill(init, channels, channels, middle)),
                Tensor(f"{name}.reduce.bias", (middle,), Constant(0.0)),
                Tensor(f"{name}.expand.weight", (channels, middle), _fill(init, middle, middle, channels)),
                Tensor(f"{name}.expand.bias", (channels,), Constant(0.0)),
            ]
        case _:
            return []


def _conv_fill(init: Init, out: int, channels: int, conv: Conv) -> Fill:
    window = conv.kernel[0] * conv.kernel[1]
    fan_in, fan_out = channels // conv.groups * window, out * window
    return _fill(init, fan_out, fan_in, fan_out)


def _fill(init: Init, he_fan: int, fan_in: int, fan_out: int) -> Fill:
    match init:
        case He(gain=gain):
            return Normal(gain * math.sqrt(2.0 / he_fan))
        case Xavier(gain=gain):
            return Normal(gain * math.sqrt(2.0 / (fan_in + fan_out)))
        case Orthogonal(gain=gain):
            return OrthogonalRows(gain)
        case Normal():
            return init
        case Zero():
            return Constant(0.0)
    assert_never(init)
