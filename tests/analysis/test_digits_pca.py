from __future__ import annotations

import builtins
import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from resdsl.analysis.digits_pca import SIGNS, digits_images, digits_pca
from resdsl.diagnostics import SpecError


def test_components_are_white_and_scikit_learns_but_for_the_signs() -> None:
    inputs, targets = digits_pca()
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(inputs.T @ inputs / 1797, np.eye(10), atol=1e-12)
    pixels, labels = load_digits(return_X_y=True)
    theirs = PCA(10, whiten=True).fit_transform(pixels) * np.sqrt(1797 / 1796)
    np.testing.assert_allclose(np.abs(inputs), np.abs(theirs), atol=1e-9)
    assert targets.shape == (1797, 10)
    assert (targets.argmax(axis=1) == labels).all()
    assert (targets.sum(axis=1) == 1).all()


def test_signs_are_those_of_the_largest_loadings() -> None:
    """A loading is the covariance of a pixel with the component; that of the largest size stands out, so that no machine takes another."""
    pixels, _ = load_digits(return_X_y=True)
    inputs, _ = digits_pca(12)
    loadings = (pixels - pixels.mean(axis=0)).T @ inputs
    for column, sign in zip(loadings.T, (*SIGNS, 1, 1), strict=True):
        second, first = np.sort(np.abs(column))[-2:]
        assert first > 1.0001 * second
        assert np.sign(column[np.abs(column).argmax()]) == sign


def _conditions(
    inputs: NDArray[np.float64], targets: NDArray[np.float64], signs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of M = 1 - S^{YX} for each choice of signs (k, 10): largest over smallest singular value and over the 10th percentile, (2, k).

    As often as among the 1,600 eigenvalues of eight units, each 160 times.
    """
    moments = np.eye(10) - (targets.T @ inputs / len(inputs)) * signs[:, None, :]
    values = np.linalg.svd(moments, compute_uv=False)
    tenth = np.percentile(np.repeat(values, 160, axis=1), 10, axis=1)
    return np.array([values[:, 0] / values[:, -1], values[:, 0] / tenth])


def test_curvature_at_zero_depends_on_the_signs() -> None:
    """What the documentation says of all 1,024 choices, of ours, and of scikit-learn's."""
    inputs, targets = digits_pca()
    choices = np.array(list(itertools.product((1.0, -1.0), repeat=10)))
    found = _conditions(inputs, targets, choices)
    np.testing.assert_allclose(found.min(axis=1), [1.437, 1.368], atol=5e-4)
    np.testing.assert_allclose(found.max(axis=1), [1.706, 1.632], atol=5e-4)
    np.testing.assert_allclose(found[:, 0], [1.5245, 1.4583], atol=5e-5)
    theirs = PCA(10, whiten=True, svd_solver="full").fit_transform(load_digits(return_X_y=True)[0]) * np.sqrt(
        1797 / 1796
    )
    np.testing.assert_allclose(_conditions(theirs, targets, choices[:1])[:, 0], [1.678, 1.542], atol=5e-4)
    np.testing.assert_allclose(theirs * np.array(SIGNS), inputs, atol=1e-9)


def test_fewer_components_are_the_first_of_more() -> None:
    np.testing.assert_array_equal(digits_pca(3)[0], digits_pca()[0][:, :3])


def test_images() -> None:
    inputs, targets = digits_images()
    assert inputs.shape == (1797, 1, 8, 8)
    assert inputs.mean() == pytest.approx(0, abs=1e-12)
    assert inputs.std() == pytest.approx(1)
    np.testing.assert_array_equal(targets, digits_pca()[1])


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "sklearn":
            raise ModuleNotFoundError(f"No module named {name!r}", name="sklearn")
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SpecError, match="scikit-learn, which is not installed"):
        digits_pca()
