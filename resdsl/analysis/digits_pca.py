"""scikit-learn's digits as samples of the small networks of Li et al. 2016: ten numbers an image, or the image itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail

Floats = NDArray[np.float64]

SIGNS = (-1, 1, 1, 1, 1, -1, -1, 1, 1, 1)
"""Of the loading of largest size in each of the first components; of all further ones it is positive.

A principal component has no sign of its own, yet S^{YX}, and so the curvature at zero, depends on it: over the 1,024 choices for ten
components the condition number of M goes from 1.437 to 1.706, and with the 10th percentile instead of the smallest singular value from 1.368 to
1.632. These signs are those that LAPACK's gesdd gave, as numpy returned them. No principle chooses them: figures can be compared with those
computed before in the same coordinates, 1.5245 and 1.4583, and they are fixed here so that they are the same on every machine. With
the signs of scikit-learn's own PCA, all positive, the two are 1.678 and 1.542.
"""


def digits_pca(components: int = 10) -> tuple[Floats, Floats]:
    """All 1,797 digits: X (1797, components), principal components with mean 0 and covariance X^T X / 1797 = 1, from the largest
    variance on, with SIGNS, a choice on which the curvature at zero depends, and Y (1797, 10), one-hot targets.

    Raises SpecError without scikit-learn.
    """
    images, targets = _digits()
    centred = images.reshape(len(images), -1) - images.reshape(len(images), -1).mean(axis=0)
    scores, _, loadings = np.linalg.svd(centred, full_matrices=False)
    assert 0 < components <= np.linalg.matrix_rank(centred), "some pixels are black in all digits"
    loadings = loadings[:components]
    largest = loadings[np.arange(components), np.abs(loadings).argmax(axis=1)]
    signs = np.ones(components)
    signs[: len(SIGNS)] = SIGNS[:components]
    return scores[:, :components] * (np.sign(largest) * signs * np.sqrt(len(images))), targets


def digits_images() -> tuple[Floats, Floats]:
    """All 1,797 digits: X (1797, 1, 8, 8), with mean 0 and variance 1 over all pixels, and Y (1797, 10), one-hot targets.

    Raises SpecError without scikit-learn.
    """
    images, targets = _digits()
    return ((images - images.mean()) / images.std())[:, None], targets


def _digits() -> tuple[Floats, Floats]:
    """Images (1797, 8, 8) of 16 levels of grey, and one-hot targets (1797, 10)."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        if error.name != "sklearn":
            raise
        message = "digits come with scikit-learn, which is not installed"
        raise fail("missing-library", message, help="pip install 'resdsl[train]'") from None
    pixels, labels = load_digits(return_X_y=True)
    return pixels.reshape(-1, 8, 8).astype(np.float64), np.eye(10)[labels]
