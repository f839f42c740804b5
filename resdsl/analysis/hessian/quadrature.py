"""How the eigenvalues of a large matrix are spread, seen from random vectors: stochastic Lanczos quadrature.

Source: Lin, Saad and Yang 2016, Approximating spectral densities of large matrices; Ubaru, Chen and Saad 2017, Fast estimation of
tr(f(A)) via stochastic Lanczos quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdsl.analysis.hessian.lanczos import Product

Floats = NDArray[np.float64]

PROBES = 10
STEPS = 80
"""Of Lanczos' method from each probe: products with the matrix, and vectors of its size kept at once."""
LARGEST = 2**33 // (8 * STEPS)
"""Parameters, 13 million: as many as such vectors of float64 fit into 8 GiB."""
ENDED = 1e-10
"""A next vector that is shorter, relative to the matrix, is rounding: the eigenvalues that the probe meets are all found."""
SETTLED = 1e-8
"""Relative to the largest node: residuals up to there make a node an eigenvalue, and nodes up to there cannot be told from 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Quadrature:
    """Eigenvalues as one vector v of length 1 sees them: each with the square of v's component along its eigenvectors.

    nodes: (k,), ascending. weights: (k,), of sum 1; for a random v about the share of the eigenvalues that a node stands for.
    settled: (k,), which nodes are eigenvalues themselves; the others stand for what lies around them.
    """

    nodes: Floats
    weights: Floats
    settled: NDArray[np.bool_]

    def below(self, x: Floats, *, through: bool) -> Floats:
        """The share of the eigenvalues below each x, and at it if `through`. Between nodes that are not settled it grows linearly."""
        before, after = self._sums()
        half = (before + after) / 2
        places = np.repeat(self.nodes, 2)
        shares = np.column_stack((np.where(self.settled, before, half), np.where(self.settled, after, half))).ravel()
        right = np.searchsorted(places, x, "right" if through else "left")
        inside = (right > 0) & (right < len(places))
        left, right = np.clip(right - 1, 0, None), np.clip(right, None, len(places) - 1)
        width = places[right] - places[left]
        part = np.where(width > 0, (x - places[left]) / np.where(width > 0, width, 1), 0)
        share = shares[left] + (shares[right] - shares[left]) * part
        return np.where(inside, share, np.where(x < self.nodes[0], 0.0, np.where(x > self.nodes[-1], 1.0, share)))

    def at_least_below(self, x: Floats, *, through: bool) -> Floats:
        """No more than the share that v has below x: the inequalities of Chebyshev, Markov and Stieltjes, sharp for settled nodes."""
        before, after = self._sums()
        bounds = np.maximum.accumulate(np.concatenate([[0.0], np.where(self.settled, after, before)]))
        return bounds[np.searchsorted(self.nodes, x, "right" if through else "left")]

    def at_most_below(self, x: Floats, *, through: bool) -> Floats:
        """No less than that share, by the same inequalities."""
        before, after = self._sums()
        bounds = np.concatenate([np.where(self.settled, before, after), [1.0]])
        return np.minimum.accumulate(bounds[::-1])[::-1][np.searchsorted(self.nodes, x, "right" if through else "left")]

    def _sums(self) -> tuple[Floats, Floats]:
        after = np.cumsum(self.weights)
        return after - self.weights, after


@dataclass(frozen=True, slots=True, eq=False)
class Tridiagonal:
    """What k steps from one vector make of a matrix: diagonal (k,), beside (k,), whose last one leads to step k + 1."""

    diagonal: Floats
    beside: Floats

    def quadrature(self, steps: int) -> Quadrature:
        """After the first `steps` steps, or all where there are fewer."""
        steps = min(steps, len(self.diagonal))
        beside = self.beside[: steps - 1]
        nodes, vectors = np.linalg.eigh(np.diag(self.diagonal[:steps]) + np.diag(beside, 1) + np.diag(beside, -1))
        largest = np.abs(nodes).max()
        settled = self.beside[steps - 1] * np.abs(vectors[-1]) <= SETTLED * largest
        zero = settled & (np.abs(nodes) <= SETTLED * largest)
        return Quadrature(np.where(zero, 0.0, nodes), vectors[0] ** 2, settled)


def tridiagonal(product: Product, start: Floats, steps: int = STEPS) -> Tridiagonal:
    """Of a symmetric matrix by v -> A v, from `start` (p,). Each vector is made orthogonal to all before it, twice, because
    without it eigenvalues at the ends come back as copies and the weights are wrong.
    """
    steps = min(steps, len(start))
    basis = np.empty((steps, len(start)))
    basis[0] = start / np.linalg.norm(start)
    diagonal, beside = np.zeros(steps), np.zeros(steps)
    for step in range(steps):
        known = basis[: step + 1]
        image = product(basis[step])
        diagonal[step] = basis[step] @ image
        for _ in range(2):
            image = image - (known @ image) @ known
        beside[step] = np.linalg.norm(image)
        if beside[step] <= ENDED * max(np.abs(diagonal).max(), beside.max()):
            return Tridiagonal(diagonal[: step + 1], beside[: step + 1])
        if step + 1 < steps:
            basis[step + 1] = image / beside[step]
    return Tridiagonal(diagonal, beside)


def probed(product: Product, size: int, seed: int, probes: int = PROBES, steps: int = STEPS) -> list[Tridiagonal]:
    """A symmetric matrix (size, size) from that many random vectors, uniform over all directions."""
    random = np.random.default_rng(seed)
    return [tridiagonal(product, random.standard_normal(size), steps) for _ in range(probes)]
