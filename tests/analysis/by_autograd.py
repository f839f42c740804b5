"""Gradients at the inputs of units by PyTorch alone: the whole module, forward hooks and autograd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from resdsl.analysis import waves
from resdsl.analysis.batch_statistics import fix_statistics, recorded_statistics
from resdsl.analysis.parts import Part, parts_of
from resdsl.analysis.propagation import Walk, Waves
from resdsl.analysis.waves import Stack, Wave
from resdsl.network.initial import initial_weights
from resdsl.network.network import Network
from resdsl.targets.torch_module import torch_module
from resdsl.theory.direct_term import DirectTerm
from resdsl.theory.path_lengths import START


def fixed(network: Network, x: Tensor, *, seed: int = 0) -> tuple[nn.Module, tuple[Part, ...]]:
    """A module in the precision of x, BatchNorm fixed to the statistics of x, and its parts."""
    module = torch_module(network, initial_weights(network, seed)).to(x.dtype).requires_grad_(False)
    fix_statistics(module)
    with torch.no_grad(), recorded_statistics(module):
        module(x)
    return module, parts_of(network, module)


@dataclass(frozen=True)
class Seen:
    """inputs: of units, in their order. end: what the last of them gave. output: of the module."""

    inputs: list[Tensor]
    end: Tensor
    output: Tensor

    def gradients(self, direction: Tensor) -> list[Tensor]:
        """Of the output's projection, at the units' inputs and then at the end of the last."""
        return list(torch.autograd.grad(self.output, [*self.inputs, self.end], direction, materialize_grads=True))


def seen(module: nn.Module, x: Tensor, units: Sequence[str], detached: Sequence[str] = ()) -> Seen:
    """detached: modules through whose outputs no gradient flows."""
    inputs: list[Tensor] = []
    ends: list[Tensor] = []

    def enter(_: nn.Module, read: tuple[Tensor]) -> tuple[Tensor]:
        inputs.append(read[0].view_as(read[0]))  # of its own, for an input may be the previous unit's shortcut as well
        return (inputs[-1],)

    def leave(_: nn.Module, __: tuple[Tensor], left: Tensor) -> Tensor:
        ends.append(left.view_as(left))
        return ends[-1]

    def stop(_: nn.Module, __: tuple[Tensor], left: Tensor) -> Tensor:
        return left.detach()

    handles = [module.get_submodule(name).register_forward_pre_hook(enter) for name in units]
    handles.append(module.get_submodule(units[-1]).register_forward_hook(leave))
    handles += [module.get_submodule(name).register_forward_hook(stop) for name in detached]
    try:
        output = module(x.clone().requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
    return Seen(inputs, ends[0], output)


def walked_back(parts: Sequence[Part], x: Tensor, sent: Tensor) -> tuple[Tensor, Waves]:
    """What the measurement's own walk makes of x, and what it brings back of `sent`, a gradient at the end, to x.

    No path length is left out of it, however little it holds.
    """
    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        patch.setattr(waves, "SMALL", 0.0)
        walk = Walk(parts, 0, None)
        with torch.no_grad():
            result = walk.forward(parts, x)
        start = Wave.of(sent)
        # rows of norm 1, as in measure()
        back = Waves(start, start, Stack(start.tensor[None], 0, start.log10), START, DirectTerm())
        return result, walk.backward(parts, back)


def full(wave: Wave) -> Tensor:
    """The gradient itself."""
    return wave.tensor * 10**wave.log10


def by_length(stack: Stack, count: int) -> Tensor:
    """(count, samples, …), the gradient that passed 0, 1, … branches."""
    rows = stack.rows.new_zeros((count, *stack.rows.shape[1:]))
    rows[stack.first : stack.first + len(stack.rows)] = stack.rows * 10**stack.log10
    return rows
