"""Tables 1 to 3 of He et al. 2016, Identity Mappings in Deep Residual Networks: what was trained, and its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias

FAILS_ABOVE = 20.0
"""%: what the paper calls a failure, of CIFAR-10."""
SEEDS = 5
"""Runs of each network on CIFAR, of which the paper prints the median."""


class Failed(Enum):
    """In the place of a figure: an error above FAILS_ABOVE, which the paper does not print."""

    FAIL = "fail"


FAIL = Failed.FAIL
Figure: TypeAlias = float | Failed
"""A test error in %, or FAIL."""


class Units(Enum):
    """What a network is made of: layers of `n` units in each of 3 stages, and 2 more."""

    SINGLE = 3
    BASIC = 6
    BOTTLENECK = 9

    def layers(self, n: int) -> int:
        return self.value * n + 2


@dataclass(frozen=True, slots=True)
class Variant:
    """A figure of a table. name: of its runs' folder. label: its row, and its column where there are several. spec, network: what
    it is, with a parameter `n`. layers: the paper's. data: the paper's, as in resdsl.train.data.open.
    """

    name: str
    label: str
    spec: str
    network: str
    units: Units
    layers: int
    figure: Figure
    data: str = "cifar10"


@dataclass(frozen=True, slots=True)
class Table:
    """name: as on the command line. subject: what its rows differ in."""

    name: str
    title: str
    subject: str
    variants: tuple[Variant, ...]


def _shortcut(network: str, label: str, figure: Figure) -> Variant:
    return Variant(network, label, "std/resnet110", network, Units.BASIC, 110, figure)


def _placement(name: str, label: str, figure110: Figure, figure164: Figure) -> tuple[Variant, Variant]:
    first, second = f"{name}110", f"{name}164"
    return (
        Variant(first, f"{label}, ResNet-110", "std/resnet110", first, Units.BASIC, 110, figure110),
        Variant(second, f"{label}, ResNet-164", "std/resnet164", second, Units.BOTTLENECK, 164, figure164),
    )


def _bottlenecks(layers: int, original: Figure, full: Figure, data: str = "cifar10") -> tuple[Variant, Variant]:
    """ResNet-1001 is ResNet-164 with another `n`."""
    name = f"ResNet-{layers}{', CIFAR-100' if data == 'cifar100' else ''}"
    end = "_cifar100" if data == "cifar100" else ""
    spec = "std/resnet164"
    return (
        Variant(
            f"resnet{layers}{end}", f"{name}, original", spec, "resnet164", Units.BOTTLENECK, layers, original, data
        ),
        Variant(
            f"preact{layers}{end}", f"{name}, pre-activation", spec, "preact164", Units.BOTTLENECK, layers, full, data
        ),
    )


TABLE1 = Table(
    "table1",
    "Table 1",
    "shortcuts",
    (
        _shortcut("resnet110", "original: identity", 6.61),
        _shortcut("plain110", "constant scaling 0 : 1, a plain network", FAIL),
        _shortcut("scale_half", "constant scaling 0.5 : 1", FAIL),
        _shortcut("scale_half_frozen", "constant scaling 0.5 : 0.5", 12.35),
        _shortcut("gate_exclusive_5", "exclusive gating, bias -5 (the paper: 0 to -5)", FAIL),
        _shortcut("gate_exclusive", "exclusive gating, bias -6", 8.70),
        _shortcut("gate_exclusive_7", "exclusive gating, bias -7", 9.81),
        _shortcut("gate_shortcut_0", "shortcut-only gating, bias 0", 12.86),
        _shortcut("gate_shortcut", "shortcut-only gating, bias -6", 6.91),
        _shortcut("conv_shortcut", "1x1 convolution", 12.22),
        _shortcut("dropout_shortcut", "dropout 0.5", FAIL),
    ),
)
TABLE2 = Table(
    "table2",
    "Table 2",
    "places of BN and ReLU",
    (
        *_placement("resnet", "original", 6.61, 5.93),
        *_placement("bn_after_add", "BN after addition", 8.17, 6.50),
        *_placement("relu_before_add", "ReLU before addition", 7.84, 6.14),
        *_placement("relu_only_pre", "ReLU-only pre-activation", 6.71, 5.91),
        *_placement("preact", "full pre-activation", 6.37, 5.46),
    ),
)
TABLE3 = Table(
    "table3",
    "Table 3",
    "original units and full pre-activation",
    (
        Variant("resnet110_1layer", "ResNet-110 (1-layer), original", "std/resnet110", "resnet110_1layer", Units.SINGLE, 110, 9.90),
        Variant("preact110_1layer", "ResNet-110 (1-layer), pre-activation", "std/resnet110", "preact110_1layer", Units.SINGLE, 110, 8.91),
        Variant("resnet110", "ResNet-110, original", "std/resnet110", "resnet110", Units.BASIC, 110, 6.61),
        Variant("preact110", "ResNet-110, pre-activation", "std/resnet110", "preact110", Units.BASIC, 110, 6.37),
        *_bottlenecks(164, 5.93, 5.46),
        *_bottlenecks(1001, 7.61, 4.92),
        *_bottlenecks(164, 25.16, 24.33, "cifar100"),
        *_bottlenecks(1001, 27.82, 22.71, "cifar100"),
    ),
)  # fmt: skip
TABLES = MappingProxyType({table.name: table for table in (TABLE1, TABLE2, TABLE3)})


def fails_above(data: str) -> float:
    """%: above it, an error on these data is a failure. On CIFAR-100 the paper's best networks are above FAILS_ABOVE."""
    return math.inf if data == "cifar100" else FAILS_ABOVE
