"""What the networks learn: the principal components of images, whitened, and their classes, one-hot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from resdsl.analysis.demystify.loss import Samples, Statistics, statistics
from resdsl.analysis.digits_pca import digits_pca
from resdsl.diagnostics import fail
from resdsl.train.data.dataset import Arrays, Split
from resdsl.train.data.open import open_data

Floats = NDArray[np.float64]

WIDTH = 10
"""Of the networks: components, and classes."""
NAMES = ("digits", "mnist")


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """samples: what the networks are trained on, all digits with the signs of `digits_pca`, or MNIST's training images. train, test: the parts
    where errors are counted, whitened on `train` with the signs of `whitening`, so digits have other coordinates there. fingerprint: SHA-256 of all images.
    """

    name: str
    fingerprint: str
    samples: Samples
    statistics: Statistics
    train: Samples
    test: Samples
    width: int = WIDTH


def read_data(name: str, root: Path | None) -> Data:
    """name: of NAMES. Raises SpecError."""
    found = open_data(name, root)
    assert isinstance(found, Arrays), name
    whiten = whitening(_flat(found.train), WIDTH)
    train, test = (_samples(whiten(_flat(split)), _one_hot(split)) for split in (found.train, found.test))
    samples = _samples(*digits_pca(WIDTH)) if name == "digits" else train
    return Data(name, found.fingerprint, samples, statistics(samples), train, test)


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """mean (p,); matrix (p, components)."""

    mean: Floats
    matrix: Floats

    def __call__(self, inputs: Floats) -> Floats:
        """(n, components) for inputs (n, p)."""
        return (inputs - self.mean) @ self.matrix


def whitening(inputs: Floats, components: int) -> Whitening:
    """To principal components of mean 0 and covariance 1 over the inputs (m, p), from the largest variance on; of each, the loading of
    largest size is positive. Raises SpecError for inputs of fewer dimensions.
    """
    mean = inputs.mean(0)
    values, vectors = np.linalg.eigh(inputs.T @ inputs / len(inputs) - np.outer(mean, mean))
    values, vectors = values[::-1][:components], vectors[:, ::-1][:, :components]
    if len(values) < components or not values[-1] > len(mean) * np.finfo(np.float64).eps * values[0]:
        raise fail("wrong-data", f"the images vary in fewer than {components} dimensions")
    signs = np.sign(vectors[np.abs(vectors).argmax(0), np.arange(components)])
    return Whitening(mean, vectors * signs / np.sqrt(values))


def _flat(split: Split) -> Floats:
    return split.inputs.reshape(len(split), -1) / 255.0


def _one_hot(split: Split) -> Floats:
    return np.eye(WIDTH)[split.labels]


def _samples(inputs: Floats, targets: Floats) -> Samples:
    return Samples(torch.from_numpy(inputs.T.copy()), torch.from_numpy(targets.T.copy()))
