"""How branches start, held against training: what the rules call dead does not move, what they say grows does."""

from __future__ import annotations

import re

import pytest
import torch

import resdsl
from resdsl.diagnostics import Diagnostic, Severity
from resdsl.theory.path_gain import paths

ALIVE = [
    "conv(1x1, 4) -> relu -> conv(1x1, 4, init = zero)",
    "conv(1x1, 4) -> relu -> conv(1x1, 4, init = zero) -> bn",
    "conv(1x1, 4) -> bn -> scale(0, learn = true)",
    "conv(1x1, 4, init = zero) -> gelu -> conv(1x1, 4)",
    "conv(1x1, 4, init = zero) -> sigmoid -> relu -> conv(1x1, 4)",
    "conv(1x1, 4, init = zero) -> sigmoid -> conv(1x1, 4, init = zero)",
    "conv(1x1, 4, init = zero) -> scale(1, learn = true)",
    "conv(1x1, 4, init = zero) -> se(2)",
    "concat(conv(1x1, 2, init = zero), conv(1x1, 2)) -> conv(1x1, 4)",
    "concat(conv(1x1, 2, init = zero), conv(1x1, 2)) -> groupnorm(1) -> relu -> conv(1x1, 4)",
    "concat(conv(1x1, 2, init = zero), conv(1x1, 2)) -> scale(0, learn = true)",
    "conv(1x1, 4, init = zero) -> concat(identity, conv(1x1, 4, init = zero)) -> conv(1x1, 4)",
    "conv(1x1, 4, init = zero) -> concat(relu, identity) -> conv(1x1, 4)",
]
DEAD = [
    "conv(1x1, 4) -> relu -> conv(1x1, 4, init = zero) -> relu",
    "conv(1x1, 4, init = zero, bias = true) -> bn -> relu -> conv(1x1, 4)",
    "conv(1x1, 4, init = zero) -> conv(1x1, 4) -> relu -> conv(1x1, 4)",
    "conv(1x1, 4, init = zero) -> groupnorm(2) -> scale(2) -> maxpool(3x3, 1) -> gelu -> relu -> conv(1x1, 4)",
    "conv(1x1, 4, init = zero) -> conv(1x1, 4, init = zero)",
    "conv(1x1, 4, init = zero) -> tanh -> conv(1x1, 4) -> conv(1x1, 4, init = zero, bias = true)",
    "conv(1x1, 4, init = zero) -> bn -> scale(0, learn = true, per_channel = true)",
    "conv(1x1, 4) -> scale(0, learn = true) -> relu",
    "concat(conv(1x1, 2, init = zero) -> relu, conv(1x1, 2))",
    "partial(0.5, conv(1x1, 2, init = zero) -> relu)",
    "concat(conv(1x1, 2, init = zero), conv(1x1, 2)) -> conv(1x1, 4, init = zero)",
    "concat(conv(1x1, 2), conv(1x1, 2, init = zero)) -> bn -> relu -> conv(1x1, 4)",
    "concat(conv(1x1, 2), conv(1x1, 2, init = zero)) -> scale(0, learn = true, per_channel = true)",
    "concat(conv(1x1, 2, init = zero), scale(0, learn = true)) -> conv(1x1, 4) -> relu -> conv(1x1, 4)",
    "partial(0.5, conv(1x1, 2, init = zero)) -> conv(1x1, 4, init = zero)",
    "conv(1x1, 4) -> se(2, init = zero)",
]
UNIT = """resnet 1
unit inner {{ branch conv(1x1, 4) -> relu -> conv(1x1, 4) shortcut identity }}
unit u {{ branch {} shortcut {} after {} }}
network n {{
    input 4x5x5
    stem  conv(3x3, 4)
    stage 2 * u
    head  avgpool -> linear(3)
}}
"""


def lint(text: str, rule: str) -> list[Diagnostic]:
    found = resdsl.lint(text, [rule])
    assert {diagnostic.name for diagnostic in found} <= {rule}, [diagnostic.render() for diagnostic in found]
    return found


def stuck(text: str) -> bool:
    """Whether a weight or a learned scale of a branch is 0 before and after training.

    Biases are left out: that of the last of two layers at zero moves, and its weights do not.
    """
    module = resdsl.load(text).train()
    branches = {
        name: parameter
        for name, parameter in module.named_parameters()
        if name.startswith("stage1") and "bias" not in name and not parameter.any()
    }
    assert branches, "nothing starts at zero"
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(16, 4, 5, 5, generator=generator), torch.randint(3, (16,), generator=generator)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05)
    for _ in range(4):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(x), y).backward()
        optimiser.step()
    return any(not parameter.any() for parameter in branches.values())


@pytest.mark.parametrize("branch", ALIVE)
def test_alive(branch: str) -> None:
    text = UNIT.format(branch, "identity", "relu")
    assert not stuck(text)
    assert lint(text, "dead-start") == []


@pytest.mark.parametrize("branch", DEAD)
def test_dead(branch: str) -> None:
    text = UNIT.format(branch, "identity", "relu")
    assert stuck(text)
    (found,) = lint(text, "dead-start")
    assert found.severity is Severity.ERROR
    assert found.message.startswith("2 branches with a ")


def test_relu_behind_the_addition() -> None:
    branch = "conv(1x1, 4) -> relu -> conv(1x1, 4, init = zero)"
    assert not stuck(UNIT.format(branch, "identity", "relu"))
    assert stuck(UNIT.format(branch, "none", "bn -> relu"))
    assert len(lint(UNIT.format(branch, "none", "bn -> relu"), "dead-start")) == 1
    assert lint(UNIT.format(branch, "none", "bn"), "dead-start") == []


SEEDS = 8
GROWING = """resnet 1
unit u(end) {{ branch {} -> end shortcut {} }}
network n(units = 8, end = identity) {{
    input 256
    stage units * u(end)
    {}
}}
"""


@pytest.mark.parametrize(
    ("branch", "shortcut", "end"),
    [
        ("relu -> linear(256) -> relu -> linear(256)", "identity", "identity"),
        ("linear(256, init = xavier)", "scale(0.8)", "identity"),
        ("relu -> linear(256) -> dropout(0.2)", "scale(1, branch = 0.7)", "identity"),
        ("linear(256) -> relu -> linear(256)", "identity", "scale(0.5 + position, learn = true)"),
    ],
)
def test_growth(branch: str, shortcut: str, end: str) -> None:
    text = GROWING.format(branch, shortcut, "").replace("end = identity", f"end = {end}")
    (found,) = lint(text, "growth-without-norm")
    match = re.search(r"by ([\d.e+]+) together", found.message)
    assert match
    measured: list[float] = []
    for seed in range(SEEDS):
        module = resdsl.load(text, seed=seed).train()
        x = torch.randn(256, 256, generator=torch.Generator().manual_seed(seed))
        measured.append(float(module(x).detach().square().mean()))
    assert sum(measured) / SEEDS == pytest.approx(float(match.group(1)), rel=0.15)


def test_growth_ends_at_a_norm() -> None:
    branch = "relu -> linear(256) -> relu -> linear(256)"
    assert lint(GROWING.format(branch, "identity", "").replace("8", "3"), "growth-without-norm") == []
    (found,) = lint(GROWING.format(branch, "identity", "stage bn -> 3 * u(identity)"), "growth-without-norm")
    assert "256 together" in found.message
    (found,) = lint(GROWING.format(branch, "identity", "stage scale(1) -> 3 * u(identity)"), "growth-without-norm")
    assert "2048 together" in found.message


def test_growth_that_no_float_holds() -> None:
    text = GROWING.format("1100 * linear(256)", "identity", "").replace("8", "2000")
    assert [d.severity for d in lint(text, "growth-without-norm")] == [Severity.ERROR]


GATED = """resnet 1
unit u(bias) {{ branch conv(3x3, 8) -> bn shortcut gate(bias, init = {}) }}
network n(units, bias) {{ input 8x8x8 stage units * u(bias) }}
network m = n({}, {})
"""


@pytest.mark.parametrize("start", ["he", "zero", "xavier(gain = 2)"])
@pytest.mark.parametrize("units", [1, 5, 54, 333])
def test_advised_bias(units: int, start: str) -> None:
    (found,) = lint(GATED.format(start, units, "1"), "gate-bias-too-high")
    match = re.search(r"a bias of (-\d+) leaves", found.help)
    assert match
    bias = int(match.group(1))

    def kept(bias: float) -> float:
        gain = paths(resdsl.build(GATED.format(start, units, bias), "m"))[-1].gain
        assert gain is not None
        return 10**gain.mean

    assert kept(bias) >= 0.9
    assert kept(bias + 1) < 0.9
    closed = re.search(r"with gate weights of zero (-\d+\.\d+) leaves 0\.90", found.help)
    assert closed
    gain = paths(resdsl.build(GATED.format("zero", units, closed.group(1)), "m"))[-1].gain
    assert gain is not None
    assert 10**gain.mean == pytest.approx(0.9, abs=0.001)


@pytest.mark.parametrize(
    ("scale", "norm", "severity"),
    [
        ("scale(0.51, learn = true)", "identity", Severity.WARNING),
        ("scale(-0.51, learn = true)", "identity", Severity.WARNING),
        ("scale(0.51, learn = true, per_channel = true)", "bn", Severity.NOTE),
        ("scale(0.5, learn = true)", "identity", None),
        ("scale(1)", "identity", None),
        ("scale(1, learn = true) -> relu", "identity", None),
        ("scale(1, learn = true) -> dropout(0.1) -> drop_path(0.1)", "identity", Severity.WARNING),
    ],
)
def test_learned_scale(scale: str, norm: str, severity: Severity | None) -> None:
    """Four units: up to 1 / sqrt(4)."""
    text = f"""resnet 1
unit u {{ branch conv(3x3, 8) -> {norm} -> {scale} shortcut identity }}
network n {{ input 8x8x8 stage 4 * u }}
"""
    found = lint(text, "learned-scale-start")
    assert [diagnostic.severity for diagnostic in found] == ([] if severity is None else [severity])
