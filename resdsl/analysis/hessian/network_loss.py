"""A network's squared loss as a function of all its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad, replace_all_batch_norm_modules_

from resdsl.analysis.hessian.exact import ROWS
from resdsl.analysis.hessian.regression import Regression
from resdsl.diagnostics import fail
from resdsl.network import operators as op
from resdsl.network.network import Network, distinct_units, inner_chains, unit_chains
from resdsl.network.types import PerCopy
from resdsl.targets.torch_module import torch_module
from resdsl.theory.n_shortcut import NShortcut
from resdsl.train.compute.norms import least_positions

MEMORY = 2**30
"""Bytes that rows of a Hessian may take at once, about."""
KEPT = 4
"""A row takes so many times what the forward pass of the loss keeps, at most: 1.6 to 2.5 were measured."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkLoss:
    """1/(2m) ||Y - f(X)||_F^2 in float64, of parameters (p,) in the order of the network's module; `start` are those given."""

    module: nn.Module
    shapes: Mapping[str, torch.Size]
    start: Tensor
    inputs: Tensor
    targets: Tensor
    samples: int

    def __call__(self, theta: Tensor) -> Tensor:
        parts = theta.split([shape.numel() for shape in self.shapes.values()])
        named = {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}
        rest = self.targets - functional_call(self.module, named, (self.inputs,))
        return rest.square().sum() / (2 * self.samples)

    def gradient(self) -> Tensor:
        """(p,), at the start."""
        return grad(self)(self.start)

    def rows(self) -> int:
        """How many rows of the Hessian fit into MEMORY at once, one at least."""
        kept = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal kept
            kept += tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            self(self.start.clone().requires_grad_())
        return max(1, min(ROWS, MEMORY // (KEPT * max(kept, 1))))


def network_loss(
    network: Network, weights: Mapping[str, NDArray[np.float32]], data: Regression, kind: NShortcut | None
) -> NetworkLoss:
    """The loss in training. BatchNorm normalises with the statistics of all samples at once, and these are differentiated, too.

    kind: what the network is as an n-shortcut network. Raises SpecError for networks without parameters, those with
    dropout or stochastic depth, whose loss is random, and too few samples for a batch norm.
    """
    _refuse_random(network)
    least = least_positions(network)
    if least is not None and least * len(data.inputs) < 2:
        message = f"a batch norm of {network.name} sees one value of a channel, which has no variance"
        raise fail("wrong-input", message, help="give two samples or more")
    module = replace_all_batch_norm_modules_(torch_module(network, weights).double())
    shapes = {name: value.shape for name, value in module.named_parameters()}
    if not shapes:
        raise fail("no-parameters", f"{network.name} has no parameters, and its loss no curvature")
    start = torch.cat([value.detach().reshape(-1) for value in module.parameters()])
    inputs, targets = data.inputs, data.targets
    if kind is not None and kind.linear and len(inputs) > 2 * kind.width:
        inputs, targets = _as_few(inputs, targets)
    return NetworkLoss(module, shapes, start, torch.from_numpy(inputs), torch.from_numpy(targets), len(data.inputs))


def _as_few(
    inputs: NDArray[np.float64], targets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """2 width samples with which every linear map has the same ||Y - X W||_F: R of [X, Y - X] = Q R. Where targets are inputs, they stay so."""
    joined = np.linalg.qr(np.concatenate([inputs, targets - inputs], axis=1), mode="r")
    width = inputs.shape[1]
    return joined[:, :width].copy(), joined[:, :width] + joined[:, width:]


def _refuse_random(network: Network) -> None:
    for operator in _operators(network):
        match operator:
            case op.Dropout(p=p) | op.DropPath(p=p) if _positive(p):
                name = op.OPERATOR_NAMES[type(operator)]
                message = f"{network.name} has {name}, so its loss in training is random and has no one Hessian"
                raise fail("random-loss", message, help=f"set the probability of {name} to 0")
            case _:
                pass


def _positive(p: PerCopy) -> bool:
    return any(value > 0 for value in p) if isinstance(p, tuple) else p > 0


def _operators(network: Network) -> Iterator[op.Operator]:
    chains = [chain for _, chain in network.sections()]
    chains += [chain for unit in distinct_units(network) for chain in unit_chains(unit)]
    while chains:
        for element in chains.pop():
            if not isinstance(element, op.Units):
                yield element
                chains += inner_chains(element)


def has(network: Network, kind: type[op.Operator]) -> bool:
    return any(isinstance(operator, kind) for operator in _operators(network))
