"""A network as an ONNX model, straight from the IR: no tracing, no torch.

Evaluation mode: dropout is gone, BatchNormalization stays as such (ONNX Runtime fuses it best from there). Nodes and
initialisers are named like the state_dict (`stage1.17.conv3`, `stage1.17.conv3.weight`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import assert_never

import numpy as np
import onnx
from numpy.typing import NDArray

from resdsl._version import __version__
from resdsl.diagnostics import fail
from resdsl.network import operators as op
from resdsl.network.evaluate import standardised
from resdsl.network.names import Named, UnitNames, name_network, name_unit
from resdsl.network.network import Network, copy_of, varies
from resdsl.network.shapes import chain_output, output, with_channels
from resdsl.network.types import Image, PerCopy, Shape, Tap

DEFAULT_OPSET = 21
OPSETS = range(17, 25)
"""Opsets that can be written; GroupNormalization and Gelu are written out below 21 and 20."""
FUNCTION_DOMAIN = "resdsl"

Weights = Mapping[str, NDArray[np.floating]]


def onnx_bytes(network: Network, weights: Weights, *, opset: int = DEFAULT_OPSET, functions: bool = False) -> bytes:
    """The model, serialised; the same bytes for the same arguments. See onnx_model."""
    return onnx_model(network, weights, opset=opset, functions=functions).SerializeToString(deterministic=True)


def onnx_model(
    network: Network, weights: Weights, *, opset: int = DEFAULT_OPSET, functions: bool = False
) -> onnx.ModelProto:
    """The model: input `input` of (batch, *input), output `output`, float32, dynamic batch.

    weights: name -> array, complete. functions: one model-local function per distinct unit, weights as its inputs;
    otherwise everything is inlined. Raises SpecError for an opset that cannot be written.
    """
    if opset not in OPSETS:
        raise fail("wrong-opset", f"ONNX opset {opset} cannot be written", help=f"one of {OPSETS[0]} to {OPSETS[-1]}")
    model = onnx.ModelProto(
        ir_version=onnx.helper.OP_SET_ID_VERSION_MAP["ai.onnx", opset],
        producer_name="resdsl",
        producer_version=__version__,
        doc_string=network.doc,
    )
    model.opset_import.add(domain="", version=opset)
    model.graph.name = network.name
    body = _Graph(model, opset, weights, functions)
    x = "input"
    shape = network.input
    for _, chain in name_network(network):
        x = body.chain(chain, shape, x, "")
        shape = chain_output(tuple(named.element for named in chain), shape)
    if x == "input":
        x = body.node("Identity", "output", [x])
    model.graph.node[-1].output[0] = "output"
    for name, place, extents in (("input", model.graph.input, network.input), ("output", model.graph.output, shape)):
        sizes = ["batch", *_extents(extents)]
        place.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes))
    return model


class _Body(ABC):
    """Nodes of a graph or of a function while they are written."""

    def __init__(self, nodes: list[onnx.NodeProto] | object, opset: int) -> None:
        self.nodes = nodes
        self.opset = opset
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
    def weight(self, name: str, eps: float | None = None) -> str:
        """The value that holds the tensor of this name; with `eps`, filters that are standardised with it."""

    @abstractmethod
    def constant(self, values: object, kind: type[np.generic] = np.int64) -> str:
        """The value that holds these numbers."""

    def unit(self, unit: op.Unit, x: str, prefix: str) -> str:
        return self.unit_body(unit, x, prefix)

    def number(self, value: PerCopy) -> str:
        assert not isinstance(value, tuple), "the copies of a repeated unit are told apart before this"
        return self.constant(value, np.float32)

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
                        branch = self.node("Mul", f"{name}.branch", [branch, self.number(factor)])
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
                inputs = [x, *(self.weight(f"{name}.{part}") for part in parts)]
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
            case op.Dropout():
                return x
            case op.DropPath(p=p, rescale=rescale):
                assert not isinstance(p, tuple), "the copies of a repeated unit are told apart before this"
                return x if rescale else self.node("Mul", name, [x, self.number(1 - p)])
            case op.SqueezeExcite():
                mean = self.node("GlobalAveragePool", f"{name}.mean", [x])
                flat = self.node("Flatten", f"{name}.flatten", [mean], axis=1)
                middle = self.node(
                    "Relu", f"{name}.relu", [self.linear(f"{name}.reduce", f"{name}.reduce", flat, True)]
                )
                out = self.node(
                    "Sigmoid", f"{name}.sigmoid", [self.linear(f"{name}.expand", f"{name}.expand", middle, True)]
                )
                spread = self.node("Unsqueeze", f"{name}.spread", [out, self.constant([2, 3])])
                return self.node("Mul", name, [x, spread])
            case op.MaxPool(kernel=kernel, stride=stride, padding=padding):
                return self.node("MaxPool", name, [x], kernel_shape=kernel, strides=(stride,) * 2, pads=padding * 2)
            case op.AvgPool(kernel=kernel, stride=stride, padding=padding, count_padding=counts):
                window = {"kernel_shape": kernel, "strides": (stride,) * 2, "pads": padding * 2}
                return self.node("AveragePool", name, [x], count_include_pad=int(counts), **window)
            case op.GlobalAvgPool():
                return self.node("Flatten", name, [self.node("GlobalAveragePool", f"{name}.mean", [x])], axis=1)
            case op.Pad(channels=channels, stride=stride):
                if stride != 1 and isinstance(shape, Image):
                    slices = [
                        self.constant(part) for part in ([0, 0], [shape.height, shape.width], [2, 3], [stride] * 2)
                    ]
                    x = self.node("Slice", f"{name}.stride", [x, *slices])
                return self.append_zeros(name, shape, channels - shape.channels, x)
            case op.Flatten():
                return self.node("Flatten", name, [x], axis=1)
            case op.Partial(channels=channels):
                slices = [self.constant(part) for part in ([0], [channels], [1])]
                part = self.node("Slice", f"{name}.part", [x, *slices])
                inner = with_channels(shape, channels)
                part = self.chain(named.inner[0], inner, part, prefix)
                return self.append_zeros(name, chain_output(operator.chain, inner), shape.channels - channels, part)
            case op.Concat():
                parts = [self.chain(chain, shape, x, prefix) for chain in named.inner]
                return self.node("Concat", name, parts, axis=1)
        assert_never(operator)

    def conv(self, name: str, conv: op.Conv, x: str) -> str:
        inputs = [x, self.weight(f"{name}.weight", conv.eps if conv.standardise else None)]
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

    def scale(self, name: str, scale: op.Scale, x: str) -> str:
        if scale.learn:  # the parameter has the name itself
            return self.node("Mul", f"{name}.scaled", [x, self.weight(name)])
        return self.node("Mul", name, [x, self.number(scale.factor)])

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
        rest = self.node("Sub", f"{name}.complement", [self.constant(1.0, np.float32), gate])
        return self.node("Mul", name, [rest, x])

    def append_zeros(self, name: str, shape: Shape, channels: int, x: str) -> str:
        rank = 4 if isinstance(shape, Image) else 2
        pads = [0] * (2 * rank)
        pads[rank + 1] = channels
        return self.node("Pad", name, [x, self.constant(pads)])

    def gelu(self, name: str, x: str) -> str:
        if self.opset >= 20:
            return self.node("Gelu", name, [x])
        scaled = self.node("Mul", f"{name}.scaled", [x, self.constant(math.sqrt(0.5), np.float32)])
        erf = self.node("Erf", f"{name}.erf", [scaled])
        shifted = self.node("Add", f"{name}.shifted", [erf, self.constant(1.0, np.float32)])
        half = self.node("Mul", f"{name}.half", [x, self.constant(0.5, np.float32)])
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
        grouped = self.node("Reshape", f"{name}.grouped", [x, self.constant([0, norm.groups, -1])])
        ones, zeros = (self.constant([value] * norm.groups, np.float32) for value in (1.0, 0.0))
        normal = self.node("InstanceNormalization", f"{name}.norm", [grouped, ones, zeros], epsilon=norm.eps)
        y = self.node("Reshape", f"{name}.reshaped", [normal, self.constant([0, *_extents(shape)])])
        if isinstance(shape, Image):
            axes = self.constant([1, 2])
            weights = [self.node("Unsqueeze", f"{part}.spread", [part, axes]) for part in weights]
        return self.node("Add", name, [self.node("Mul", f"{name}.scaled", [y, weights[0]]), weights[1]])


class _Graph(_Body):
    """The model's own graph: weights and constants are initialisers."""

    def __init__(self, model: onnx.ModelProto, opset: int, weights: Weights, functions: bool) -> None:
        super().__init__(model.graph.node, opset)
        self.model = model
        self.weights = weights
        self.written: set[str] = set()
        self.functions: dict[op.Unit, tuple[str, dict[str, float | None]]] | None = {} if functions else None

    def weight(self, name: str, eps: float | None = None) -> str:
        if name not in self.written:
            self.written.add(name)
            values = self.weights[name]
            if eps is not None:
                gain = self.weights[f"{name.removesuffix('.weight')}.gain"]
                values = standardised(values.astype(np.float64), gain.astype(np.float64), eps)
            self.initialiser(name, values.astype(np.float32, copy=False))
        return name

    def constant(self, values: object, kind: type[np.generic] = np.int64) -> str:
        array = np.asarray(values, kind)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = f"constant{len(self.constants)}"
            self.initialiser(self.constants[key], array)
        return self.constants[key]

    def initialiser(self, name: str, array: NDArray[np.generic]) -> None:
        _fill_tensor(self.model.graph.initializer.add(), name, array)

    def unit(self, unit: op.Unit, x: str, prefix: str) -> str:
        if self.functions is None:
            return self.unit_body(unit, x, prefix)
        if unit not in self.functions:
            self.functions[unit] = self.function(unit)
        name, weights = self.functions[unit]
        output = prefix.removesuffix(".")
        inputs = [x, *(self.weight(f"{prefix}{weight}", eps) for weight, eps in weights.items())]
        self.model.graph.node.add(op_type=name, name=output, domain=FUNCTION_DOMAIN, input=inputs, output=[output])
        return output

    def function(self, unit: op.Unit) -> tuple[str, dict[str, float | None]]:
        """Adds a function for a unit; its name and the weights it takes behind x, as `weight` is called for them."""
        assert self.functions is not None
        if not self.functions:
            self.model.opset_import.add(domain=FUNCTION_DOMAIN, version=1)
        body = _Function(self.opset)
        y = body.unit_body(unit, "x", "")
        function = body.proto
        function.name = f"{unit.name}_{len(self.functions) + 1}"
        function.domain = FUNCTION_DOMAIN
        function.doc_string = f"{unit.label}: {unit.input} -> {unit.output}"
        function.input.extend(["x", *body.weights])
        function.output.append(y)
        function.opset_import.add(domain="", version=self.opset)
        self.model.functions.append(function)
        return function.name, body.weights


class _Function(_Body):
    """A function's body: weights are inputs, constants are nodes; units inside are inlined."""

    def __init__(self, opset: int) -> None:
        self.proto = onnx.FunctionProto()
        super().__init__(self.proto.node, opset)
        self.weights: dict[str, float | None] = {}

    def weight(self, name: str, eps: float | None = None) -> str:
        self.weights[name] = eps
        return name

    def constant(self, values: object, kind: type[np.generic] = np.int64) -> str:
        array = np.asarray(values, kind)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            name = f"constant{len(self.constants)}"
            tensor = onnx.TensorProto()
            _fill_tensor(tensor, name, array)
            self.constants[key] = self.node("Constant", name, [], value=tensor)
        return self.constants[key]


def _fill_tensor(tensor: onnx.TensorProto, name: str, array: NDArray[np.generic]) -> None:
    tensor.name = name
    tensor.dims.extend(array.shape)
    tensor.data_type = onnx.TensorProto.FLOAT if array.dtype == np.float32 else onnx.TensorProto.INT64
    tensor.raw_data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _extents(shape: Shape) -> list[int]:
    return [shape.channels, shape.height, shape.width] if isinstance(shape, Image) else [shape.features]
