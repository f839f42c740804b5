"""scikit-learn's digits: 1,797 grey images of 8x8, in every installation, so that a try-out needs no download."""

from __future__ import annotations

import numpy as np

from resdsl.diagnostics import fail
from resdsl.train.data.dataset import Arrays, Split

TEST_EVERY = 5


def digits() -> Arrays:
    """1,442 images to train on and 355 to test with, every fifth of each class in the set's own order; 16 levels of grey as 0 to 255."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        if error.name != "sklearn":
            raise
        raise fail(
            "missing-library",
            "digits come with scikit-learn, which is not installed",
            help="pip install 'resdsl[train]'",
        ) from None
    inputs, labels = load_digits(return_X_y=True)
    images = np.round(inputs.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    test = np.zeros(len(labels), bool)
    for label in range(10):
        test[np.flatnonzero(labels == label)[TEST_EVERY - 1 :: TEST_EVERY]] = True
    splits = (Split(images[chosen], labels[chosen].astype(np.int64)) for chosen in (~test, test))
    return Arrays("digits", *splits, tuple(map(str, range(10))))
