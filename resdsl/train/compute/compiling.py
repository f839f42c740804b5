"""What torch.compile is given: each unit, so that the cost follows distinct units and not depth, or the network at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from resdsl.train.compute.execution import Compile, Execution


def compile_parts(module: nn.Module, units: Sequence[nn.Module], execution: Execution) -> None:
    """Compiled when they are first called. Units of one class and with the same shapes share what is compiled: parameters are
    its inputs, not constants. A number that differs from copy to copy is a constant, and asks for a form of its own; drop_path's
    becomes an input.

    A unit is one graph or an error: nothing falls back to eager mode in silence. `in_force` allows as many forms as there are.
    """
    match execution.compile:
        case Compile.NONE:
            return
        case Compile.UNITS:
            for unit in units:
                _read_probabilities(unit)
            parts = units
        case Compile.WHOLE:
            parts = [module]
    for part in parts:
        part.forward = torch.compile(
            part.forward,
            backend=execution.backend,
            dynamic=False,
            fullgraph=not execution.sync_norm,  # synchronising norms talk to other processes between graphs
        )


class SharedDropPath(nn.Module):
    """The generated source's DropPath with its probability, above 0, as a tensor on the device; the same numbers are drawn."""

    def __init__(self, p: float, per_sample: bool, rescale: bool) -> None:
        super().__init__()
        self.per_sample, self.rescale = per_sample, rescale
        # Without axes, it changes no type.
        self.register_buffer("p", torch.tensor(p, dtype=torch.float64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x if self.rescale else (1 - self.p) * x
        draws = x.shape[0] if self.per_sample else 1
        kept = (torch.rand(draws, *(1,) * (x.dim() - 1), device=x.device) >= self.p).to(x.dtype) * x
        return kept / (1 - self.p) if self.rescale else kept


def _read_probabilities(unit: nn.Module) -> None:
    device = next((parameter.device for parameter in unit.parameters()), None)
    for parent in list(unit.modules()):
        for name, part in list(parent.named_children()):
            if type(part).__name__ == "DropPath" and part.p > 0:  # a reserved name in generated source
                setattr(parent, name, SharedDropPath(part.p, part.per_sample, part.rescale).to(device))
