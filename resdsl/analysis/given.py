"""What a measurement starts from: weights and inputs, finite and of the network's shapes."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.network.network import Network
from resdsl.network.types import Image, Vector
from resdsl.samples import given_samples, spread
from resdsl.weights import INITIAL, network_weights

Weights = Mapping[str, NDArray[np.float32]]
IMAGES, VECTORS = 8, 256
"""How many are measured: an image has thousands of positions to average over, and a vector one."""

WeightsSource = str | os.PathLike[str] | Mapping[str, NDArray[np.generic]] | None


def weights_of(network: Network, source: WeightsSource, seed: int) -> tuple[Weights, str]:
    """The weights, and where they come from in a word. Raises SpecError as network_weights, for what is not finite, too."""
    path = os.fspath(source) if isinstance(source, os.PathLike) else source
    weights = network_weights(network, path, seed)
    match path:
        case None:
            return weights, INITIAL
        case str():
            return weights, path
        case _:
            return weights, "arrays"


def inputs_of(
    network: Network, given: NDArray[np.floating] | None, samples: int | None, seed: int
) -> NDArray[np.float32]:
    """The samples that are given, `samples` of them at most, evenly spread; or standard normal ones, IMAGES or VECTORS if not said how many.

    Raises SpecError for another shape, and for what is not finite.
    """
    if samples is not None and samples < 1:
        raise fail("unsupported-option", f"{samples} samples are none", help="give 1 or more, 2 for the cosine")
    if seed < 0:
        raise fail("unsupported-option", f"the seed {seed} is negative", help="give a whole number from 0 on")
    if given is not None:
        found = given_samples(given, network.input, "the input")
        return found[spread(len(found), samples or len(found))]
    match network.input:
        case Image(channels, height, width):
            shape, usual = (channels, height, width), IMAGES
        case Vector(features):
            shape, usual = (features,), VECTORS
    return np.random.default_rng(seed).standard_normal((samples or usual, *shape), np.float32)
