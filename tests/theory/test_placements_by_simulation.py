"""What placements do to the path, measured on networks at their start: the figures behind the linter's thresholds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import resdsl
from resdsl.theory.path_gain import open_chance

UNITS = 54
SEEDS = 6


def units(width: int, branch_end: str, after: str, seed: int) -> torch.nn.ModuleList:
    """54 units over two linear layers with norms, identity shortcuts, He initialisation."""
    text = f"""resnet 1
unit u {{
    branch   linear({width}, bias = false) -> bn -> relu -> linear({width}, bias = false) -> bn -> {branch_end}
    shortcut identity
    after    {after}
}}
network n {{ input {width} stage {UNITS} * u }}
"""
    stage = resdsl.load(text, seed=seed).train().stage1
    assert isinstance(stage, torch.nn.ModuleList)
    return stage


def test_relu_behind_the_addition() -> None:
    """Started from a rectified state, half as much again as open_chance, which starts from 0, says."""
    found: list[float] = []
    for seed in range(SEEDS):
        x = torch.randn(256, 64, generator=torch.Generator().manual_seed(seed)).relu()
        is_open = torch.ones_like(x, dtype=torch.bool)
        for unit in units(64, "identity", "relu", seed):
            x = unit(x).detach()
            is_open &= x > 0
        found.append(float(is_open.double().mean()))
    steps = np.random.default_rng(0).standard_normal((50_000, UNITS + 1))
    steps[:, 0] = np.maximum(steps[:, 0], 0)
    walk = float((np.cumsum(steps, axis=1)[:, 1:] > 0).all(axis=1).mean())
    assert walk == pytest.approx(0.115, abs=0.005)
    assert np.mean(found) == pytest.approx(walk, rel=0.08)  # branches of one network are not quite independent
    assert walk / open_chance(UNITS) == pytest.approx(1.5, rel=0.03)


def test_relu_before_the_addition() -> None:
    """The mean of a rectified standard normal number is 1 / sqrt(2 pi), 0.399, and every unit adds that."""
    per_unit = 1 / math.sqrt(2 * math.pi)
    assert UNITS * per_unit == pytest.approx(21.5, abs=0.05)
    found: list[float] = []
    for seed in range(2):
        x = torch.randn(512, 256, generator=torch.Generator().manual_seed(seed))
        for unit in units(256, "relu", "identity", seed):
            x = unit(x).detach()
        found.append(float(x.mean()))
    assert np.mean(found) == pytest.approx(
        UNITS * per_unit, rel=0.06
    )  # with finite width branches are not quite normal


def test_norm_and_relu_behind_the_addition() -> None:
    """The root mean square of mask / sigma, what a unit's norm and ReLU leave of the direct path."""
    for seed in range(2):
        module = resdsl.load("std/resnet110", "bn_after_add110", seed=seed).train()
        factors: list[float] = []

        def note(_: torch.nn.Module, read: tuple[torch.Tensor], left: torch.Tensor, to: list[float] = factors) -> None:
            sigma = read[0].detach().double().var((0, 2, 3), unbiased=False, keepdim=True).sqrt()
            to.append(float(((left.detach() > 0) / sigma).square().mean().sqrt()))

        for name, part in module.named_modules():
            if name.endswith("after_bn"):
                part.register_forward_hook(note)
        module(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(seed)))
        assert len(factors) == UNITS
        assert 0.43 < min(factors) < max(factors) < 0.77
        assert 1e-14 < math.prod(factors) < 1e-12
