"""Writing a float32 model as an int8 one: QuantizeLinear and DequantizeLinear around what is computed in integers.

onnxruntime.quantization does the same for any model. It took 114 s and an order that changes from run to run for the
1001 layers for which this takes 6 s, and cannot put a ReLU on integers; its results are what the tests compare with.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import onnx
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.targets.onnx_file import Parts
from resdsl.targets.onnx_int8.form import Form, Quantised, activation, bias_integers, integers, weight_scales
from resdsl.targets.onnx_int8.plan import Plan, has_constant_weight, plan
from resdsl.targets.onnx_int8.ranges import ranges
from resdsl.targets.onnx_tensors import Initialiser

MAX_BYTES = 2**31 - 1
"""Protobuf's limit, which ONNX Runtime meets when it measures ranges."""


def quantise(parts: Parts, calibration: NDArray[np.float32], form: Form) -> Parts:
    """The int8 model of a float32 one, with ranges measured on `calibration`, (n, *input). The given one is unchanged.

    parts: as `onnx_parts` gives them, inlined. Names stay; around a value `v` stand `v.quantise`, `v.dequantise` and the
    constants `v.scale` and `v.zero_point`. The same model and data give the same result. Raises SpecError for a model
    with functions, above 2 GB, and where data lead to NaN.
    """
    graph = parts.model.graph
    if parts.model.functions:
        raise fail("wrong-int8", "int8 is written for models without functions", help="leave `--functions` out")
    if parts.model.ByteSize() + sum(each.size for each in parts.initialisers) > MAX_BYTES:
        raise fail("wrong-int8", f"int8 is written for models below 2 GB, and {graph.name} has more")
    chosen = plan(graph, {each.name for each in parts.initialisers}, form)
    measured = ranges(parts, chosen.measured, calibration)
    scales = {value: activation(low, high, form) for value, (low, high) in measured.items()}
    for value, source in chosen.same.items():
        scales[value] = scales[source]
    model = onnx.ModelProto()
    model.CopyFrom(parts.model)
    del model.graph.node[:]
    writer = _Writer(parts, model.graph, chosen, scales, form)
    writer.write()
    return Parts(model, writer.initialisers)


class _Writer:
    """Copies a graph node by node, and puts the pairs where a quantised value comes to be."""

    def __init__(
        self,
        source: Parts,
        target: onnx.GraphProto,
        chosen: Plan,
        scales: Mapping[str, Quantised],
        form: Form,
    ) -> None:
        self.source = source.model.graph
        self.target = target
        self.plan = chosen
        self.scales = scales
        self.form = form
        self.constants = {each.name: each for each in source.initialisers}
        self.initialisers: list[Initialiser] = []
        self.written: set[str] = set()

    def write(self) -> None:
        for value in self.source.input:
            if value.name in self.scales:
                self.pair(value.name)
        for node in self.source.node:
            if node.name in self.plan.clips:
                self.clip(node)
                continue
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            if has_constant_weight(node, self.constants.keys()):
                self.weights(copy)
            for index, value in enumerate(node.input):
                if value in self.scales:
                    copy.input[index] = f"{value}.dequantised"
                elif copy.input[index] in self.constants:
                    self.constant(self.constants[value])
            self.target.node.append(copy)
            for value in node.output:
                if value in self.scales:
                    self.pair(value)

    def pair(self, value: str) -> None:
        """QuantizeLinear and DequantizeLinear behind a value."""
        scale, zero_point = f"{value}.scale", f"{value}.zero_point"
        self.array(scale, self.scales[value].scale)
        self.array(zero_point, self.scales[value].zero_point)
        self.node("QuantizeLinear", f"{value}.quantise", [value, scale, zero_point], f"{value}.quantised")
        self.node(
            "DequantizeLinear", f"{value}.dequantise", [f"{value}.quantised", scale, zero_point], f"{value}.dequantised"
        )

    def clip(self, relu: onnx.NodeProto) -> None:
        """A ReLU on integers: nothing below the one that stands for 0."""
        x, y = relu.input[0], relu.output[0]
        source = x
        while source in self.plan.same:
            source = self.plan.same[source]
        scale, zero_point = f"{source}.scale", f"{source}.zero_point"
        self.node("Clip", relu.name, [f"{x}.quantised", zero_point], f"{y}.quantised")
        self.node("DequantizeLinear", f"{y}.dequantise", [f"{y}.quantised", scale, zero_point], f"{y}.dequantised")

    def weights(self, node: onnx.NodeProto) -> None:
        """Replaces the weight, and for ONNX Runtime the bias, by integers."""
        x = self.scales[node.input[0]]
        weight = self.numbers(node.input[1])
        bias = self.numbers(node.input[2]) if len(node.input) > 2 else None
        counted = bias if self.form is Form.ORT_CPU else None
        scales = weight_scales(weight, counted, x)
        node.input[1] = self.dequantised(node.input[1], integers(weight, scales), scales)
        if counted is not None:
            unit = x.scale * scales
            node.input[2] = self.dequantised(node.input[2], bias_integers(counted, unit), unit)

    def dequantised(self, name: str, values: NDArray[np.generic], scales: NDArray[np.float32]) -> str:
        result = f"{name}.dequantised"
        if name not in self.written:
            self.written.add(name)
            self.array(f"{name}.quantised", values)
            self.array(f"{name}.scale", scales)
            self.array(f"{name}.zero_point", np.zeros(len(scales), values.dtype))
            inputs = [f"{name}.{part}" for part in ("quantised", "scale", "zero_point")]
            self.node("DequantizeLinear", f"{name}.dequantise", inputs, result, axis=0)
        return result

    def numbers(self, name: str) -> NDArray[np.float32]:
        each = self.constants[name]
        return each.make().astype(each.dtype, copy=False)

    def constant(self, initialiser: Initialiser) -> None:
        if initialiser.name not in self.written:
            self.written.add(initialiser.name)
            self.initialisers.append(initialiser)

    def array(self, name: str, values: NDArray[np.generic] | np.generic) -> None:
        array = np.asarray(values)
        self.initialisers.append(Initialiser(name, array.shape, array.dtype, partial(np.asarray, array)))

    def node(self, kind: str, name: str, inputs: list[str], output: str, **attributes: int) -> None:
        self.target.node.append(onnx.helper.make_node(kind, inputs, [output], name, **attributes))
