"""Shapes, taps, initialisations: the small types of a network."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Image:
    """Shape of one image or feature map, without the batch: channels x height x width."""

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"


@dataclass(frozen=True, slots=True)
class Vector:
    """Shape of one vector, without the batch."""

    features: int

    @property
    def channels(self) -> int:
        """A vector's features are its channels."""
        return self.features

    def __str__(self) -> str:
        return str(self.features)


Shape: TypeAlias = Image | Vector

Pair: TypeAlias = tuple[int, int]
"""Height, width."""

PerCopy: TypeAlias = float | tuple[float, ...]
"""A number, or one number for each copy of a repeated unit."""


class Tap(Enum):
    """What a shortcut reads: the unit's input, or what the branch's first weight layer, unit or concat reads."""

    INPUT = "input"
    ACTIVATED = "activated"


@dataclass(frozen=True, slots=True)
class He:
    """Normal, std = gain * sqrt(2 / fan): fan-out for convolutions, fan-in for linear layers (He et al. 2015)."""

    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Xavier:
    """Normal, std = gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""

    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Orthogonal:
    """A random (semi-)orthogonal matrix of shape out x rest, times gain (Saxe et al. 2014)."""

    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal with mean 0, whatever the layer's size."""

    std: float


@dataclass(frozen=True, slots=True)
class Zero:
    """All zeros."""


Init: TypeAlias = He | Xavier | Orthogonal | Normal | Zero
