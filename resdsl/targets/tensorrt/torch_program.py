"""From a network to an exported program of PyTorch, which torch-tensorrt reads."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn.modules.batchnorm import _BatchNorm

from resdsl.network.network import Network
from resdsl.passes.run import fold
from resdsl.passes.table import PASSES
from resdsl.targets.onnx_operators import extents
from resdsl.targets.onnx_tensors import Normalised, derived, require_range
from resdsl.targets.precision import Precision
from resdsl.targets.tensorrt.options import Batch
from resdsl.targets.torch_module import torch_module

INPUT = "input"
DTYPES = {Precision.FP32: torch.float32, Precision.FP16: torch.float16, Precision.BF16: torch.bfloat16}

Weights = Mapping[str, NDArray[np.floating]]


def torch_program(
    network: Network, weights: Weights, precision: Precision, batch: Batch, device: str
) -> ExportedProgram:
    """The network in evaluation mode on a device: (batch, *input) float32 -> float32, computed in `precision`, which is not int8.

    It takes each batch size from least to most. Raises SpecError where a weight leaves the range of the precision.
    """
    # What holds weights does not standardise filters at run time, and 16 bits are too few for it.
    plain, numbers, _ = fold(network, weights, [PASSES["fold-standardised"]])
    module = torch_module(plain, numbers).eval().requires_grad_(False)
    if precision is not Precision.FP32:
        _normalise(module, numbers)
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                require_range(name, tensor.numpy(), precision)
    typed = _Typed(module, DTYPES[precision]).to(device).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch 2.13 warns of what it does itself
        return torch.export.export(typed, (example(network, batch, device),), dynamic_shapes=dynamic(batch))


def example(network: Network, batch: Batch, device: str) -> Tensor:
    """An input of the best size to export a module with; of size 2 instead of 1, which PyTorch would take for the only one."""
    size = batch.best if batch.least == batch.most else max(batch.best, 2)
    return torch.zeros(size, *extents(network.input), device=device)


def dynamic(batch: Batch) -> dict[str, Any] | None:
    """Which dimension of the input has which range, as torch.export.export takes it."""
    if batch.least == batch.most:
        return None
    return {INPUT: {0: Dim("batch", min=batch.least, max=batch.most)}}


class _Typed(nn.Module):
    """A network that computes in a type of its own between an input and an output in float32."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network.to(dtype)
        self.dtype = dtype

    def forward(self, input: Tensor) -> Tensor:
        return self.network(input.to(self.dtype)).to(torch.float32)


def _normalise(module: nn.Module, weights: Weights) -> None:
    """Gives each BatchNorm mean 0 and variance 1, as `Normalised` says: no variance is rounded to 16 bits."""
    for name, part in module.named_modules():
        if isinstance(part, _BatchNorm):
            how = Normalised(part.eps)
            for own in ("weight", "bias", "running_mean", "running_var"):
                getattr(part, own).copy_(torch.from_numpy(derived(f"{name}.{own}", how, weights)))
