"""Full-batch gradient descent with many learning rates at once, from one start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LOOKED_AT_EVERY = 20
"""Steps after which trainings that have diverged are left out."""
DIVERGED_ABOVE = 1e6
"""A loss. It is 5 or so at the start of a network of shortcuts, and 0.5 where all outputs are 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """Of each of r learning rates: losses (r,) and weights (r, layers, width, width), NaN where the training diverged."""

    losses: Tensor
    weights: Tensor

    @property
    def best(self) -> int | None:
        """The learning rate of the least loss, as its number; None if all have diverged."""
        known = torch.where(self.losses.isnan(), torch.inf, self.losses)
        return int(known.argmin()) if known.isfinite().any() else None


def descend(loss: Callable[[Tensor], Tensor], start: Tensor, rates: Sequence[float], epochs: int) -> Ended:
    """loss: from weights (r, layers, width, width) to (r,). start: (layers, width, width)."""
    steps = torch.tensor(rates, dtype=start.dtype)
    going = torch.arange(len(rates))
    weights = start.expand(len(rates), *start.shape).clone()
    for epoch in range(epochs):
        weights = weights - steps[going, None, None, None] * _gradient(loss, weights)
        if epoch % LOOKED_AT_EVERY == 0:
            alive = _alive(loss, weights)
            weights, going = weights[alive], going[alive]
            if not len(going):
                break
    alive = _alive(loss, weights)
    weights, going = weights[alive], going[alive]
    ended = Ended(start.new_full((len(rates),), torch.nan), start.new_full((len(rates), *start.shape), torch.nan))
    if len(going):
        ended.losses[going] = loss(weights)
        ended.weights[going] = weights
    return ended


def gradient(loss: Callable[[Tensor], Tensor], weights: Tensor) -> Tensor:
    """Of a loss at weights (layers, width, width), in their shape."""
    return _gradient(loss, weights[None])[0]


def _gradient(loss: Callable[[Tensor], Tensor], weights: Tensor) -> Tensor:
    weights = weights.detach().requires_grad_()
    return torch.autograd.grad(loss(weights).sum(), weights)[0]


def _alive(loss: Callable[[Tensor], Tensor], weights: Tensor) -> Tensor:
    with torch.no_grad():
        return loss(weights) < DIVERGED_ABOVE  # NaN is not
