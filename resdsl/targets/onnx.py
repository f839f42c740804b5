"""A network as an ONNX model, straight from the IR: no tracing, no torch.

Evaluation mode: dropout is gone, BatchNormalization stays as such (ONNX Runtime fuses it best from there). Nodes and
initialisers are named like the state_dict (`stage1.17.conv3`, `stage1.17.conv3.weight`).
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from resdsl._version import __version__
from resdsl.diagnostics import fail
from resdsl.network import operators as op
from resdsl.network.names import name_network
from resdsl.network.network import Network
from resdsl.network.shapes import chain_output
from resdsl.targets.onnx_file import Parts, model_bytes
from resdsl.targets.onnx_operators import Body, extents
from resdsl.targets.onnx_tensors import (
    AS_IT_IS,
    FLOATS,
    ONNX_TYPES,
    Array,
    Derivation,
    Initialiser,
    Weights,
    derived,
    require_range,
)
from resdsl.targets.precision import Precision

DEFAULT_OPSET = 21
OPSETS = range(17, 25)
"""Opsets that can be written; GroupNormalization and Gelu are written out below 21 and 20."""
BF16_OPSET = 22
"""The first in which convolutions and pools take bfloat16; what bf16 is written in by default."""
FUNCTION_DOMAIN = "resdsl"


def onnx_bytes(
    network: Network,
    weights: Weights,
    *,
    opset: int | None = None,
    functions: bool = False,
    precision: Precision = Precision.FP32,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The model as the bytes of a file; the same bytes for the same arguments. See onnx_model."""
    return model_bytes(
        onnx_parts(network, weights, opset=opset, functions=functions, precision=precision, metadata=metadata)
    )


def onnx_model(
    network: Network,
    weights: Weights,
    *,
    opset: int | None = None,
    functions: bool = False,
    precision: Precision = Precision.FP32,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """The model: input `input` of (batch, *input), output `output`, float32 in every precision, dynamic batch.

    weights: name -> array, complete. opset: 21 if not given, 22 for bf16. functions: one model-local function per
    distinct unit, weights as its inputs; otherwise everything is inlined. precision: fp32, fp16 or bf16, of all weights
    and activations; then a Cast stands at each end, and a BatchNorm's weight and bias hold its statistics. metadata: what
    stands in metadata_props, by key. Raises SpecError for an opset that cannot be written, and for a weight that
    `precision` cannot hold; ValueError for int8, which is quantised from an fp32 model.
    """
    return onnx_parts(
        network, weights, opset=opset, functions=functions, precision=precision, metadata=metadata
    ).whole()


def onnx_parts(
    network: Network,
    weights: Weights,
    *,
    opset: int | None = None,
    functions: bool = False,
    precision: Precision = Precision.FP32,
    metadata: Mapping[str, str] | None = None,
) -> Parts:
    """What onnx_model gives, the weights not yet copied into it: for onnx_file.write_model."""
    if precision not in FLOATS:
        raise ValueError(f"{precision.value} is not the type of a graph: quantise an fp32 model")
    model = onnx.ModelProto(producer_name="resdsl", producer_version=__version__, doc_string=network.doc)
    model.graph.name = network.name
    opset = _opset(opset, precision)
    model.ir_version = onnx.helper.OP_SET_ID_VERSION_MAP["ai.onnx", opset]
    model.opset_import.add(domain="", version=opset)
    for key, value in sorted((metadata or {}).items()):
        model.metadata_props.add(key=key, value=value)
    body = _Graph(model, opset, precision, weights, functions)
    x = (
        "input"
        if precision is Precision.FP32
        else body.node("Cast", "input.cast", ["input"], to=ONNX_TYPES[body.float])
    )
    start, shape = x, network.input
    for _, chain in name_network(network):
        x = body.chain(chain, shape, x, "")
        shape = chain_output(tuple(named.element for named in chain), shape)
    if precision is not Precision.FP32:
        body.node("Cast", "output.cast", [x], to=onnx.TensorProto.FLOAT)
    elif x == start:
        body.node("Identity", "output", [x])
    model.graph.node[-1].output[0] = "output"
    for name, place, inner in (("input", model.graph.input, network.input), ("output", model.graph.output, shape)):
        sizes = ["batch", *extents(inner)]
        place.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes))
    return Parts(model, body.initialisers)


def _opset(opset: int | None, precision: Precision) -> int:
    least = BF16_OPSET if precision is Precision.BF16 else OPSETS[0]
    if opset is None:
        return max(DEFAULT_OPSET, least)
    if opset not in OPSETS:
        raise fail("wrong-opset", f"ONNX opset {opset} cannot be written", help=f"one of {OPSETS[0]} to {OPSETS[-1]}")
    if opset < least:
        message = f"ONNX opset {opset} has no {precision.value} convolutions"
        raise fail("wrong-opset", message, help=f"one of {least} to {OPSETS[-1]}")
    return opset


class _Graph(Body):
    """The model's own graph: weights and constants are initialisers."""

    def __init__(
        self, model: onnx.ModelProto, opset: int, precision: Precision, weights: Weights, functions: bool
    ) -> None:
        super().__init__(model.graph.node, opset, precision)
        self.model = model
        self.weights = weights
        self.initialisers: list[Initialiser] = []
        self.written: set[str] = set()
        self.functions: dict[op.Unit, tuple[str, dict[str, Derivation]]] | None = {} if functions else None

    def weight(self, name: str, how: Derivation = AS_IT_IS) -> str:
        if name not in self.written:
            self.written.add(name)
            if self.precision is not Precision.FP32:
                require_range(name, derived(name, how, self.weights), self.precision)
            self.initialisers.append(
                Initialiser(name, self.weights[name].shape, self.float, lambda: derived(name, how, self.weights))
            )
        return name

    def add_constant(self, name: str, array: Array) -> None:
        self.initialisers.append(Initialiser(name, array.shape, array.dtype, lambda: array))

    def unit(self, unit: op.Unit, x: str, prefix: str) -> str:
        if self.functions is None:
            return self.unit_body(unit, x, prefix)
        if unit not in self.functions:
            self.functions[unit] = self.function(unit)
        name, weights = self.functions[unit]
        output = prefix.removesuffix(".")
        inputs = [x, *(self.weight(f"{prefix}{weight}", how) for weight, how in weights.items())]
        self.model.graph.node.add(op_type=name, name=output, domain=FUNCTION_DOMAIN, input=inputs, output=[output])
        return output

    def function(self, unit: op.Unit) -> tuple[str, dict[str, Derivation]]:
        """Adds a function for a unit; its name and the weights it takes behind x, as `weight` is called for them."""
        assert self.functions is not None
        if not self.functions:
            self.model.opset_import.add(domain=FUNCTION_DOMAIN, version=1)
        body = _Function(self.opset, self.precision)
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


class _Function(Body):
    """A function's body: weights are inputs, constants are nodes; units inside are inlined."""

    def __init__(self, opset: int, precision: Precision) -> None:
        self.proto = onnx.FunctionProto()
        super().__init__(self.proto.node, opset, precision)
        self.weights: dict[str, Derivation] = {}

    def weight(self, name: str, how: Derivation = AS_IT_IS) -> str:
        self.weights[name] = how
        return name

    def add_constant(self, name: str, array: Array) -> None:
        initialiser = Initialiser(name, array.shape, array.dtype, lambda: array)
        tensor = initialiser.header()
        tensor.raw_data = initialiser.data().tobytes()
        self.node("Constant", name, [], value=tensor)
