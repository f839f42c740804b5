"""Which values of a graph are held as integers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import onnx

from resdsl.targets.onnx_int8.form import Form

WEIGHTED = frozenset({"Conv", "Gemm"})
MOVES = frozenset({"MaxPool", "Flatten", "Slice", "Pad"})
"""What comes out is among what went in, or 0, so it keeps the scale and costs no accuracy."""
COMBINES = frozenset({"Add", "AveragePool", "Concat"})


@dataclass(frozen=True, slots=True)
class Plan:
    """measured: values with a scale of their own, in the order of the graph. same: value -> the one whose scale it takes.
    clips: names of ReLUs that work on integers.
    """

    measured: tuple[str, ...]
    same: Mapping[str, str]
    clips: frozenset[str]


def plan(graph: onnx.GraphProto, constants: Collection[str], form: Form) -> Plan:
    """Convolutions, linear layers, additions, pooling and concatenation read integers; the rest stays in float32.

    Both forms: a quantised value is quantised once, for all that read it, so both inputs of a residual addition are. In
    the stream of pre-activation units that is the sum, which the next addition reads, too.

    ORT_CPU: what these operators write is quantised as well, since ONNX Runtime has no kernels that read integers and
    write floats; behind a ReLU if nothing else reads it, which then costs nothing. A ReLU that reads the stream takes
    the stream's scale and becomes a Clip of integers: with a scale of its own it would be a pass over floats, 4.2 of 20
    ms in pre-activation ResNet-164.

    TENSORRT: convolutions fuse with what follows in the precision that this reads, so only inputs are quantised.

    constants: the names of the graph's initialisers.
    """
    data = _data(graph)
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for value in node.input:
            readers.setdefault(value, []).append(node)
    outputs = {value.name for value in graph.output}
    found: set[str] = set()
    for node in graph.node:
        if not _works_on_integers(node, constants, data):
            continue
        found.update(node.input[:1] if node.op_type in WEIGHTED else node.input)
        if form is Form.ORT_CPU and node.op_type != "Gemm":
            found.add(_written(node.output[0], readers, outputs))
    found -= outputs
    same: dict[str, str] = {}
    clips: set[str] = set()
    for node in graph.node:
        if not node.input or node.input[0] not in found or node.output[0] in outputs:
            continue
        if node.op_type in MOVES:
            same[node.output[0]] = node.input[0]
        elif node.op_type == "Relu" and form is Form.ORT_CPU:
            same[node.output[0]] = node.input[0]
            clips.add(node.name)
        else:
            continue
        found.add(node.output[0])
    order = [value.name for value in graph.input] + [value for node in graph.node for value in node.output]
    return Plan(tuple(value for value in order if value in found and value not in same), same, frozenset(clips))


def has_constant_weight(node: onnx.NodeProto, constants: Collection[str]) -> bool:
    """Whether the node is a convolution or linear layer whose weight can be written as integers."""
    return node.op_type in WEIGHTED and node.input[1] in constants


def _works_on_integers(node: onnx.NodeProto, constants: Collection[str], data: AbstractSet[str]) -> bool:
    """Whether the node is computed from quantised values: weights by constants, or combines what the input decides.

    An addition of a bias is none of these, also where the bias is spread by a node first, as a GroupNorm's.
    """
    return has_constant_weight(node, constants) or (node.op_type in COMBINES and data.issuperset(node.input))


def _data(graph: onnx.GraphProto) -> set[str]:
    """The values that depend on the graph's input."""
    found = {value.name for value in graph.input}
    for node in graph.node:
        if not found.isdisjoint(node.input):
            found.update(node.output)
    return found


def _written(value: str, readers: Mapping[str, list[onnx.NodeProto]], outputs: set[str]) -> str:
    """The value itself, or that behind a ReLU which alone reads it."""
    reading = readers.get(value, [])
    if len(reading) == 1 and reading[0].op_type == "Relu" and value not in outputs:
        return reading[0].output[0]
    return value
