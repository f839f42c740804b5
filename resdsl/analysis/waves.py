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
FAR = 3
"""Powers of ten by which a stack's norm may leave 1."""
SMALLEST = 1e-300


class NotFiniteError(ArithmeticError):
    """A gradient that holds NaN or infinity. Who knows where it stands says so."""


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """A gradient, (samples, …), finite. tensor: of norm 1, or zero. log10: of its norm; -inf for zero."""

    tensor: Tensor
    log10: float

    @classmethod
    def of(cls, tensor: Tensor, log10: float = 0.0) -> Wave:
        norm = math.sqrt(energy(tensor))
        if not math.isfinite(norm):
            raise NotFiniteError
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
    """A gradient by how many branches it passed. rows: (k, samples, …), for first, first + 1, … branches.

    log10: a power of ten that the rows are to be multiplied by. rest: the energy that was left out, as shares of what there was then.
    """

    rows: Tensor
    first: int = 0
    log10: float = 0.0
    rest: float = 0.0

    @classmethod
    def of(cls, rows: Tensor, first: int, log10: float, rest: float) -> Stack:
        """Without the lengths at both ends that hold next to nothing, and of a norm that is near 1."""
        energies = _energies(rows)
        total = float(energies.sum())
        if not math.isfinite(total):
            raise NotFiniteError
        if total == 0:
            return cls(rows[:1], first, -math.inf, rest)
        shares = energies / total
        kept = np.flatnonzero(shares > SMALL)
        low, high = int(kept[0]), int(kept[-1]) + 1
        rest += float(shares[:low].sum() + shares[high:].sum())
        rows = rows[low:high]
        power = math.log10(total) / 2
        if abs(power) > FAR:
            rows, log10 = rows * 10**-power, log10 + power
        return cls(rows, first + low, log10, rest)

    def longer(self) -> Stack:
        """The same, past one branch more."""
        return Stack(self.rows, self.first + 1, self.log10, self.rest)

    def plus(self, other: Stack) -> Stack:
        if self.log10 == -math.inf or other.log10 == -math.inf:
            left = other if self.log10 == -math.inf else self
            return Stack.of(left.rows, left.first, left.log10, left.rest)
        base, rest = max(self.log10, other.log10), max(self.rest, other.rest)
        first = min(self.first, other.first)
        last = max(self.first + len(self.rows), other.first + len(other.rows))
        rows = self.rows.new_zeros((last - first, *self.rows.shape[1:]))
        for each in (self, other):
            rows[each.first - first :][: len(each.rows)].add_(each.rows, alpha=10 ** (each.log10 - base))
        return Stack.of(rows, first, base, rest)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(first + k,), of the energy, for 0 branches and more; all 0 of no energy."""
        energies = _energies(self.rows)
        return np.concatenate([np.zeros(self.first), energies / max(float(energies.sum()), SMALLEST)])


def _energies(rows: Tensor) -> NDArray[np.float64]:
    return np.array([energy(row) for row in rows])


def energy(tensor: Tensor) -> float:
    """The sum of squares."""
    norm = float(torch.linalg.vector_norm(tensor, dtype=torch.float64))
    return norm * norm  # infinite where `**` would raise


def back(output: Tensor, source: Tensor, rows: Tensor) -> Tensor:
    """Gradients at `output`, (k, *output), as gradients at the tensor from which it was computed, (k, *source)."""
    if output is source:
        return rows
    result = rows.new_zeros((len(rows), *source.shape))
    if output.requires_grad:
        for row, found in zip(rows, result, strict=True):
            (gradient,) = torch.autograd.grad(output, source, row, retain_graph=True, materialize_grads=True)
            found.copy_(gradient)
    return result
