"""The targets by name."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from resdsl.diagnostics import fail
from resdsl.network.document import to_json
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors
from resdsl.passes.table import Pass
from resdsl.spec import Origin
from resdsl.targets.onnx_limits import MAX_ONNX_BYTES
from resdsl.targets.precision import Form, Precision
from resdsl.targets.tensorrt.options import SIDECAR_SUFFIX, EngineOptions
from resdsl.writing import Output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from resdsl.targets.tensorrt.monitor import Watcher

DATA_SUFFIX = ".data"
"""Behind the name of an ONNX model, of the file that holds its weights."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to write. weights, seed: as for resdsl.weights.network_weights, for targets that hold weights.

    passes: what is done to the network first, of targets that hold weights. opset: None for what suits the precision.
    calibration: for int8, inputs to measure ranges on, (n, *input); form: whom an int8 model is for. external_data:
    weights in a file beside the model; None for where they do not fit into it. compares: whether the model is run beside
    the one without passes before it is written; None for where that costs little. origin: where the network comes from,
    for the model's metadata; records: further entries of it. engine, watcher: of an engine, what it is to be, and who is told how far its build is.
    """

    network: Network
    _: KW_ONLY
    weights: str | Mapping[str, NDArray[np.generic]] | None = None
    seed: int = 0
    opset: int | None = None
    functions: bool = False
    passes: tuple[Pass, ...] = ()
    precision: Precision = Precision.FP32
    calibration: NDArray[np.float32] | None = None
    form: Form = Form.ORT_CPU
    external_data: bool | None = None
    compares: bool | None = False
    origin: Origin | None = None
    records: Mapping[str, str] = field(default_factory=dict[str, str])
    engine: EngineOptions = EngineOptions()
    watcher: Watcher | None = None

    def metadata(self) -> dict[str, str]:
        """What a model says of itself: no paths and no times, so that the same request gives the same bytes."""
        entries = {
            **self.records,
            "resdsl.network": self.network.name,
            "resdsl.precision": self.precision.value,
            "resdsl.passes": ",".join(each.name for each in self.passes),
        }
        if self.precision is Precision.INT8:
            entries["resdsl.for"] = self.form.value
        if self.origin is not None:
            entries["resdsl.spec_sha256"] = self.origin.sha256
            entries["resdsl.parameters"] = json.dumps(self.origin.parameters, ensure_ascii=False, sort_keys=True)
        return entries


@dataclass(frozen=True, slots=True)
class Written:
    """size: in bytes, of all that holds the model. beside: the name of the second file, if there is one. notes: what was done, and what
    it changes, a line each.
    """

    size: int
    beside: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """suffix: of its files. is_text: shown on a terminal when no file is named. has_weights: the file holds them. beside: behind
    the file's name, of a second file that there may be.
    """

    name: str
    description: str
    suffix: str
    is_text: bool
    has_weights: bool
    emit: Callable[[Request, Output], Written]
    beside: str = ""

    def to_bytes(self, request: Request) -> bytes:
        """What `emit` writes, where that is one file. Raises SpecError where it is more."""
        stream = io.BytesIO()
        self.emit(request, Output(stream))
        return stream.getvalue()


def _json(request: Request, output: Output) -> Written:
    return Written(output.stream.write(to_json(request.network).encode()))


def _torch(request: Request, output: Output) -> Written:
    from resdsl.targets.torch_source import torch_source

    return Written(output.stream.write(torch_source(request.network).encode()))


def _onnx(request: Request, output: Output) -> Written:
    from resdsl.targets.onnx_file import write_model, write_model_beside
    from resdsl.targets.onnx_request import proven
    from resdsl.weights import network_weights

    beside = _weights_beside(request, output)
    _require_memory(request.network)
    weights = network_weights(request.network, request.weights, request.seed)
    compiled, told = proven(request, weights)
    if beside is None:
        return Written(write_model(compiled.parts, output.stream), notes=told)
    name, data = beside(DATA_SUFFIX)
    return Written(write_model_beside(compiled.parts, output.stream, data, name), name, told)


def _weights_beside(request: Request, output: Output) -> Callable[[str], tuple[str, BinaryIO]] | None:
    """What opens the file for the weights, None for weights in the model. Raises SpecError where neither can be."""
    size = request.precision.bytes * sum(tensor.size for tensor in network_tensors(request.network))
    if not (request.external_data or size > MAX_ONNX_BYTES):
        return None
    if request.external_data is not False and output.beside is not None:
        return output.beside
    if size > MAX_ONNX_BYTES:
        name, gigabytes = request.network.name, f"{size / 2**30:,.1f}"
        message = f"the weights of {name} take {gigabytes} GiB, and an ONNX file by itself holds less than 2"
    else:
        message = "weights beside the model need a folder to stand in"
    raise fail("external-data", message, help="`resdsl compile -o NAME.onnx` writes them to NAME.onnx.data")


def _require_memory(network: Network) -> None:
    """Raises SpecError where the weights alone are more than the machine's memory, before any is made."""
    size = 4 * sum(tensor.size for tensor in network_tensors(network))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else size
    if size > memory:
        gigabytes = f"{size / 2**30:,.1f} GiB, and this machine has {memory / 2**30:,.1f}"
        message = f"the weights of {network.name} take {gigabytes}"
        raise fail("out-of-memory", message, help="see `resdsl show` for sizes")


def _trt(request: Request, output: Output) -> Written:
    from resdsl.targets.tensorrt.write import emit_engine

    _require_memory(request.network)
    return emit_engine(request, output)


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("torch", "a readable, standalone PyTorch file", ".py", True, False, _torch),
        Target("onnx", "an ONNX model with weights", ".onnx", False, True, _onnx, DATA_SUFFIX),
        Target("json", "the canonical document of the network", ".json", True, False, _json),
        Target("trt", "a TensorRT engine", ".engine", False, True, _trt, SIDECAR_SUFFIX),
    )
}
