"""The networks of Li et al. 2016 as functions of their weights: chains of square layers, with or without identity shortcuts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

SMALL, LARGER = 0.01, 0.3
"""Of Xavier's standard deviation, where n-shortcut networks start: near zero, and not so near."""


class Start(Enum):
    """What the weights are before training."""

    XAVIER = "Xavier"
    ORTHOGONAL = "orthogonal"
    SMALL = "0.01 x Xavier"
    LARGER = "0.3 x Xavier"


class Relu(Enum):
    """Where ReLUs stand: nowhere, or in the paper's mid position, before each layer of a unit but its first."""

    NONE = "linear"
    MID = "ReLU in mid position"


@dataclass(frozen=True, slots=True)
class Net:
    """A chain of units of `span` layers each. shortcut: whether an identity bypasses each unit; without, units only say where ReLUs stand."""

    name: str
    span: int
    shortcut: bool
    start: Start

    def layers(self, depth: int) -> int:
        """The least number of layers that is `depth` or more and whole units."""
        return -(-depth // self.span) * self.span


XAVIER = Net("Xavier", 2, shortcut=False, start=Start.XAVIER)
ORTHOGONAL = Net("orthogonal", 2, shortcut=False, start=Start.ORTHOGONAL)
SHORTCUT1 = Net("1-shortcut", 1, shortcut=True, start=Start.SMALL)
SHORTCUT2 = Net("2-shortcut", 2, shortcut=True, start=Start.SMALL)
SHORTCUT3 = Net("3-shortcut", 3, shortcut=True, start=Start.SMALL)
SHORTCUT4 = Net("4-shortcut", 4, shortcut=True, start=Start.SMALL)
SHORTCUT3_LARGER = Net("3-shortcut, larger start", 3, shortcut=True, start=Start.LARGER)
SHORTCUT4_LARGER = Net("4-shortcut, larger start", 4, shortcut=True, start=Start.LARGER)
NETS = (
    XAVIER, ORTHOGONAL, SHORTCUT1, SHORTCUT2, SHORTCUT3, SHORTCUT4, SHORTCUT3_LARGER, SHORTCUT4_LARGER,
)  # fmt: skip


def outputs(net: Net, relu: Relu, weights: Tensor, inputs: Tensor) -> Tensor:
    """(…, width, m) for weights (…, layers, width, width) and inputs (width, m), a column for each sample."""
    layers = weights.shape[-3]
    assert layers % net.span == 0, f"{layers} layers are no whole units of {net.span}"
    stream = inputs
    for first in range(0, layers, net.span):
        signal = stream
        for layer in range(first, first + net.span):
            if relu is Relu.MID and layer > first:
                signal = signal.relu()
            signal = weights[..., layer, :, :] @ signal
        stream = stream + signal if net.shortcut else signal
    return stream


def initial(net: Net, depth: int, width: int, seed: int) -> Tensor:
    """(layers, width, width), float64. Xavier is normal with variance 1 / width, as fan-in and fan-out are equal."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(net.layers(depth), width, width, dtype=torch.float64, generator=generator)
    match net.start:
        case Start.XAVIER:
            return drawn / width**0.5
        case Start.SMALL:
            return SMALL * drawn / width**0.5
        case Start.LARGER:
            return LARGER * drawn / width**0.5
        case Start.ORTHOGONAL:
            q, r = torch.linalg.qr(drawn)
            return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)  # or they would not be spread evenly
