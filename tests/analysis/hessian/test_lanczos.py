from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from resdsl.analysis.hessian import lanczos
from resdsl.analysis.hessian.lanczos import ends
from resdsl.diagnostics import SpecError

Floats = NDArray[np.float64]


def _random(size: int) -> Floats:
    matrix = np.random.default_rng(0).standard_normal((size, size))
    return matrix + matrix.T


@pytest.mark.parametrize(
    "matrix",
    [
        _random(300),
        np.diag(np.repeat([1.0, -1.0, 0.7, -0.7], 100)),  # symmetric about 0: power iteration finds no end
        np.diag(np.r_[np.zeros(300), np.linspace(0.5, 2, 100)]),  # an end that is 0
        np.diag(3 + np.linspace(0, 1, 200) ** 2),  # far from 0, crowded at the lower end
        -np.diag(np.linspace(1, 2, 200)),
        np.diag([5.0, -2.0, 1.0]),  # fewer than the vectors that are kept
    ],
)
def test_ends_are_those_of_all_eigenvalues(matrix: Floats) -> None:
    values = np.linalg.eigvalsh(matrix)
    found = ends(lambda vector: matrix @ vector, len(matrix), seed=0)
    np.testing.assert_allclose(found, (values[0], values[-1]), atol=1e-6 * np.abs(values).max())


def test_zero_is_zero_after_one_product() -> None:
    told: list[int] = []

    def zero(vector: Floats) -> Floats:
        told.append(1)
        return np.zeros_like(vector)

    assert ends(zero, 50, 0) == (0.0, 0.0)
    assert told == [1]


def test_no_convergence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanczos, "ACCURACY", 1e-300)
    monkeypatch.setattr(lanczos, "VECTORS", 4)
    matrix = np.diag(np.linspace(0, 1, 60) ** 9)
    with pytest.raises(SpecError, match="did not converge in"):
        ends(lambda vector: matrix @ vector, 60, 0)


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.sparse.linalg", None)
    with pytest.raises(SpecError, match="scipy, which is not installed"):
        ends(lambda vector: vector, 5, 0)
