"""What batch norms see of a sample, held equal to what they are given."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resdsl.network.initial import initial_weights
from resdsl.spec import build
from resdsl.targets.torch_module import torch_module
from resdsl.train.compute.norms import least_positions

HEAD = "resnet 1\nnetwork n { input 3x8x8 stem conv(3x3, 4) stage 2 * u head avgpool -> linear(4) -> bn -> linear(10) }\nunit u { branch bn -> conv(3x3, 4) shortcut identity }\n"
PARTS = "resnet 1\nnetwork n { input 2x8x8 stem concat(conv(1x1, 2, stride = 2) -> bn, conv(1x1, 2, stride = 2)) stage 2 * u head avgpool -> linear(10) }\nunit u { branch partial(0.5, conv(3x3, 2) -> bn) shortcut identity }\n"
PROJECTED = "resnet 1\nnetwork n { input 2x8x8 stem conv(3x3, 4) stage 1 * u head avgpool -> linear(10) }\nunit u { branch conv(8x8, 6, stride = 8, padding = 0) shortcut conv(1x1, stride = 8) -> bn after relu -> bn }\n"
NONE = "resnet 1\nnetwork n { input 3x8x8 stem conv(3x3, 4) -> groupnorm(2) head avgpool -> linear(10) }\n"
VECTOR = "resnet 1\nnetwork n { input 12 stage 2 * u head linear(10) }\nunit u { branch bn -> relu -> linear(12) shortcut identity }\n"


@pytest.mark.parametrize(
    ("spec", "network", "expected"),
    [
        (HEAD, None, 1),
        (PARTS, None, 16),
        (PROJECTED, None, 1),
        (NONE, None, None),
        (VECTOR, None, 1),
        ("std/cifar", "preact20", 64),
    ],
)
def test_least_positions(spec: str, network: str | None, expected: int | None) -> None:
    made = build(spec, network)
    assert least_positions(made) == expected
    given: list[int] = []
    module = torch_module(made, initial_weights(made))
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.register_forward_pre_hook(lambda norm, inputs: given.append(inputs[0].numel() // norm.num_features))
    shape = [getattr(made.input, name) for name in ("channels", "height", "width") if hasattr(made.input, name)]
    with torch.no_grad():
        module.eval()(torch.zeros(1, *shape))
    assert min(given, default=None) == expected
