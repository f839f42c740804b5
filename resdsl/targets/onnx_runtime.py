"""Running an ONNX model in ONNX Runtime on the CPU, for comparison: its output, and its units' outputs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from resdsl.targets.onnx_file import Parts, model_bytes

Array = NDArray[np.floating]

BATCH = 16
"""Inputs at a time."""


class NotRunError(Exception):
    """ONNX Runtime's CPU does not compute this model; the text says why."""


def run_parts(parts: Parts, x: NDArray[np.float32], trace: dict[str, Array] | None = None) -> Array:
    """The output for (n, *input), as float64; with `trace`, the output of each unit is put there by its name."""
    if trace is None:
        return run_model(model_bytes(parts), x)
    values = unit_values(parts.model.graph.node)
    traced = onnx.ModelProto()
    traced.CopyFrom(parts.model)
    traced.graph.output.extend(onnx.ValueInfoProto(name=value) for value in dict.fromkeys(values.values()))
    session = _session(model_bytes(Parts(traced, parts.initialisers)), optimised=True)
    found = dict(zip((output.name for output in session.get_outputs()), session.run(None, {"input": x}), strict=True))
    trace.update((unit, found[value].astype(np.float64)) for unit, value in values.items())
    return found["output"].astype(np.float64)


def run_model(model: bytes, x: NDArray[np.float32], *, optimised: bool = True) -> Array:
    """The output of a model for (n, *input), as float64. optimised: by ONNX Runtime. Raises NotRunError."""
    session = _session(model, optimised=optimised)
    parts = [session.run(["output"], {"input": x[at : at + BATCH]})[0] for at in range(0, len(x), BATCH)]
    return np.concatenate(parts).astype(np.float64)


def unit_values(nodes: Iterable[onnx.NodeProto]) -> dict[str, str]:
    """By unit, in the order of execution, what its last node leaves. A unit without nodes is not in it."""
    last: dict[str, str] = {}
    for node in nodes:
        parts = node.name.split(".")
        for end, part in enumerate(parts, 1):
            if part.isdecimal() and node.output:
                unit = ".".join(parts[:end])
                last.pop(unit, None)
                last[unit] = node.output[0]
    return last


def _session(model: bytes, *, optimised: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as error:
        reason = str(error).split(" : ")[-1].splitlines()[0]
        raise NotRunError(f"ONNX Runtime's CPU has no kernel for it: {reason}") from None
