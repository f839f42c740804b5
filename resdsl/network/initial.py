"""The numbers of a network before training.

Every tensor is seeded by its own name, so two variants of a network start from the same numbers wherever a name and
shape are in both, and a tensor's start does not depend on what stands before it.
"""

from __future__ import annotations

import math
from typing import TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from resdsl.network.network import Network
from resdsl.network.tensors import Constant, OrthogonalRows, network_tensors
from resdsl.network.types import Normal

Weights: TypeAlias = dict[str, NDArray[np.float32]]
"""Name in the state_dict -> array."""


def initial_weights(network: Network, seed: int = 0) -> Weights:
    """Every tensor of the network as it stands before training: name -> float32 array of the tensor's shape."""
    result: Weights = {}
    for tensor in network_tensors(network):
        match tensor.fill:
            case Constant(value=value):
                result[tensor.name] = np.full(tensor.shape, value, np.float32)
            case Normal(std=std):
                values = _generator(seed, tensor.name).standard_normal(tensor.shape, np.float32)
                values *= np.float32(std)
                result[tensor.name] = values
            case OrthogonalRows(gain=gain):
                result[tensor.name] = _orthogonal(_generator(seed, tensor.name), tensor.shape, gain)
    return result


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, crc32(name.encode())]))


def _orthogonal(generator: np.random.Generator, shape: tuple[int, ...], gain: float) -> NDArray[np.float32]:
    rows, columns = shape[0], math.prod(shape[1:])
    square = generator.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(square)
    q *= np.sign(np.diag(r))
    matrix = q if rows >= columns else q.T
    return (gain * matrix).reshape(shape).astype(np.float32)
