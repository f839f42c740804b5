"""The nodes of a network's operators, with the names of the network's parts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import assert_never

import numpy as np
import onnx

from resdsl.network import operators as op
from resdsl.network.names import Named, UnitNames, name_unit
from resdsl.network.network import copy_of, varies
from resdsl.network.shapes import chain_output, output, with_channels
from resdsl.network.types import Image, PerCopy, Shape, Tap
from resdsl.targets.onnx_tensors import AS_IT_IS, FLOATS, Array, Derivation, Normalised, Standardised, require_range
from resdsl.targets.precision import Precision


class Body(ABC):
    """Nodes of a graph or of a function while they are written."""

    def __init__(self, nodes: list[onnx.NodeProto] | object, opset: int, precision: Precision) -> None:
        self.nodes = nodes
        self.opset = opset
        self.precision = precision
        self.float = FLOATS[precision]
        self.constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.names: dict[int, tuple[op.Unit, UnitNames]] = {}

    def node(self, kind: str, name: str, inputs: list[str], **attributes: object) -> str:
        """Adds a node; its name is that of its one output."""
        node = self.nodes.add(op_type=kind, name=name, input=inputs, output=[name])
        for key, value in attributes.items():
            attribute = node.attribute.add(name=key)
            match value:
                case int():
                    attribute.type, attribute.i = onnx.AttributeProto.INT, value
                case float():
                    attribute.type, attribute.f = onnx.AttributeProto.FLOAT, value
                case onnx.TensorProto():
                    attribute.type = onnx.AttributeProto.TENSOR
                    attribute.t.CopyFrom(value)
                case tuple():
                    attribute.type = onnx.AttributeProto.INTS
                    attribute.ints.extend(value)
                case _:
                    raise TypeError(f"attribute {key} of {name}: {value!r}")
        return name

    @abstractmethod
    def weight(self, name: str, how: Derivation = AS_IT_IS) -> str:
        """The value that holds the tensor of this name."""

    @abstractmethod
    def add_constant(self, name: str, array: Array) -> None:
        """Adds a value of this name that holds these numbers."""

    def constant(self, array: Array) -> str:
        """The value that holds these numbers; equal arrays are one."""
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = f"constant{len(self.constants)}"
            self.add_constant(self.constants[key], array)
        return self.constants[key]

    def integers(self, *values: int) -> str:
        """A constant list of whole numbers: a shape, axes."""
        return self.constant(np.asarray(values, np.int64))

    def number(self, name: str, value: PerCopy) -> str:
        assert not isinstance(value, tuple), "the copies of a repeated unit are told apart before this"
        return self.numbers(name, value)

    def numbers(self, name: str, values: float | list[float]) -> str:
        """A constant of the graph's type. name: the part that it belongs to."""
        array = np.asarray(values)
        require_range(name, array, self.precision)
        return self.constant(array.astype(self.float))

    def unit(self, unit: op.Unit, x: str, prefix: str) -> str:
        return self.unit_body(unit, x, prefix)

    def chain(self, chain: tuple[Named, ...], shape: Shape, x: str, prefix: str) -> str:
        for named in chain:
            x = self.element(named, shape, x, prefix)
            shape = output(named.element, shape)
        return x

    def element(self, named: Named, shape: Shape, x: str, prefix: str) -> str:
        if not isinstance(named.element, op.Units):
            return self.operator(named, named.element, shape, x, prefix)
        index = 0
        for run in named.element.runs:
            differs = varies(run.unit)
            for copy in range(run.count):
                unit = copy_of(run.unit, copy) if differs else run.unit
                x = self.unit(unit, x, f"{prefix}{named.name}.{index}.")
                index += 1
        return x

    def unit_body(self, unit: op.Unit, x: str, prefix: str) -> str:
        known = self.names.get(id(unit))
        names = known[1] if known else name_unit(unit)
        self.names[id(unit)] = (unit, names)
        lead_shape = chain_output(unit.branch[: unit.lead], unit.input)
        target = chain_output(unit.branch[unit.lead :], lead_shape)
        activated = self.chain(names.branch[: unit.lead], unit.input, x, prefix)
        branch = self.chain(names.branch[unit.lead :], lead_shape, activated, prefix)
        if unit.shortcut.chain is None:
            return self.chain(names.after, target, branch, prefix)
        reads_activated = unit.shortcut.tap is Tap.ACTIVATED
        shortcut, shape = (activated, lead_shape) if reads_activated else (x, unit.input)
        for named in names.shortcut:
            name = f"{prefix}{named.name}"
            match named.element:
                case op.Gate(branch=scales_branch):
                    gate = self.gate(name, shape, shortcut)
                    shortcut = self.complement(name, gate, shortcut)
                    branch = self.node("Mul", f"{name}.branch", [gate, branch]) if scales_branch else branch
                case op.Scale(branch=factor) as scale:
                    shortcut = self.scale(name, scale, shortcut)
                    if factor != 1:
                        branch = self.node("Mul", f"{name}.branch", [branch, self.number(name, factor)])
                case _:
                    shortcut = self.element(named, shape, shortcut, prefix)
            shape = output(named.element, shape)
        return self.chain(names.after, target, self.node("Add", f"{prefix}add", [shortcut, branch]), prefix)

    def operator(self, named: Named, operator: op.Operator, shape: Shape, x: str, prefix: str) -> str:
        name = f"{prefix}{named.name}"
        match operator:
            case op.Conv():
                return self.conv(name, operator, x)
            case op.Linear(bias=bias):
                return self.linear(name, f"{name}", x, bias)
            case op.BatchNorm(eps=eps):
                parts = ("weight", "bias", "running_mean", "running_var")
                how = AS_IT_IS if self.precision is Precision.FP32 else Normalised(eps)
                inputs = [x, *(self.weight(f"{name}.{part}", how) for part in parts)]
                return self.node("BatchNormalization", name, inputs, epsilon=eps)
            case op.GroupNorm():
                return self.group_norm(name, operator, shape, x)
            case op.LayerNorm(eps=eps):
                return self.layer_norm(name, eps, shape, x)
            case op.Relu():
                return self.node("Relu", name, [x])
            case op.Gelu():
                return self.gelu(name, x)
            case op.Silu():
                return self.node("Mul", name, [x, self.node("Sigmoid", f"{name}.sigmoid", [x])])
            case op.Tanh():
                return self.node("Tanh", name, [x])
            case op.Sigmoid():
                return self.node("Sigmoid", name, [x])
            case op.Scale():
                return self.scale(name, operator, x)
            case op.Gate():
                return self.complement(name, self.gate(name, shape, x), x)
            case op.Dropout() | op.Removed():
                return x
            case op.DropPath(p=p, rescale=rescale):
                assert not isinstance(p, tuple), "the copies of a repeated unit are told apart before this"
                return x if rescale else self.node("Mul", name, [x, self.number(name, 1 - p)])
            case op.SqueezeExcite():
                mean = self.mean(f"{name}.mean", x)
                middle = self.node(
                    "Relu", f"{name}.relu", [self.linear(f"{name}.reduce", f"{name}.reduce", mean, True)]
                )
                out = self.node(
                    "Sigmoid", f"{name}.sigmoid", [self.linear(f"{name}.expand", f"{name}.expand", middle, True)]
                )
                spread = self.node("Unsqueeze", f"{name}.spread", [out, self.integers(2, 3)])
                return self.node("Mul", name, [x, spread])
            case op.MaxPool(kernel=kernel, stride=stride, padding=padding):
                return self.node("MaxPool", name, [x], kernel_shape=kernel, strides=(stride,) * 2, pads=padding * 2)
            case op.AvgPool(kernel=kernel, stride=stride, padding=padding, count_padding=counts):
                window = {"kernel_shape": kernel, "strides": (stride,) * 2, "pads": padding * 2}
                return self.node("AveragePool", name, [x], count_include_pad=int(counts), **window)
            case op.GlobalAvgPool():
                return self.mean(name, x)
            case op.Pad(channels=channels, stride=stride):
                if stride != 1 and isinstance(shape, Image):
                    slices = [
                        self.integers(*part) for part in ((0, 0), (shape.height, shape.width), (2, 3), (stride,) * 2)
                    ]
                    x = self.node("Slice", f"{name}.stride", [x, *slices])
                return self.append_zeros(name, shape, channels - shape.channels, x)
            case op.Flatten():
                return self.node("Flatten", name, [x], axis=1)
            case op.Partial(channels=channels):
                slices = [self.integers(part) for part in (0, channels, 1)]
                part = self.node("Slice", f"{name}.part", [x, *slices])
                inner = with_channels(shape, channels)
                part = self.chain(named.inner[0], inner, part, prefix)
                return self.append_zeros(name, chain_output(operator.chain, inner), shape.channels - channels, part)
            case op.Concat():
                parts = [self.chain(chain, shape, x, prefix) for chain in named.inner]
                return self.node("Concat", name, parts, axis=1)
        assert_never(operator)

    def conv(self, name: str, conv: op.Conv, x: str) -> str:
        inputs = [x, self.weight(f"{name}.weight", Standardised(conv.eps) if conv.standardise else AS_IT_IS)]
        if conv.bias:
            inputs.append(self.weight(f"{name}.bias"))
        return self.node(
            "Conv",
            name,
            inputs,
            kernel_shape=conv.kernel,
            strides=(conv.stride,) * 2,
            pads=conv.padding * 2,
            dilations=(conv.dilation,) * 2,
            group=conv.groups,
        )

    def linear(self, name: str, weights: str, x: str, bias: bool) -> str:
        inputs = [x, self.weight(f"{weights}.weight")]
        if bias:
            inputs.append(self.weight(f"{weights}.bias"))
        return self.node("Gemm", name, inputs, transB=1)

    def mean(self, name: str, x: str) -> str:
        """Over all positions: (batch, channels). One ReduceMean, where GlobalAveragePool needs a Flatten behind it."""
        if self.opset < 18:
            return self.node("ReduceMean", name, [x], axes=(2, 3), keepdims=0)
        return self.node("ReduceMean", name, [x, self.integers(2, 3)], keepdims=0)

    def scale(self, name: str, scale: op.Scale, x: str) -> str:
        if scale.learn:  # the parameter has the name itself
            return self.node("Mul", f"{name}.scaled", [x, self.weight(name)])
        return self.node("Mul", name, [x, self.number(name, scale.factor)])

    def gate(self, name: str, shape: Shape, x: str) -> str:
        """sigmoid(conv1x1(x) + bias)."""
        logits = f"{name}.logits"
        if isinstance(shape, Image):
            inputs = [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
            self.node("Conv", logits, inputs, kernel_shape=(1, 1))
        else:
            self.linear(logits, name, x, bias=True)
        return self.node("Sigmoid", f"{name}.sigmoid", [logits])

    def complement(self, name: str, gate: str, x: str) -> str:
        """(1 - gate) * x."""
        rest = self.node("Sub", f"{name}.complement", [self.number(name, 1.0), gate])
        return self.node("Mul", name, [rest, x])

    def append_zeros(self, name: str, shape: Shape, channels: int, x: str) -> str:
        rank = 4 if isinstance(shape, Image) else 2
        pads = [0] * (2 * rank)
        pads[rank + 1] = channels
        return self.node("Pad", name, [x, self.integers(*pads)])

    def gelu(self, name: str, x: str) -> str:
        if self.opset >= 20:
            return self.node("Gelu", name, [x])
        scaled = self.node("Mul", f"{name}.scaled", [x, self.number(name, math.sqrt(0.5))])
        erf = self.node("Erf", f"{name}.erf", [scaled])
        shifted = self.node("Add", f"{name}.shifted", [erf, self.number(name, 1.0)])
        half = self.node("Mul", f"{name}.half", [x, self.number(name, 0.5)])
        return self.node("Mul", name, [half, shifted])

    def layer_norm(self, name: str, eps: float, shape: Shape, x: str) -> str:
        weights = [self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        if not isinstance(shape, Image):
            return self.node("LayerNormalization", name, [x, *weights], axis=-1, epsilon=eps)
        last = self.node("Transpose", f"{name}.channels_last", [x], perm=(0, 2, 3, 1))
        normal = self.node("LayerNormalization", f"{name}.norm", [last, *weights], axis=-1, epsilon=eps)
        return self.node("Transpose", name, [normal], perm=(0, 3, 1, 2))

    def group_norm(self, name: str, norm: op.GroupNorm, shape: Shape, x: str) -> str:
        weights = [self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        if self.opset >= 21 and isinstance(shape, Image):
            attributes = {"num_groups": norm.groups, "epsilon": norm.eps}
            return self.node("GroupNormalization", name, [x, *weights], **attributes)
        grouped = self.node("Reshape", f"{name}.grouped", [x, self.integers(0, norm.groups, -1)])
        ones, zeros = (self.numbers(name, [value] * norm.groups) for value in (1.0, 0.0))
        normal = self.node("InstanceNormalization", f"{name}.norm", [grouped, ones, zeros], epsilon=norm.eps)
        y = self.node("Reshape", f"{name}.reshaped", [normal, self.integers(0, *extents(shape))])
        if isinstance(shape, Image):
            axes = self.integers(1, 2)
            weights = [self.node("Unsqueeze", f"{part}.spread", [part, axes]) for part in weights]
        return self.node("Add", name, [self.node("Mul", f"{name}.scaled", [y, weights[0]]), weights[1]])


def extents(shape: Shape) -> list[int]:
    """The sizes behind the batch."""
    return [shape.channels, shape.height, shape.width] if isinstance(shape, Image) else [shape.features]
