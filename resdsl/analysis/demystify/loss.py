"""The squared loss 1/(2m) ||Y - f(X)||^2 of Li et al. 2016, of linear networks without looking at the samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from resdsl.analysis.demystify.nets import Net, Relu, outputs


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Columns, float64: inputs (width, m), whitened; targets (width, m), one-hot."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """All that the loss of a linear network depends on: inputs (width, width) S^XX, cross (width, width) S^YX, and the trace of S^YY."""

    inputs: Tensor
    cross: Tensor
    targets: float

    @property
    def least(self) -> float:
        """The least loss of any linear network, that of least squares."""
        best = torch.linalg.solve(self.inputs, self.cross.mT)
        return (self.targets - float((self.cross.mT * best).sum())) / 2


def statistics(samples: Samples) -> Statistics:
    m = samples.inputs.shape[1]
    x, y = samples.inputs, samples.targets
    return Statistics(x @ x.mT / m, y @ x.mT / m, float((y * y).sum()) / m)


def sample_loss(net: Net, relu: Relu, weights: Tensor, samples: Samples) -> Tensor:
    """(…) for weights (…, layers, width, width)."""
    wrong = outputs(net, relu, weights, samples.inputs) - samples.targets
    return wrong.square().sum((-1, -2)) / (2 * samples.inputs.shape[1])


def linear_loss(net: Net, weights: Tensor, of: Statistics) -> Tensor:
    """The same of a network without ReLU, `tr(W S^XX W^T)/2 - tr(W S^YX^T) + tr(S^YY)/2` with W the product of its layers."""
    width = weights.shape[-1]
    map = outputs(net, Relu.NONE, weights, torch.eye(width, dtype=weights.dtype))
    return ((map @ of.inputs) * map).sum((-1, -2)) / 2 - (map * of.cross).sum((-1, -2)) + of.targets / 2
