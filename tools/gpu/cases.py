"""What tools/gpu_report.py runs: networks, their weights, the types of numbers they are computed in, and what a way is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

import resdsl
from resdsl.network.evaluate import calibrate
from resdsl.network.initial import Weights, initial_weights
from resdsl.network.network import Network
from resdsl.spec import Parameter
from resdsl.targets.precision import Precision

Array: TypeAlias = NDArray[np.floating[Any]]


class Numbers(StrEnum):
    """What is computed in. FP32 is without TF32; TF32 holds float32 and multiplies with 10 bits of it. FP64 is PyTorch's alone."""

    FP64 = "fp64"
    FP32 = "fp32"
    TF32 = "tf32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"

    @property
    def held(self) -> Precision:
        """What a model's weights are written in."""
        match self:
            case Numbers.FP64 | Numbers.FP32 | Numbers.TF32:
                return Precision.FP32
            case Numbers.FP16:
                return Precision.FP16
            case Numbers.BF16:
                return Precision.BF16
            case Numbers.INT8:
                return Precision.INT8
        assert_never(self)

    @property
    def rounding(self) -> Precision:
        """Which precision rounds as much: TF32 has as many bits as fp16."""
        return Precision.FP16 if self is Numbers.TF32 else self.held


@dataclass(frozen=True, slots=True)
class Case:
    """A network. quick: one of its spec that stands for it with these parameters, tiny. is_timed: whether it is timed, or only
    held against the reference. training: batch sizes of training steps. slow_compile: why torch.compile is not tried on the whole
    of it. source: whose it is, of those that are only checked.
    """

    network: str
    spec: str
    quick: str
    parameters: Mapping[str, Parameter]
    is_timed: bool = False
    training: tuple[int, ...] = ()
    slow_compile: str = ""
    source: str = ""

    def build(self, *, quick: bool) -> Network:
        return resdsl.build(self.spec, self.quick, self.parameters) if quick else resdsl.build(self.spec, self.network)


CIFAR: dict[str, Parameter] = {"n": 1}
DEEPER: dict[str, Parameter] = {"n": 2}
IMAGENET: dict[str, Parameter] = {"n2": 1, "n3": 1, "n4": 1, "n5": 1, "image": (3, 32, 32)}
CASES = {
    case.network: case
    for case in (
        Case("preact164", "std/resnet164", "preact164", CIFAR, True, (128,)),
        Case("resnet50", "std/imagenet", "resnet152", IMAGENET, True, (64, 128)),
        Case("preact1001", "std/resnet164", "preact164", DEEPER, True, (128,), "a thousand layers take many minutes"),
        Case("gate_shortcut", "std/resnet110", "gate_shortcut", CIFAR, source="He et al. 2016, Table 1"),
        Case("bn_after_add164", "std/resnet164", "bn_after_add164", DEEPER, source="He et al. 2016, Table 2"),
        Case("preact110_1layer", "std/resnet110", "preact110_1layer", CIFAR, source="He et al. 2016, Table 3"),
    )
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What a way is to compute. x: (batch, *input). device: PyTorch's name of it. work: a folder for what is kept."""

    network: Network
    weights: Weights
    x: NDArray[np.float32]
    numbers: Numbers
    device: str
    work: Path


@dataclass(frozen=True, slots=True)
class Opened:
    """A way that is ready. call: computes the output to its end, to be timed. output: computes it, as float64; of a training
    step, its loss. peak_bytes: see gpu.rows.Speed.
    """

    call: Callable[[], object]
    output: Callable[[], Array]
    peak_bytes: int | None = None


_IN_UNIT = re.compile(r"(.+\.\d+)\.(?:conv|bn)\w*\.weight")


def calm_weights(network: Network) -> Weights:
    """Weights with which rounding is not amplified from unit to unit, so that a check of few bits can fail.

    The initial ones, with the last layer of each of n branches times 1 / sqrt(n), as branches of trained networks add little; with
    the initial ones as they are, fp16 is off by a third in 1001 layers, whoever computes it. Statistics of norms are recorded
    on random images.
    """
    weights = initial_weights(network)
    last = {found[1]: name for name in weights if (found := _IN_UNIT.fullmatch(name))}  # the later one stays
    for name in last.values():
        weights[name] *= np.float32(len(last) ** -0.5)
    calibrate(network, weights, seed=2, forwards=1)
    return weights
