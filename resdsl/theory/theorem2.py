"""Theorem 2 of Li et al. 2016: gradient and Hessian of n-shortcut networks where all weights are zero, in closed form.

The loss is 1/(2m) ||Y - f(X)||_F^2 of m samples, one a row. With p = pre(x) and S^{ab} the mean over the samples of a b^T,
M = S^{xp} - S^{yp}, and c = post'(0) mid'(0)^(n-1). Parameters are in the order of the network's module: unit by unit, matrix
by matrix, each row by row. All of it holds where mid and post are 0 at 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdsl.theory.n_shortcut import NShortcut

Floats = NDArray[np.float64]

LARGEST_DENSE = 5_000
"""Parameters up to which eigenvalues for n = 1, which need the whole matrix, are computed."""


@dataclass(frozen=True, slots=True, eq=False)
class AtZero:
    """What is known of a network at zero weights.

    moment: M, (width, width). singular_values: its, (width,), from the largest on; those that are rounding are 0. slope: c. loss: there.
    gradient_norm: 0 for n > 1. eigenvalues: of the Hessian, (parameters,), in ascending order; None for n = 1 beyond LARGEST_DENSE.
    """

    kind: NShortcut
    moment: Floats
    singular_values: Floats
    slope: float
    loss: float
    gradient_norm: float
    eigenvalues: Floats | None

    @property
    def rank(self) -> int:
        """Of M; the Hessian for n = 2 is regular if it is `width`, and c is not 0."""
        return int(np.count_nonzero(self.singular_values))

    @property
    def orders(self) -> tuple[int, int, int]:
        """Exponents of eps with which the change of the loss, gradient and Hessian scale for weights of size eps."""
        return self.kind.n, self.kind.n - 1, max(self.kind.n - 2, 0)


def applies(kind: NShortcut) -> bool:
    """Whether mid and post are 0 at 0, so that zero weights leave the input as it is. Of sigmoid they are not."""
    return kind.mid.at_zero == 0 == kind.post.at_zero


def at_zero(kind: NShortcut, inputs: Floats, targets: Floats) -> AtZero:
    """Of the network on inputs (m, width) and targets (m, width)."""
    assert applies(kind), "mid and post must be 0 at 0"
    pre = kind.pre(inputs)
    samples = len(inputs)
    moment = moment_of(kind, inputs, targets)
    singular_values = np.linalg.svd(moment, compute_uv=False)
    rounding = (
        kind.width * float(np.finfo(np.float64).eps) * np.linalg.norm(inputs - targets) * np.linalg.norm(pre) / samples
    )
    singular_values = np.where(singular_values <= rounding, 0.0, singular_values)
    slope = kind.post.slope_at_zero * kind.mid.slope_at_zero ** (kind.n - 1)
    return AtZero(
        kind,
        moment,
        singular_values,
        slope,
        loss=float(((inputs - targets) ** 2).sum() / (2 * samples)),
        gradient_norm=float(np.linalg.norm(gradient_at_zero(kind, inputs, targets))),
        eigenvalues=_eigenvalues(kind, slope * singular_values, inputs, targets),
    )


def moment_of(kind: NShortcut, inputs: Floats, targets: Floats) -> Floats:
    """M, (width, width). One difference instead of two moments, so that it is exactly 0 where targets are inputs."""
    return (inputs - targets).T @ kind.pre(inputs) / len(inputs)


def gradient_at_zero(kind: NShortcut, inputs: Floats, targets: Floats) -> Floats:
    """(parameters,): c M for each unit if n = 1, else 0."""
    assert applies(kind), "mid and post must be 0 at 0"
    if kind.n > 1:
        return np.zeros(kind.parameters)
    return np.tile(kind.post.slope_at_zero * moment_of(kind, inputs, targets).ravel(), kind.units)


def hessian_at_zero(kind: NShortcut, inputs: Floats, targets: Floats) -> Floats:
    """(parameters, parameters). Memory is the caller's concern.

    n >= 3: zero. n = 2: within a unit, W1 against W2, A of A_{(ij),(kl)} = c d_jk M_il for the entry ij of W2 and kl of W1; units
    do not know of each other. n = 1: the same block for each unit, and the same for each pair of them: block Toeplitz.
    """
    assert applies(kind), "mid and post must be 0 at 0"
    size = kind.width**2
    if kind.n > 2:
        return np.zeros((kind.parameters, kind.parameters))
    if kind.n == 1:
        own, later = _single_layer_blocks(kind, inputs, targets)
        result = _kron(np.tri(kind.units, k=-1), later)
        return result + result.T + _kron(np.eye(kind.units), own)
    slope = kind.post.slope_at_zero * kind.mid.slope_at_zero
    mixed = slope * np.einsum("jk,il->ijkl", np.eye(kind.width), moment_of(kind, inputs, targets)).reshape(size, size)
    unit = np.block([[np.zeros((size, size)), mixed.T], [mixed, np.zeros((size, size))]])
    return _kron(np.eye(kind.units), unit)


def _single_layer_blocks(kind: NShortcut, inputs: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """n = 1: the block of a unit with itself, and of a later unit (rows) with an earlier one (columns).

    Linear: V -> V S^{xx}, and V -> V S^{xx} + M V^T. With activations both need moments of three factors, so M does not suffice:
    with r = x - y, a = post'(0), b = post''(0), the row i of a unit has a^2 S^{pp} + b E[r_i p p^T], and the later block is
    a^2 (V S^{pp} + sum_jl E[r_i pre'(x_j) p_l] V_jl).
    """
    width, samples = kind.width, len(inputs)
    rest, pre = inputs - targets, kind.pre(inputs)
    slope, bend = kind.post.slope_at_zero, kind.post.bend_at_zero
    second = pre.T @ pre / samples
    gauss_newton = slope**2 * _kron(np.eye(width), second)
    own = gauss_newton.copy().reshape(width, width, width, width)
    if bend:
        for row in range(width):
            own[row, :, row, :] += bend * (rest[:, row, None] * pre).T @ pre / samples
    passed = np.einsum("mi,mj,ml->ijl", rest, kind.pre.slope(inputs), pre, optimize=True) / samples
    later = slope**2 * np.einsum("ijl,jk->ijkl", passed, np.eye(width)).reshape(width**2, width**2)
    return own.reshape(width**2, width**2), gauss_newton + later


def _kron(outer: Floats, inner: Floats) -> Floats:
    return np.kron(outer, inner).astype(np.float64, copy=False)


def _eigenvalues(kind: NShortcut, scaled: Floats, inputs: Floats, targets: Floats) -> Floats | None:
    """Ascending. scaled: c times the singular values of M."""
    if kind.n > 2:
        return np.zeros(kind.parameters)
    if kind.n == 2:
        return np.sort(np.repeat(np.concatenate([scaled, -scaled]), kind.units * kind.width))
    if kind.parameters > LARGEST_DENSE:
        return None
    return np.linalg.eigvalsh(hessian_at_zero(kind, inputs, targets)).astype(np.float64, copy=False)
