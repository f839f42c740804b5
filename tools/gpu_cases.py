"""What tools/gpu_report.py runs: networks, their weights, and the types of numbers they are computed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, assert_never

import resdsl
from resdsl.network.evaluate import random_input
from resdsl.network.initial import Weights, initial_weights
from resdsl.network.network import Network
from resdsl.spec import Parameter
from resdsl.targets.precision import Precision

if TYPE_CHECKING:
    from torch import nn


class Numbers(Enum):
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
        return resdsl.build(self.spec, *(self.quick, self.parameters) if quick else (self.network, {}))


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


def units(module: nn.Module) -> list[nn.Module]:
    """The module's residual units; their names end in a number."""
    return [part for name, part in module.named_modules() if name.rpartition(".")[2].isdecimal()]


def calm_weights(network: Network, device: str) -> Weights:
    """Weights with which rounding is not amplified from unit to unit, so that a check of few bits can fail.

    The initial ones, with the last layer of each of n branches times 1 / sqrt(n), as branches of trained networks add little; with
    the initial ones as they are, fp16 is off by a third in 1001 layers, whoever computes it. Statistics of norms are recorded
    on random images.
    """
    import torch

    from resdsl.targets.torch_module import torch_module

    weights = initial_weights(network)
    module = torch_module(network, weights).to(device).train()
    parts = units(module)
    with torch.no_grad():
        for unit in parts:
            layers = [layer for name, layer in unit.named_children() if name.startswith(("conv", "bn"))]
            layers[-1].weight.mul_(len(parts) ** -0.5)
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = None  # the statistics become the mean over all batches
        module(torch.from_numpy(random_input(network, 16, 2)).to(device))
    state = module.state_dict()
    return {name: state[name].cpu().numpy() for name in weights}
