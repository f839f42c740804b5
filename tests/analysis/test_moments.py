"""Moments, factors and cosines against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from resdsl.analysis.moments import mean_cosine, mean_factor, moments


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    channels = (1, shape[1], *(1,) * (len(shape) - 2))
    return draw.standard_normal(shape) * draw.uniform(0.1, 3, channels) + draw.standard_normal(channels)


@pytest.mark.parametrize("shape", [(5, 4, 3, 7), (9, 6), (1, 3, 4, 4)])
def test_moments_are_over_samples_and_positions_of_each_channel(shape: tuple[int, ...]) -> None:
    x = drawn(*shape)
    by_channel = np.moveaxis(x, 1, 0).reshape(shape[1], -1)
    found = moments(torch.from_numpy(x))
    assert found.mean_square == pytest.approx(np.mean(by_channel.mean(axis=1) ** 2), rel=1e-13)
    assert found.variance == pytest.approx(np.mean(by_channel.var(axis=1)), rel=1e-13)
    assert found.second == pytest.approx(np.mean(x**2), rel=1e-13)


def test_moments_of_float32_are_summed_in_float64() -> None:
    """A small variance on a large mean: float32 sums would lose it."""
    x = (1000 + drawn(64, 2, 8, 8)).astype(np.float32)
    exact = np.mean(x.astype(np.float64).var(axis=(0, 2, 3)))
    assert moments(torch.from_numpy(x)).variance == pytest.approx(exact, rel=1e-9)


def test_moments_of_what_is_not_finite_are_not() -> None:
    assert not math.isfinite(moments(torch.tensor([[1.0, math.inf]])).second)
    assert math.isnan(moments(torch.tensor([[1.0, math.nan]])).second)


def test_mean_factor_is_the_slope_of_a_regression_through_zero() -> None:
    x, y = drawn(4, 3, 5, 5), drawn(4, 3, 5, 5, seed=1)
    slope = np.linalg.lstsq(x.reshape(-1, 1), y.reshape(-1), rcond=None)[0][0]
    assert mean_factor(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(slope, rel=1e-12)
    assert mean_factor(torch.from_numpy(x), torch.from_numpy(-0.3 * x)) == pytest.approx(-0.3, rel=1e-14)


def test_mean_factor_of_another_shape_or_of_zeros_is_not_known() -> None:
    assert math.isnan(mean_factor(torch.ones(1, 2), torch.ones(1, 3)))
    assert math.isnan(mean_factor(torch.zeros(1, 2), torch.ones(1, 2)))


@pytest.mark.parametrize("shape", [(2, 5), (6, 3, 4, 4)])
def test_mean_cosine_is_that_of_all_pairs(shape: tuple[int, ...]) -> None:
    rows = drawn(*shape)
    flat = rows.reshape(len(rows), -1)
    pairs = [
        flat[i] @ flat[j] / np.linalg.norm(flat[i]) / np.linalg.norm(flat[j])
        for i in range(len(flat))
        for j in range(i)
    ]
    assert mean_cosine(torch.from_numpy(rows)) == pytest.approx(np.mean(pairs), rel=1e-12)


def test_mean_cosine_leaves_out_samples_without_a_gradient() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    assert mean_cosine(rows) == pytest.approx(math.sqrt(0.5))
    assert math.isnan(mean_cosine(rows[:2]))
    assert math.isnan(mean_cosine(rows[:1]))
