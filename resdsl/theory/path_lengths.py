"""How many branches a gradient passes if units are independent: the Poisson-binomial distribution, unnormalised."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Energies:
    """Of a gradient that passed 0, 1, … branches. shares: (k,), they add up to 1, or are all 0. log10: of their sum before that."""

    shares: NDArray[np.float64]
    log10: float

    @classmethod
    def of(cls, energies: NDArray[np.float64], log10: float = 0.0) -> Energies:
        total = float(energies.sum())
        if total == 0:
            return cls(np.zeros(1), -math.inf)
        return cls(energies / total, log10 + math.log10(total))

    def times(self, factor: float) -> Energies:
        return Energies.of(self.shares * factor, self.log10)

    def longer(self) -> Energies:
        """The same, past one branch more."""
        return Energies(np.concatenate([[0.0], self.shares]), self.log10)

    def plus(self, other: Energies) -> Energies:
        base = max(self.log10, other.log10)
        if base == -math.inf:
            return self
        result = np.zeros(max(len(self.shares), len(other.shares)))
        for each in (self, other):
            result[: len(each.shares)] += each.shares * 10 ** (each.log10 - base)
        return Energies.of(result, base)


START = Energies(np.ones(1), 0.0)
"""At the end of the last unit."""
