"""Gradients on their way back: their sizes may leave the range of floats, so each carries its power of ten apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SMALL = 1e-10
"""Lengths with less of the energy than this are left out at either end."""
ROOM = 2**25
"""Elements that gradients of one operator take at once, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """A gradient, (samples, …). tensor: of norm 1, or zero. log10: of its norm; -inf for zero."""

    tensor: Tensor
    log10: float

    @classmethod
    def of(cls, tensor: Tensor, log10: float = 0.0) -> Wave:
        norm = math.sqrt(energy(tensor))
        if norm == 0:
            return cls(torch.zeros_like(tensor), -math.inf)
        return cls(tensor / norm, log10 + math.log10(norm))

    def plus(self, other: Wave) -> Wave:
        base = max(self.log10, other.log10)
        if base == -math.inf:
            return self
        first, second = (each.tensor * 10 ** (each.log10 - base) for each in (self, other))
        return Wave.of(first + second, base)


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """A gradient by how many branches it passed. rows: (k, samples, …), of norm 1 together, or zero, for first, first + 1, … branches.

    log10: of their norm. rest: the energy that was left out, as shares of what there was then.
    """

    rows: Tensor
    first: int = 0
    log10: float = 0.0
    rest: float = 0.0

    @classmethod
    def of(cls, rows: Tensor, first: int, log10: float, rest: float) -> Stack:
        """Without the lengths at both ends that hold next to nothing."""
        energies = torch.linalg.vector_norm(rows.flatten(1), dim=1, dtype=torch.float64).square()
        total = float(energies.sum())
        if total == 0:
            return cls(torch.zeros_like(rows[:1]), first, -math.inf, rest)
        shares = energies / total
        kept = torch.nonzero(shares > SMALL).flatten()
        low, high = int(kept[0]), int(kept[-1]) + 1
        rest += float(shares[:low].sum() + shares[high:].sum())
        return cls(rows[low:high] / math.sqrt(total), first + low, log10 + math.log10(total) / 2, rest)

    def longer(self) -> Stack:
        """The same, past one branch more."""
        return Stack(self.rows, self.first + 1, self.log10, self.rest)

    def plus(self, other: Stack) -> Stack:
        base = max(self.log10, other.log10)
        if base == -math.inf:
            return self
        present = [each for each in (self, other) if each.log10 > -math.inf]
        first = min(each.first for each in present)
        last = max(each.first + len(each.rows) for each in present)
        rows = self.rows.new_zeros((last - first, *self.rows.shape[1:]))
        for each in present:
            start = each.first - first
            rows[start : start + len(each.rows)] += each.rows * 10 ** (each.log10 - base)
        return Stack.of(rows, first, base, max(self.rest, other.rest))

    @property
    def energies(self) -> NDArray[np.float64]:
        """(first + k,), the share of each number of branches from 0 on."""
        own = torch.linalg.vector_norm(self.rows.flatten(1), dim=1, dtype=torch.float64).square()
        return np.concatenate([np.zeros(self.first), own.numpy()])


def energy(tensor: Tensor) -> float:
    """The sum of squares."""
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64)) ** 2


def back(output: Tensor, source: Tensor, rows: Tensor) -> Tensor:
    """Gradients at `output`, (k, *output), as gradients at the tensor from which it was computed, (k, *source)."""
    if output is source:
        return rows
    if not output.requires_grad:
        return rows.new_zeros((len(rows), *source.shape))
    step = max(1, ROOM // max(output.numel(), source.numel()))
    return torch.cat([_back(output, source, chunk) for chunk in rows.split(step)])


def _back(output: Tensor, source: Tensor, rows: Tensor) -> Tensor:
    batched = len(rows) > 1
    (gradient,) = torch.autograd.grad(
        output,
        source,
        rows if batched else rows[0],
        retain_graph=True,
        is_grads_batched=batched,
        materialize_grads=True,
    )
    return gradient if batched else gradient[None]
