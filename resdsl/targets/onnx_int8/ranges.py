"""Between which numbers the values of a graph lie, over calibration data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.targets.onnx_file import INLINE, Parts

BATCH = 16
"""Samples at a time. Of each value only its extremes leave the graph, so memory is that of inference on one batch."""


def ranges(parts: Parts, values: Sequence[str], data: NDArray[np.float32]) -> dict[str, tuple[float, float]]:
    """value -> its smallest and largest number over data, (n, *input). Raises SpecError if one is not finite.

    Nothing is cut off: on trained networks, percentiles and entropy gained at most a thousandth (docs/int8.md).
    """
    _require_finite("the calibration input", data)
    output, found = extremes(parts, values, data)
    _require_finite(
        "the output on the calibration data", output
    )  # a reduction may pass over NaN; what follows does not
    _require_finite("a value inside the network on the calibration data", found)
    return {value: (float(low), float(high)) for value, (low, high) in zip(values, found, strict=True)}


def extremes(
    parts: Parts, values: Sequence[str], data: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The float32 model's output, and the smallest and largest number of each value over data, (values, 2)."""
    session = _session(parts, values)
    outputs: list[NDArray[np.float32]] = []
    found: list[NDArray[np.float32]] = []
    for at in range(0, len(data), BATCH):
        output, *numbers = session.run(None, {"input": data[at : at + BATCH]})
        outputs.append(output)
        found.append(np.array(numbers, np.float32).reshape(-1, 2))
    each = np.array(found)
    return np.concatenate(outputs), np.stack([each[..., 0].min(axis=0), each[..., 1].max(axis=0)], axis=-1)


def _session(parts: Parts, values: Sequence[str]) -> onnxruntime.InferenceSession:
    """The model with the extremes of these values as further outputs, in pairs.

    ONNX Runtime reads the large weights where they lie: in the bytes of a model it would hold them three times.
    """
    model = _reporting(parts.model, values)
    options = _options()
    held: dict[str, onnxruntime.OrtValue] = {}
    for each in parts.initialisers:
        tensor = each.header()
        if each.size < INLINE:
            tensor.raw_data = each.data().tobytes()
        else:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=each.name)
            array = each.data().view(each.dtype).reshape(each.shape)
            held[each.name] = onnxruntime.OrtValue.ortvalue_from_numpy(array)
        model.graph.initializer.append(tensor)
    options.add_external_initializers(list(held), list(held.values()))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _require_finite(what: str, numbers: NDArray[np.float32]) -> None:
    if not np.isfinite(numbers).all():
        help = "calibrate with data like those in use, and with trained weights"
        raise fail("calibration", f"{what} is NaN or infinite", help=help)


def _reporting(model: onnx.ModelProto, values: Sequence[str]) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    wanted = set(values)
    for value in model.graph.input:
        if value.name in wanted:
            copy.graph.node.extend(_reductions(value.name))
    for node in model.graph.node:
        copy.graph.node.append(node)
        for value in wanted.intersection(node.output):
            copy.graph.node.extend(_reductions(value))
    for value in values:
        for node in _reductions(value):
            copy.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, []))
    return copy


def _reductions(value: str) -> list[onnx.NodeProto]:
    return [
        onnx.helper.make_node(kind, [value], [f"{value}.{kind}"], keepdims=0) for kind in ("ReduceMin", "ReduceMax")
    ]


def _options() -> onnxruntime.SessionOptions:
    """Nodes run in the order they are written in, so that a value is reduced and freed before the next ones come.

    In any other order, or where optimisation moves nodes, the reductions come last and every value of the batch is alive
    by then: 4.3 GB in place of 0.3 for the 1001 layers, and slower.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.enable_cpu_mem_arena = False
    return options
