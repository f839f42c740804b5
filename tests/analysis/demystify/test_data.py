"""Whitened principal components."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from resdsl.analysis.demystify.data import read_data, whitening
from resdsl.diagnostics import SpecError
from resdsl.train.data.dataset import Arrays
from resdsl.train.data.open import open_data


def test_components_are_uncorrelated_and_in_order() -> None:
    draw = np.random.default_rng(0)
    scales = np.array([5.0, 3.0, 2.0, 1.0])
    rotation = np.linalg.qr(draw.standard_normal((4, 4)))[0]
    inputs = draw.standard_normal((500, 4)) * scales @ rotation + 7
    found = whitening(inputs, 3)
    white = found(inputs)
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(white.T @ white / 500, np.eye(3), atol=1e-10)
    directions = found.matrix / np.linalg.norm(found.matrix, axis=0)
    assert (np.abs(directions * rotation[:3].T).sum(0) > 0.9).all(), "the axes of the largest variances, in order"
    assert (directions[np.abs(directions).argmax(0), range(3)] > 0).all()


def test_too_few_dimensions() -> None:
    with pytest.raises(SpecError, match="vary in fewer than 3"):
        whitening(np.random.default_rng(0).standard_normal((50, 2)) @ np.ones((2, 4)), 3)


def test_digits() -> None:
    data = read_data("digits", None)
    torch.testing.assert_close(data.statistics.inputs, torch.eye(10, dtype=torch.float64), rtol=0, atol=1e-12)
    assert data.statistics.targets == pytest.approx(1.0)
    assert data.samples.inputs.shape == (10, 1797)
    assert (data.train.inputs.shape, data.test.inputs.shape) == ((10, 1442), (10, 355))
    covariance = data.train.inputs @ data.train.inputs.mT / 1442
    torch.testing.assert_close(covariance, torch.eye(10, dtype=torch.float64), rtol=0, atol=1e-10)
    of_samples, of_train = (
        float((each.targets - each.inputs).square().sum()) / (2 * each.inputs.shape[1])
        for each in (data.samples, data.train)
    )
    assert (round(of_samples, 2), round(of_train, 2)) == (5.52, 5.40), "of the identity, as docs/demystify.md has them"
    assert float(data.test.targets.sum(0).min()) == float(data.test.targets.sum(0).max()) == 1


def test_parts_have_other_signs_than_all_digits() -> None:
    """As docs/demystify.md says: the 1st, 6th and 7th component, by their correlations over all digits."""
    found = open_data("digits", None)
    assert isinstance(found, Arrays)
    train, test = (split.inputs.reshape(len(split), -1) / 255.0 for split in (found.train, found.test))
    both = np.concatenate([train, test])
    of_all = read_data("digits", None).samples.inputs.numpy()
    pixels = load_digits(return_X_y=True)[0]
    order = [np.flatnonzero((np.round(both * 16) == image).all(1))[0] for image in pixels]
    across = np.sum(whitening(train, 10)(both[order]).T * of_all, axis=1) / len(order)
    assert (np.abs(across) > 0.9).all()
    assert np.flatnonzero(across < 0).tolist() == [0, 5, 6]
