"""Activations as functions with derivatives."""

from __future__ import annotations

import math
from enum import Enum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from resdsl.network import operators as op

Floats = NDArray[np.float64]


class Activation(Enum):
    """A function of each number by itself. `value` is its name in the language."""

    IDENTITY = "identity"
    RELU = "relu"
    GELU = "gelu"
    SILU = "silu"
    TANH = "tanh"
    SIGMOID = "sigmoid"

    def __call__(self, x: Floats) -> Floats:
        match self:
            case Activation.IDENTITY:
                return x
            case Activation.RELU:
                return np.maximum(x, 0.0)
            case Activation.GELU:
                return x * _normal_cdf(x)
            case Activation.SILU:
                return x * _sigmoid(x)
            case Activation.TANH:
                return np.tanh(x)
            case Activation.SIGMOID:
                return _sigmoid(x)
        assert_never(self)

    def slope(self, x: Floats) -> Floats:
        """The first derivative; of ReLU at 0 it is taken to be 0, as frameworks do."""
        match self:
            case Activation.IDENTITY:
                return np.ones_like(x)
            case Activation.RELU:
                return (x > 0).astype(np.float64)
            case Activation.GELU:
                return _normal_cdf(x) + x * _normal_density(x)
            case Activation.SILU:
                return _sigmoid(x) * (1 + x * _sigmoid(-x))
            case Activation.TANH:
                return 1 - np.tanh(x) ** 2
            case Activation.SIGMOID:
                return _sigmoid(x) * _sigmoid(-x)
        assert_never(self)

    @property
    def at_zero(self) -> float:
        return 0.5 if self is Activation.SIGMOID else 0.0

    @property
    def slope_at_zero(self) -> float:
        return float(self.slope(np.zeros(1))[0])

    @property
    def bend_at_zero(self) -> float:
        """The second derivative at 0; of ReLU 0, as frameworks have it."""
        match self:
            case Activation.IDENTITY | Activation.RELU | Activation.TANH | Activation.SIGMOID:
                return 0.0
            case Activation.GELU:
                return math.sqrt(2 / math.pi)
            case Activation.SILU:
                return 0.5
        assert_never(self)


def activation(operator: op.Relu | op.Gelu | op.Silu | op.Tanh | op.Sigmoid) -> Activation:
    return Activation(op.OPERATOR_NAMES[type(operator)])


def _sigmoid(x: Floats) -> Floats:
    return (1 + np.tanh(x / 2)) / 2


def _normal_cdf(x: Floats) -> Floats:
    return 0.5 * np.array([math.erfc(-value) for value in (x.ravel() * math.sqrt(0.5)).tolist()]).reshape(x.shape)


def _normal_density(x: Floats) -> Floats:
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
