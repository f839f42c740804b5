"""The targets by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resdsl.diagnostics import fail
from resdsl.network.document import to_json
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_OPSET = 21
MAX_ONNX_BYTES = 2**31 - 2**24
"""Of weights: protobuf holds 2 GiB, and 16 MiB are left for the nodes."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to write. weights, seed: as for resdsl.weights.network_weights, for targets that hold weights."""

    network: Network
    weights: str | Mapping[str, NDArray[np.generic]] | None = None
    seed: int = 0
    opset: int = DEFAULT_OPSET
    functions: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """suffix: of its files. is_text: shown on a terminal when no file is named. has_weights: the file holds them."""

    name: str
    description: str
    suffix: str
    is_text: bool
    has_weights: bool
    emit: Callable[[Request], bytes]


def _json(request: Request) -> bytes:
    return to_json(request.network).encode()


def _torch(request: Request) -> bytes:
    from resdsl.targets.torch_source import torch_source

    return torch_source(request.network).encode()


def _onnx(request: Request) -> bytes:
    from resdsl.targets.onnx import onnx_bytes
    from resdsl.weights import network_weights

    size = 4 * sum(tensor.size for tensor in network_tensors(request.network))
    if size > MAX_ONNX_BYTES:
        message = (
            f"the weights of {request.network.name} take {size / 2**30:,.1f} GiB, and an ONNX file holds less than 2"
        )
        raise fail("weights-too-large", message, help="`--target torch` and `--target json` write no weights")
    weights = network_weights(request.network, request.weights, request.seed)
    return onnx_bytes(request.network, weights, opset=request.opset, functions=request.functions)


def _trt(request: Request) -> bytes:
    raise fail(
        "unavailable-target",
        "the target trt is not built yet; it will come with an extra of its own, resdsl[trt]",
        help="write ONNX with `--target onnx`; TensorRT's own tools read that",
    )


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("torch", "a readable, standalone PyTorch file", ".py", True, False, _torch),
        Target("onnx", "an ONNX model with weights", ".onnx", False, True, _onnx),
        Target("json", "the canonical document of the network", ".json", True, False, _json),
        Target("trt", "a TensorRT engine (not built yet)", ".engine", False, True, _trt),
    )
}
