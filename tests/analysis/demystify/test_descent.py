"""Gradient descent with many learning rates at once is that with each of them."""

from __future__ import annotations

import numpy as np
import torch

from resdsl.analysis.demystify.descent import LOOKED_AT_EVERY, descend, gradient

TARGET = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
START = torch.zeros(1, 2, 2, dtype=torch.float64)


def bowl(weights: torch.Tensor) -> torch.Tensor:
    """Curvature 2 everywhere: the distance to the target shrinks by 1 - 2 rate at each step, and grows from a rate of 1 on."""
    return (weights - TARGET).square().sum((-1, -2, -3))


def test_as_the_closed_form_says() -> None:
    rates = (0.01, 0.1, 0.5)
    ended = descend(bowl, START, rates, 7)
    for number, rate in enumerate(rates):
        expected = TARGET * (1 - (1 - 2 * rate) ** 7)
        np.testing.assert_allclose(ended.weights[number, 0], expected, rtol=1e-12)
        np.testing.assert_allclose(ended.losses[number], 30 * (1 - 2 * rate) ** 14, rtol=1e-9, atol=1e-25)
    assert ended.best == 2


def test_what_diverges_is_nan_and_leaves_the_others_alone() -> None:
    epochs = 4 * LOOKED_AT_EVERY
    ended = descend(bowl, START, (0.1, 3.0, 0.2), epochs)
    assert ended.losses.isnan().tolist() == [False, True, False]
    assert ended.weights.isnan().flatten(1).all(1).tolist() == [False, True, False]
    alone = descend(bowl, START, (0.2,), epochs)
    assert torch.equal(ended.weights[2], alone.weights[0])
    assert ended.best == 2
    assert descend(bowl, START, (3.0, 4.0), epochs).best is None


def test_gradient_against_differences() -> None:
    at, step = torch.full((1, 2, 2), 0.7, dtype=torch.float64), 1e-6
    moved = torch.zeros(1, 2, 2, dtype=torch.float64)
    moved[0, 1, 0] = step
    expected = (bowl((at + moved)[None]) - bowl((at - moved)[None])) / (2 * step)
    np.testing.assert_allclose(gradient(bowl, at)[0, 1, 0], expected[0], rtol=1e-6)
