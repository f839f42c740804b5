"""Branches that add nothing go, beside an identity only."""

from __future__ import annotations

import numpy as np
import pytest

from resdsl.network.network import Network
from resdsl.passes.draft import Weights
from tests.passes.trained import network_of, run, standing, trained

INNER = "unit inner { branch conv(3x3, 8) -> bn shortcut identity }"


def zeroed(network: Network, *names: str) -> Weights:
    weights = trained(network)
    for name in names:
        weights[name] = np.zeros_like(weights[name])
    return weights


@pytest.mark.parametrize(
    ("branch", "zeros"),
    [
        ("conv(3x3, 8)", ["conv.weight"]),
        ("conv(3x3, 8, bias = true)", ["conv.weight", "conv.bias"]),
        ("conv(3x3, 8) -> bn", ["bn.weight", "bn.bias"]),
        ("conv(3x3, 8) -> layernorm -> relu -> dropout(0.1) -> scale(3)", ["layernorm.weight", "layernorm.bias"]),
        ("conv(3x3, 8) -> groupnorm(2) -> maxpool(3x3, 1)", ["groupnorm.weight", "groupnorm.bias"]),
        ("bn -> 2 * inner -> conv(1x1, 8)", ["conv.weight"]),
        ("concat(conv(1x1, 4), inner -> conv(1x1, 4)) -> conv(1x1, 8)", ["conv3.weight"]),
    ],
)
@pytest.mark.parametrize("dead", [True, False])
def test_beside_an_identity(branch: str, zeros: list[str], dead: bool) -> None:
    network = network_of(
        "stem conv(3x3, 8) stage u head avgpool -> linear(5)",
        f"unit u {{ branch {branch} shortcut identity after relu }}",
        INNER,
    )
    names = [f"stage1.0.{name}" for name in zeros]
    weights = zeroed(network, *names)
    if not dead:
        weights[names[-1]].flat[-1] = 1e-30
    (step,) = run(network, weights, "remove-dead")
    if dead:
        assert "stage1.0" in step.tally.changed
        assert standing(step.network).all() == {"stem_conv", "stage1.0.after_relu", "head_avgpool", "head_linear"}
        assert set(step.weights) == {"stem_conv.weight", "head_linear.weight", "head_linear.bias"}
    else:
        assert step.network == network


@pytest.mark.parametrize("end", ["se(2)", "sigmoid", "gelu", "concat(identity)", "inner"])
def test_what_may_turn_0_into_something(end: str) -> None:
    network = network_of(
        "stem conv(3x3, 8) stage u", f"unit u {{ branch conv(3x3, 8) -> {end} shortcut identity }}", INNER
    )
    (convolution,) = [name for name in standing(network)["conv"] if name.startswith("stage1.0.conv")]
    (step,) = run(network, zeroed(network, f"{convolution}.weight"), "remove-dead")
    assert step.network == network


@pytest.mark.parametrize(
    "shortcut", ["conv(1x1)", "scale(0.5)", "gate(-1, branch = true)", "relu", "identity from activated"]
)
def test_other_shortcuts_keep_their_branch_and_are_named(shortcut: str) -> None:
    network = network_of("stem conv(3x3, 8) stage u", f"unit u {{ branch relu -> conv(3x3, 8) shortcut {shortcut} }}")
    (step,) = run(network, zeroed(network, "stage1.0.conv.weight"), "remove-dead")
    assert step.network == network
    assert [(kept.reason, kept.places) for kept in step.tally.kept] == [
        ("adds nothing to a shortcut that is no identity", ("stage1.0",))
    ]


def test_a_plain_unit_is_not_dead_but_zero() -> None:
    network = network_of(
        "stem conv(3x3, 8) stage u head avgpool -> linear(5)", "unit u { branch conv(3x3, 8) shortcut none }"
    )
    (step,) = run(network, zeroed(network, "stage1.0.conv.weight"), "remove-dead")
    assert step.network == network
    assert step.tally.kept == ()


def test_factors_of_0_make_a_branch_dead() -> None:
    """SkipInit as it starts: fold-scales puts the 0 into the convolution, and then the branch is dead."""
    network = network_of(
        "stem conv(3x3, 8) stage 2 * u head avgpool -> linear(5)",
        "unit u { placement pre branch conv(3x3, 8) -> scale(0, learn = true) shortcut identity }",
    )
    *_, step = run(network, zeroed(network, "stage1.1.scale"), "fold-scales", "remove-dead")
    assert step.tally.changed == ("stage1.1",)


def test_constant_gates_are_named_and_kept() -> None:
    network = network_of("stem conv(3x3, 8) stage 2 * u", "unit u { branch conv(3x3, 8) shortcut gate(-1) }")
    (step,) = run(network, zeroed(network, "stage1.1.shortcut_gate.weight"), "remove-dead")
    assert [(kept.reason, kept.places) for kept in step.tally.kept] == [
        ("a gate that is constant", ("stage1.1.shortcut_gate",))
    ]
    assert step.network == network


def test_what_is_gone_is_not_named() -> None:
    network = network_of(
        "stem conv(3x3, 8) stage u head avgpool -> linear(5)",
        "unit u { branch concat(gated) -> conv(1x1, 8) shortcut identity }",
        "unit gated { branch conv(3x3, 8) shortcut gate(-1) }",
    )
    weights = zeroed(network, "stage1.0.gated.0.shortcut_gate.weight", "stage1.0.conv.weight")
    (step,) = run(network, weights, "remove-dead")
    assert step.tally.changed == ("stage1.0",)
    assert step.tally.kept == ()
