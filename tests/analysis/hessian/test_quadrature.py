from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from resdsl.analysis.hessian.quadrature import Quadrature, tridiagonal

Floats = NDArray[np.float64]


def _quadrature(eigenvalues: Floats, start: Floats, steps: int) -> Quadrature:
    return tridiagonal(lambda vector: eigenvalues * vector, start, steps).quadrature(steps)


def _start(size: int) -> Floats:
    start = np.random.default_rng(1).standard_normal(size)
    return start / np.linalg.norm(start)


def test_weights_of_repeated_eigenvalues_are_summed_squares_of_components() -> None:
    """Three different eigenvalues: after three steps there is nothing left, and the nodes are these."""
    start = _start(12)
    run = tridiagonal(lambda vector: np.repeat([2.0, -1.0, 0.0], 4) * vector, start, 12)
    assert len(run.diagonal) == 3
    found = run.quadrature(12)
    np.testing.assert_allclose(found.nodes, [-1, 0, 2], atol=1e-14)
    assert found.nodes[1] == 0
    assert found.settled.all()
    squares = (start**2).reshape(3, 4).sum(axis=1)
    np.testing.assert_allclose(found.weights, squares[[1, 2, 0]], rtol=1e-12)
    at = np.array([found.nodes[0], 0.0, 1.0, found.nodes[2]])
    lowest, middle, highest = found.weights
    np.testing.assert_allclose(
        found.below(at, through=False), [0, lowest, lowest + middle, lowest + middle], atol=1e-12
    )
    np.testing.assert_allclose(found.below(at, through=True), [lowest, lowest + middle, lowest + middle, 1], atol=1e-12)
    assert lowest + middle + highest == pytest.approx(1)
    np.testing.assert_allclose(found.at_least_below(at, through=True), found.below(at, through=True), atol=1e-12)
    np.testing.assert_allclose(found.at_most_below(at, through=True), found.below(at, through=True), atol=1e-12)


def test_moments_are_exact_to_twice_the_steps() -> None:
    """A Gauss quadrature of 6 nodes has the moments v^T A^j v up to j = 11, and misses the next."""
    eigenvalues, start = np.random.default_rng(0).uniform(-1, 1, 200), _start(200)
    found = _quadrature(eigenvalues, start, 6)
    powers = range(13)
    errors = [found.weights @ found.nodes**power - start**2 @ eigenvalues**power for power in powers]
    np.testing.assert_allclose(errors[:12], 0, atol=1e-14)
    assert abs(errors[12]) > 1e-6


@pytest.mark.parametrize("steps", [5, 40])
def test_bounds_enclose_what_the_vector_sees(steps: int) -> None:
    generator = np.random.default_rng(2)
    eigenvalues = np.concatenate([generator.standard_normal(400), np.zeros(50), [30.0, -20.0]])
    start = _start(len(eigenvalues))
    found = _quadrature(eigenvalues, start, steps)
    at = np.linspace(-4, 4, 101)
    seen = np.array([(start**2)[eigenvalues <= x].sum() for x in at])
    assert (found.at_least_below(at, through=True) <= seen + 1e-9).all()
    assert (found.at_most_below(at, through=True) >= seen - 1e-9).all()
    width = found.at_most_below(at, through=True) - found.at_least_below(at, through=True)
    assert width.max() < (0.3 if steps == 40 else 1.01)
    between = found.below(at, through=True)
    assert (np.diff(between) >= -1e-12).all()
    assert np.abs(between - seen).max() < width.max()


def test_shares_reach_from_0_to_1() -> None:
    found = _quadrature(np.linspace(-1, 1, 50), _start(50), 10)
    np.testing.assert_allclose(found.below(np.array([-5.0, 5.0]), through=True), [0, 1], atol=1e-12)


def test_an_outlier_comes_back_once() -> None:
    """Without reorthogonalisation its copies turn up again and again, and take weight from the others."""
    eigenvalues, start = np.concatenate([np.linspace(-1, 1, 300), [1e6, 2e6]]), _start(302)
    found = _quadrature(eigenvalues, start, 60)
    large = found.nodes > 100
    np.testing.assert_allclose(found.nodes[large], [1e6, 2e6], rtol=1e-12)
    np.testing.assert_allclose(found.weights[large], start[-2:] ** 2, rtol=1e-6)
    assert found.settled[large].all()


def test_earlier_steps_are_a_quadrature_of_their_own() -> None:
    eigenvalues, start = np.linspace(-1, 1, 90) ** 3, _start(90)
    longer = tridiagonal(lambda vector: eigenvalues * vector, start, 30).quadrature(20)
    alone = _quadrature(eigenvalues, start, 20)
    np.testing.assert_allclose(longer.nodes, alone.nodes, atol=1e-14)
    np.testing.assert_allclose(longer.weights, alone.weights, atol=1e-14)


def test_one_parameter() -> None:
    found = _quadrature(np.array([-3.0]), np.ones(1), 80)
    assert found.nodes.tolist() == [-3]
    assert found.weights.tolist() == [1]
    assert found.settled.all()
