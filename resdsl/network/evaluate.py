"""What a network computes, in numpy: plain, slow, in float32 or float64.

This is the definition that targets are held against, and it records BatchNorm statistics where no framework is
installed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from typing import Any, TypeAlias, assert_never

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from resdsl.network.names import Named, UnitNames, name_network, name_unit
from resdsl.network.network import Network, copy_of, varies
from resdsl.network.operators import (
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    DropPath,
    Flatten,
    Gate,
    Gelu,
    GlobalAvgPool,
    GroupNorm,
    LayerNorm,
    Linear,
    MaxPool,
    Operator,
    Pad,
    Partial,
    Relu,
    Removed,
    Scale,
    Sigmoid,
    Silu,
    SqueezeExcite,
    Tanh,
    Unit,
    Units,
)
from resdsl.network.types import Image, PerCopy, Tap

Array: TypeAlias = NDArray[np.floating[Any]]

STANDARDISE_FLOOR = 1e-4
"""Least fan_in * variance that a standardised filter is divided by (Brock et al. 2021)."""


def evaluate(
    network: Network,
    weights: Mapping[str, Array],
    x: Array,
    *,
    statistics: MutableMapping[str, Array] | None = None,
    trace: MutableMapping[str, Array] | None = None,
) -> Array:
    """The network's output for a batch `x` of its input, (batch, *input), in the type of `x`.

    Evaluation mode. With `statistics`, BatchNorm normalises with the batch's own mean and (biased) variance instead, and
    each layer's mean and unbiased variance are put there under `….running_mean` and `….running_var`. With `trace`, each
    unit's output is put there under its name, `stage1.17`.
    """
    run = _Evaluation(weights, statistics, trace)
    for _, chain in name_network(network):
        x = run.chain(chain, x, "")
    return x


def calibrate(
    network: Network,
    weights: MutableMapping[str, NDArray[np.float32]],
    *,
    seed: int = 0,
    forwards: int = 2,
    batch: int = 4,
) -> None:
    """Sets BatchNorm statistics in `weights` to their mean over a few forwards of standard normal inputs."""
    sums: dict[str, Array] = {}
    for number in range(forwards):
        statistics: dict[str, Array] = {}
        evaluate(network, weights, random_input(network, batch, seed + number), statistics=statistics)
        for name, value in statistics.items():
            sums[name] = sums[name] + value if name in sums else value
    for name, value in sums.items():
        weights[name] = (value / forwards).astype(np.float32)


def random_input(network: Network, batch: int, seed: int = 0) -> NDArray[np.float32]:
    """Standard normal input, (batch, *input)."""
    shape = network.input
    extents = (shape.channels, shape.height, shape.width) if isinstance(shape, Image) else (shape.features,)
    generator = np.random.Generator(np.random.PCG64([seed, 0x1D]))
    return generator.standard_normal((batch, *extents), np.float32)


def standardised(weight: Array, gain: Array, eps: float) -> Array:
    """Scaled weight standardisation: each filter's (W - mean) / sqrt((variance + eps) * fan_in) * gain."""
    fan_in = math.prod(weight.shape[1:])
    mean = weight.mean(axis=(1, 2, 3), keepdims=True)
    variance = weight.var(axis=(1, 2, 3), keepdims=True)
    return (weight - mean) / np.sqrt(np.maximum((variance + weight.dtype.type(eps)) * fan_in, STANDARDISE_FLOOR)) * gain


class _Evaluation:
    def __init__(
        self,
        weights: Mapping[str, Array],
        statistics: MutableMapping[str, Array] | None,
        trace: MutableMapping[str, Array] | None,
    ) -> None:
        self.weights = weights
        self.statistics = statistics
        self.trace = trace
        self.names: dict[int, tuple[Unit, UnitNames]] = {}

    def weight(self, name: str, like: Array) -> Array:
        return self.weights[name].astype(like.dtype, copy=False)

    def chain(self, chain: tuple[Named, ...], x: Array, prefix: str) -> Array:
        for named in chain:
            x = self.element(named, x, prefix)
        return x

    def element(self, named: Named, x: Array, prefix: str) -> Array:
        if isinstance(named.element, Units):
            return self.units(named.element, x, prefix + named.name)
        return self.operator(named, named.element, x, prefix)

    def units(self, units: Units, x: Array, prefix: str) -> Array:
        index = 0
        for run in units.runs:
            differs = varies(run.unit)
            for copy in range(run.count):
                unit = copy_of(run.unit, copy) if differs else run.unit
                x = self.unit(unit, x, f"{prefix}.{index}.")
                if self.trace is not None:
                    self.trace[f"{prefix}.{index}"] = x
                index += 1
        return x

    def unit(self, unit: Unit, x: Array, prefix: str) -> Array:
        known = self.names.get(id(unit))
        names = known[1] if known else name_unit(unit)
        self.names[id(unit)] = (unit, names)
        activated = self.chain(names.branch[: unit.lead], x, prefix)
        branch = self.chain(names.branch[unit.lead :], activated, prefix)
        if unit.shortcut.chain is None:
            return self.chain(names.after, branch, prefix)
        shortcut = activated if unit.shortcut.tap is Tap.ACTIVATED else x
        for named in names.shortcut:
            match named.element:
                case Gate() as gate:
                    g = self.gate(gate, shortcut, prefix + named.name)
                    shortcut = (1 - g) * shortcut
                    branch = branch * g if gate.branch else branch
                case Scale(branch=factor) as scale:
                    shortcut = self.scale(scale, shortcut, prefix + named.name)
                    branch = branch if factor == 1 else branch * x.dtype.type(_number(factor))
                case _:
                    shortcut = self.element(named, shortcut, prefix)
        return self.chain(names.after, shortcut + branch, prefix)

    def operator(self, named: Named, operator: Operator, x: Array, prefix: str) -> Array:
        name = prefix + named.name
        match operator:
            case Conv():
                weight = self.weight(f"{name}.weight", x)
                if operator.standardise:
                    weight = standardised(weight, self.weight(f"{name}.gain", x), operator.eps)
                y = _conv(operator, x, weight)
                return y + self.weight(f"{name}.bias", x)[:, None, None] if operator.bias else y
            case Linear(bias=has_bias):
                y = x @ self.weight(f"{name}.weight", x).T
                return y + self.weight(f"{name}.bias", x) if has_bias else y
            case BatchNorm(eps=eps):
                return self.batch_norm(name, eps, x)
            case GroupNorm(groups=groups, eps=eps):
                grouped = x.reshape(x.shape[0], groups, -1)
                y = _normalised(grouped, 2, eps).reshape(x.shape)
                return self.affine(name, y)
            case LayerNorm(eps=eps):
                return self.affine(name, _normalised(x, 1, eps))
            case Relu():
                return np.maximum(x, 0)
            case Gelu():
                return x * (0.5 * (1 + _erf_of_scaled(x)))
            case Silu():
                return x * _sigmoid(x)
            case Tanh():
                return np.tanh(x)
            case Sigmoid():
                return _sigmoid(x)
            case Scale():
                return self.scale(operator, x, name)
            case Gate():
                return (1 - self.gate(operator, x, name)) * x
            case Dropout() | Removed():
                return x
            case DropPath(p=p, rescale=rescale):
                return x if rescale else x * x.dtype.type(1 - _number(p))
            case SqueezeExcite():
                mean = x.mean(axis=(2, 3))
                middle = mean @ self.weight(f"{name}.reduce.weight", x).T + self.weight(f"{name}.reduce.bias", x)
                out = np.maximum(middle, 0) @ self.weight(f"{name}.expand.weight", x).T
                return x * _sigmoid(out + self.weight(f"{name}.expand.bias", x))[:, :, None, None]
            case MaxPool(kernel=kernel, stride=stride, padding=(vertical, horizontal)):
                borders = ((0, 0), (0, 0), (vertical, vertical), (horizontal, horizontal))
                padded = np.pad(x, borders, constant_values=-np.inf)
                return sliding_window_view(padded, kernel, (2, 3))[:, :, ::stride, ::stride].max(axis=(4, 5))
            case AvgPool():
                return _avgpool(operator, x)
            case GlobalAvgPool():
                return x.mean(axis=(2, 3))
            case Pad(channels=channels, stride=stride):
                y = x[:, :, ::stride, ::stride] if x.ndim == 4 else x
                return np.pad(y, ((0, 0), (0, channels - y.shape[1]), *((0, 0),) * (y.ndim - 2)))
            case Flatten():
                return x.reshape(x.shape[0], -1)
            case Partial(channels=channels):
                y = self.chain(named.inner[0], x[:, :channels], prefix)
                rest = x.shape[1] - channels
                return np.pad(y, ((0, 0), (0, rest), *((0, 0),) * (y.ndim - 2)))
            case Concat():
                return np.concatenate([self.chain(chain, x, prefix) for chain in named.inner], axis=1)
        assert_never(operator)

    def batch_norm(self, name: str, eps: float, x: Array) -> Array:
        if self.statistics is None:
            mean, variance = self.weight(f"{name}.running_mean", x), self.weight(f"{name}.running_var", x)
        else:
            axes = (0, *range(2, x.ndim))
            mean, variance = x.mean(axis=axes), x.var(axis=axes)
            count = x.size // x.shape[1]
            self.statistics[f"{name}.running_mean"] = mean
            self.statistics[f"{name}.running_var"] = variance * (count / max(1, count - 1))
        factor = self.weight(f"{name}.weight", x) / np.sqrt(variance + x.dtype.type(eps))
        offset = self.weight(f"{name}.bias", x) - mean * factor
        return x * _spread(factor, x) + _spread(offset, x)

    def affine(self, name: str, x: Array) -> Array:
        return x * _spread(self.weight(f"{name}.weight", x), x) + _spread(self.weight(f"{name}.bias", x), x)

    def scale(self, scale: Scale, x: Array, name: str) -> Array:
        return x * self.weight(name, x) if scale.learn else x * x.dtype.type(_number(scale.factor))

    def gate(self, gate: Gate, x: Array, name: str) -> Array:
        weight, bias = self.weight(f"{name}.weight", x), self.weight(f"{name}.bias", x)
        if x.ndim == 2:
            return _sigmoid(x @ weight.T + bias)
        return _sigmoid(_conv(Conv((1, 1), x.shape[1]), x, weight) + bias[:, None, None])


def _number(value: PerCopy) -> float:
    assert not isinstance(value, tuple), "the copies of a repeated unit are told apart before this"
    return value


def _spread(vector: Array, like: Array) -> Array:
    """A vector over channels, shaped to meet (batch, channels, …)."""
    return vector.reshape(-1, *(1,) * (like.ndim - 2))


def _erf_of_scaled(x: Array) -> Array:
    """erf(x / sqrt(2)); numpy has none of its own."""
    values = [math.erf(value) for value in (x.ravel() * math.sqrt(0.5)).tolist()]
    return np.asarray(values, x.dtype).reshape(x.shape)


def _avgpool(pool: AvgPool, x: Array) -> Array:
    borders = ((0, 0), (0, 0), *((pad, pad) for pad in pool.padding))

    def windows(values: Array) -> Array:
        return sliding_window_view(np.pad(values, borders), pool.kernel, (2, 3))[:, :, :: pool.stride, :: pool.stride]

    mean = windows(x).mean(axis=(4, 5))
    return mean if pool.count_padding else mean / windows(np.ones_like(x[:1, :1])).mean(axis=(4, 5))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _normalised(x: Array, axis: int, eps: float) -> Array:
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + x.dtype.type(eps))


def _conv(conv: Conv, x: Array, weight: Array) -> Array:
    batch, channels = x.shape[:2]
    (kernel_h, kernel_w), (pad_h, pad_w), step = conv.kernel, conv.padding, conv.stride
    reach = ((kernel_h - 1) * conv.dilation + 1, (kernel_w - 1) * conv.dilation + 1)
    if pad_h or pad_w:
        x = np.pad(x, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)))
    windows = sliding_window_view(x, reach, (2, 3))[:, :, ::step, ::step, :: conv.dilation, :: conv.dilation]
    height, width = windows.shape[2:4]
    columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(batch, conv.groups, -1, height * width)
    filters = weight.reshape(conv.groups, conv.channels // conv.groups, channels // conv.groups * kernel_h * kernel_w)
    return np.matmul(filters, columns).reshape(batch, conv.channels, height, width)
