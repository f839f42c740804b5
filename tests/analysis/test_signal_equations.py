"""Equations 4, 5, 7 and 8 of He et al. 2016, on random networks in float64.

On one side the module as a whole, forward hooks and autograd, on the other the parts that signals are measured by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from resdsl.analysis.parts import Cut
from resdsl.spec import build
from tests.analysis.by_autograd import by_length, fixed, full, seen, walked_back

EXACT = 1e-12
"""Relative to the largest element: what float64 leaves after some hundred operations."""
BRANCHES = {
    "6": [
        *("linear(6)", "bn -> relu -> linear(6) -> bn -> relu -> linear(6)", "tanh -> linear(6, bias = false)"),
        *("linear(6) -> bn -> relu -> linear(6) -> bn", "layernorm -> linear(12) -> gelu -> linear(6) -> scale(-0.3)"),
    ],
    "4x5x5": [
        *("conv(3x3, 4)", "bn -> relu -> conv(3x3, 4) -> bn -> relu -> conv(3x3, 4)", "conv(1x1, 4) -> sigmoid"),
        *("conv(3x3, 4) -> bn -> relu -> conv(3x3, 4) -> bn", "relu -> concat(conv(1x1, 2), conv(3x3, 2)) -> se(2)"),
    ],
}
"""By the shape that they keep."""


@dataclass(frozen=True)
class Stream:
    """Units in a row whose shortcuts are scales; the numbers are the lambdas of equation 6."""

    text: str
    shape: tuple[int, ...]
    scales: tuple[float, ...]


@st.composite
def streams(draw: st.DrawFn, *, identity: bool) -> Stream:
    shape = draw(st.sampled_from(sorted(BRANCHES)))
    branches = draw(st.lists(st.sampled_from(BRANCHES[shape]), min_size=2, max_size=6))
    lambdas = st.floats(0.2, 2).map(lambda value: round(value, 3)) | st.sampled_from([-0.5, 0.5, 1.0])
    scales = tuple(1.0 if identity else draw(lambdas) for _ in branches)
    units = [
        f"unit u{index} {{ branch {branch} shortcut {'identity' if identity else f'scale({scale})'} }}"
        for index, (branch, scale) in enumerate(zip(branches, scales, strict=True))
    ]
    row = " -> ".join(f"u{index}" for index in range(len(branches)))
    text = "\n".join(["resnet 1", *units, f"network n {{ input {shape} stage {row} }}"])
    return Stream(text, tuple(map(int, shape.split("x"))), scales)


def check(stream: Stream, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(3, *stream.shape, generator=draw, dtype=torch.float64)
    sent = torch.randn(3, *stream.shape, generator=draw, dtype=torch.float64)
    module, parts = fixed(build(stream.text), x, seed=seed)
    cuts = [part for part in parts if isinstance(part, Cut)]
    assert len(cuts) == len(parts) == len(stream.scales)
    whole = seen(module, x, [cut.name for cut in cuts])
    *gradients, last = whole.gradients(sent)
    assert torch.equal(last, sent)
    for start, (x_l, gradient) in enumerate(zip(whole.inputs, gradients, strict=True)):
        lambdas = stream.scales[start:]
        # Forward: each unit's branch, at the input that the whole module gave it, times the lambdas behind it.
        branches = [
            math.prod(lambdas[index + 1 :]) * cut.meets(whole.inputs[start + index].detach())[1]
            for index, cut in enumerate(cuts[start:])
        ]
        close(whole.end, math.prod(lambdas) * x_l + sum(branches))
        # Backward: the same sum as a function of x_l alone, by the parts.
        source = x_l.detach().clone().requires_grad_()
        (by_branches,) = torch.autograd.grad(branch_sum(cuts[start:], lambdas, source), source, sent)
        close(gradient, math.prod(lambdas) * sent + by_branches)
        # The measurement's own walk: its direct term, its gradient, and the gradient by how many branches it passed.
        result, waves = walked_back(parts[start:], x_l.detach(), sent)
        close(whole.end, result)
        close(gradient, full(waves.gradient))
        close(math.prod(lambdas) * sent, full(waves.direct))
        assert waves.stack is not None
        rows = by_length(waves.stack, len(lambdas) + 1)
        close(math.prod(lambdas) * sent, rows[0])
        close(by_branches, rows[1:].sum(dim=0))


def branch_sum(cuts: list[Cut], lambdas: tuple[float, ...], x: Tensor) -> Tensor:
    """F-hat of equation 7, summed; for lambdas of 1 the sum of equation 4."""
    total = torch.zeros_like(x)
    for index, cut in enumerate(cuts):
        shortcut, branch = cut.meets(x)
        assert shortcut is not None
        total = total + math.prod(lambdas[index + 1 :]) * branch
        x = shortcut + branch
    return total


def close(expected: Tensor, found: Tensor) -> None:
    scale = max(float(expected.detach().abs().max()), 1.0)
    assert float((expected - found).detach().abs().max()) <= EXACT * scale


@settings(max_examples=30, deadline=None, derandomize=True)
@given(stream=streams(identity=True), seed=st.integers(0, 1000))
def test_identity_shortcuts_carry_the_signal_and_its_gradient_as_they_are(stream: Stream, seed: int) -> None:
    """x_L = x_l + sum F(x_i) (4), and dE/dx_l = dE/dx_L (1 + d/dx_l sum F(x_i)) (5)."""
    check(stream, seed)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(stream=streams(identity=False), seed=st.integers(0, 1000))
def test_scaled_shortcuts_multiply_both_by_the_product_of_their_factors(stream: Stream, seed: int) -> None:
    """x_L = (prod lambda) x_l + sum F-hat(x_i) (7), and dE/dx_l = dE/dx_L (prod lambda + d/dx_l sum F-hat(x_i)) (8)."""
    check(stream, seed)
