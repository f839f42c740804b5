"""Running an ONNX model, for verification."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from resdsl.network.network import Network
from resdsl.targets.onnx import onnx_bytes


def run_onnx(
    network: Network, weights: Mapping[str, NDArray[np.float32]], x: NDArray[np.float32], *, functions: bool = False
) -> NDArray[np.float32]:
    """The output of the network's ONNX model in ONNX Runtime on the CPU."""
    data = onnx_bytes(network, weights, functions=functions)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(["output"], {"input": x})[0]
