"""Factors go into the layer beside them where it can take them, and stay where it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from resdsl.network.operators import Scale
from tests.passes.trained import network_of, run, standing, trained

STAYS = "no layer beside it takes the factor"


@pytest.mark.parametrize(
    ("branch", "into"),
    [
        ("conv(3x3, 8) -> scale(-0.5)", "conv.weight"),
        ("conv(3x3, 8, bias = true) -> scale(-0.5)", "conv.bias"),
        ("conv(1x1, 8, groups = 4) -> scale(0.7, learn = true, per_channel = true)", "conv.weight"),
        ("conv(3x3, 8) -> bn -> scale(-0.5)", "bn.bias"),
        ("conv(3x3, 8) -> groupnorm(2) -> scale(0.7, learn = true)", "groupnorm.weight"),
        ("conv(3x3, 8) -> layernorm -> scale(0.7, learn = true, per_channel = true)", "layernorm.bias"),
        ("conv(3x3, 8) -> relu -> scale(0.5)", "conv.weight"),
        ("conv(3x3, 8) -> maxpool(3x3, 1) -> scale(0.5)", "conv.weight"),
        ("conv(3x3, 8) -> avgpool(3x3, 1, 1) -> scale(-0.5)", "conv.weight"),
        ("conv(3x3, 8) -> relu -> scale(-0.5) -> conv(3x3, 8)", "conv2.weight"),
        ("conv(3x3, 8) -> maxpool(3x3, 1) -> scale(-0.5) -> conv(3x3, 8, groups = 2)", "conv2.weight"),
        ("scale(0.7, learn = true, per_channel = true) -> conv(3x3, 8, groups = 2)", "conv.weight"),
        ("scale(0.5) -> relu -> maxpool(3x3, 1) -> conv(3x3, 8)", "conv.weight"),
        ("sigmoid -> scale(-3) -> avgpool(3x3, 1, 1, count_padding = false) -> conv(3x3, 8)", "conv.weight"),
        ("conv(3x3, 8) -> drop_path(0.3, rescale = false)", "conv.weight"),
        ("conv(3x3, 8) -> scale(0)", "conv.weight"),
    ],
)
def test_taken(branch: str, into: str) -> None:
    network = network_of("stem conv(3x3, 8) stage u", f"unit u {{ branch {branch} shortcut identity }}")
    weights = trained(network)
    (step,) = run(network, weights, "fold-scales")
    assert len(step.tally.changed) == 1
    assert step.tally.kept == ()
    assert standing(step.network).all() == standing(network).all() - set(step.tally.changed)
    assert not np.array_equal(step.weights[f"stage1.0.{into}"], weights[f"stage1.0.{into}"])


@pytest.mark.parametrize(
    "branch",
    [
        "scale(-0.5) -> relu -> conv(3x3, 8)",
        "scale(-0.5) -> maxpool(3x3, 1) -> conv(3x3, 8)",
        "sigmoid -> scale(0.5) -> tanh -> conv(3x3, 8)",
        "conv(3x3, 8) -> se(2) -> scale(0.5)",
        "conv(3x3, 8, standardise = true) -> scale(0.5)",
        "concat(conv(1x1, 4), conv(1x1, 4)) -> scale(0.5)",
        "partial(0.5, conv(1x1, 4)) -> scale(0.5) -> silu -> conv(3x3, 8)",
        "scale(0.5) -> bn -> conv(3x3, 8)",
        "scale(0.5) -> concat(conv(1x1, 4), conv(1x1, 4))",
        "scale(0.5) -> conv(3x3, 8, standardise = true)",
        "sigmoid -> drop_path(0.2, rescale = false)",
    ],
)
def test_not_taken(branch: str) -> None:
    network = network_of("stem conv(3x3, 8) -> relu stage u", f"unit u {{ branch {branch} shortcut identity }}")
    weights = trained(network)
    (step,) = run(network, weights, "fold-scales")
    assert step.network == network
    assert [kept.reason for kept in step.tally.kept] == [STAYS]
    assert all(step.weights[name] is weights[name] for name in weights)


def test_a_drop_path_that_was_rescaled_is_no_factor() -> None:
    network = network_of(
        "stem conv(3x3, 8) stage u", "unit u { branch conv(3x3, 8) -> drop_path(0.3) shortcut identity }"
    )
    (step,) = run(network, trained(network), "fold-scales")
    assert step.network == network
    assert step.tally.kept == ()


def test_a_learned_factor_below_zero_stops_at_a_relu() -> None:
    network = network_of("stem conv(3x3, 8) -> relu -> scale(0.7, learn = true, per_channel = true) -> tanh")
    weights = trained(network)
    assert run(network, weights, "fold-scales")[0].tally.changed == ("stem_scale",)
    weights["stem_scale"][5] = -0.1
    assert run(network, weights, "fold-scales")[0].tally.kept[0].places == ("stem_scale",)


@pytest.mark.parametrize(("tap", "changed"), [("input", ("stage1.0.scale",)), ("activated", ())])
def test_a_shortcut_that_reads_behind_the_scale(tap: str, changed: tuple[str, ...]) -> None:
    network = network_of(
        "stem conv(3x3, 8) -> relu stage u",
        f"unit u {{ branch scale(0.5) -> relu -> conv(3x3, 8) shortcut identity from {tap} }}",
    )
    (step,) = run(network, trained(network), "fold-scales")
    assert step.tally.changed == changed


def test_a_shortcut_that_reads_behind_scale_and_norm() -> None:
    """What stands before the scale takes it, so the shortcut reads the same."""
    network = network_of(
        "stem conv(3x3, 8) -> relu stage u",
        "unit u { branch bn -> scale(0.5) -> relu -> conv(3x3, 8) shortcut identity from activated }",
    )
    (step,) = run(network, trained(network), "fold-scales")
    assert step.tally.changed == ("stage1.0.scale",)


@pytest.mark.parametrize(
    ("shortcut", "changed", "left"),
    [
        ("scale(1, branch = 0.3)", ["scale", "scale"], []),
        ("scale(0.5, branch = -0.3)", ["scale"], [Scale(0.5, 1.0)]),
        ("scale(0.7, branch = 0.3, learn = true)", ["scale"], [Scale(0.7, 1.0, learn=True)]),
        ("scale(1, branch = 0.5) -> scale(1, branch = 3)", ["scale1", "scale2", "scale1", "scale2"], []),
        ("scale(0.5) -> conv(1x1)", ["scale"], []),
        ("conv(1x1) -> gate(1, branch = true) -> scale(0.5, branch = 2)", ["scale"], [Scale(0.5, 1.0)]),
        ("scale(0.5)", [], [Scale(0.5)]),
    ],
)
def test_on_shortcuts(shortcut: str, changed: list[str], left: list[Scale]) -> None:
    network = network_of("stem conv(3x3, 8) stage u", f"unit u {{ branch conv(3x3, 8) shortcut {shortcut} }}")
    (step,) = run(network, trained(network), "fold-scales")
    assert list(step.tally.changed) == [f"stage1.0.shortcut_{name}" for name in changed]
    assert standing(step.network).operators(Scale) == left


@pytest.mark.parametrize(("end", "kept"), [("", False), (" -> relu", True), (" -> se(2)", True)])
def test_a_factor_for_the_branch_that_its_last_layer_cannot_take(end: str, kept: bool) -> None:
    network = network_of(
        "stem conv(3x3, 8) stage u", f"unit u {{ branch conv(3x3, 8){end} shortcut scale(1, branch = -0.3) }}"
    )
    (step,) = run(network, trained(network), "fold-scales")
    assert standing(step.network).operators(Scale) == ([Scale(1, -0.3)] if kept else [])


@pytest.mark.parametrize("learn", ["false", "true"])
def test_a_factor_on_a_shortcut_waits_for_that_of_the_branch(learn: str) -> None:
    """The convolution before it could take the one, nothing the other."""
    network = network_of(
        "stem conv(3x3, 8) stage u",
        f"unit u {{ branch conv(3x3, 8) -> relu shortcut conv(1x1) -> scale(0.7, branch = -0.3, learn = {learn}) }}",
    )
    (step,) = run(network, trained(network), "fold-scales")
    assert step.network == network
    assert step.tally.kept[0].places == ("stage1.0.shortcut_scale",)


def test_copies_with_numbers_of_their_own() -> None:
    network = network_of(
        "stem conv(3x3, 8) stage 3 * u",
        "unit u { branch conv(3x3, 8) -> scale(1 + index) shortcut scale(1, branch = 1 / (1 + index)) }",
    )
    weights = trained(network)
    (step,) = run(network, weights, "fold-scales")
    assert standing(step.network)["scale"] == []
    for copy in range(3):
        name = f"stage1.{copy}.conv.weight"
        np.testing.assert_allclose(step.weights[name], weights[name], rtol=1e-12)


def test_features_behind_flatten_each_have_their_factor() -> None:
    network = network_of(
        "stem conv(3x3, 8) -> tanh head scale(0.7, learn = true, per_channel = true) -> flatten -> linear(5)"
    )
    (step,) = run(network, trained(network), "fold-scales")
    assert step.tally.changed == ("head_scale",)


def test_a_network_of_vectors() -> None:
    network = network_of(
        "stem linear(8) -> scale(0.7, learn = true, per_channel = true) stage u",
        "unit u { branch scale(0.5) -> linear(8) shortcut linear -> scale(-2) }",
        input="6",
    )
    (step,) = run(network, trained(network), "fold-scales")
    assert standing(step.network)["scale"] == []
