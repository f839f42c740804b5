"""The norms of full pre-activation go into the stream: by the formula, where it holds, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from resdsl.network.network import Network
from resdsl.passes.draft import Array, Weights
from resdsl.passes.fold_preactivation import LIMIT
from resdsl.passes.run import Step, run_passes
from resdsl.passes.table import PASSES
from tests.passes.trained import ANY_SIGN, network_of, run, standing, trained

NAME = "fold-preactivation"
STEM = "stem conv(3x3, 8)"
HEAD = "head bn -> relu -> avgpool -> linear(5)"
TAIL = "head avgpool -> linear(5)"
PRE = "unit pre1 { placement pre branch conv(3x3, 8) shortcut identity }"
SIGN = "gamma is not positive in every channel"
RANGE = "gamma or the statistics of a channel are out of range"
FACTOR = "no layer behind it takes the factor"
SHIFT = "no layer before it takes the shift"
FAR = "a shift of over 32 times what the channel holds"
SHARED = "its shortcut reads what the norm leaves"
UNCLEAN = "its shortcut is not clean"


def fold(network: Network, weights: Weights) -> Step:
    (step,) = run(network, weights, NAME)
    return step


def reasons(step: Step) -> dict[str, tuple[str, ...]]:
    return {kept.reason: kept.places for kept in step.tally.kept}


def s_and_c(weights: Weights, norm: str) -> tuple[Array, Array]:
    gamma, beta, mean, variance = (
        weights[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    s = gamma / np.sqrt(variance + 1e-5)
    return s, beta / s - mean


def close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# The formula, with the numbers worked out here.


def test_identity_shortcuts() -> None:
    network = network_of(f"{STEM} stage 2 * pre1 {HEAD}", PRE)
    weights = trained(network)
    step = fold(network, weights)
    s0, c0 = s_and_c(weights, "stage1.0.bn")
    s1, c1 = s_and_c(weights, "stage1.1.bn")
    s2, c2 = s_and_c(weights, "head_bn")
    expected = {
        "stem_conv.weight": weights["stem_conv.weight"],
        "stem_conv.bias": c0,
        "stage1.0.conv.weight": weights["stage1.0.conv.weight"] * s0[:, None, None],
        "stage1.0.conv.bias": c1 - c0,
        "stage1.1.conv.weight": weights["stage1.1.conv.weight"] * s1[:, None, None],
        "stage1.1.conv.bias": c2 - c1,
        "head_linear.weight": weights["head_linear.weight"] * s2,
        "head_linear.bias": weights["head_linear.bias"],
    }
    assert set(step.weights) == set(expected)
    for name, array in expected.items():
        close(step.weights[name], array)
    assert step.tally.changed == ("stage1.0", "stage1.1", "head_bn")
    assert step.tally.kept == ()
    assert set(step.tally.shifts) == {"stage1.0", "stage1.1"}
    close(step.tally.shifts["stage1.0"], c1)
    close(step.tally.shifts["stage1.1"], c2)


def test_a_projection_that_reads_activated_takes_the_factor_and_no_shift() -> None:
    unit = "unit u { placement pre branch conv(3x3, 16, 2) shortcut identity projection conv(1x1) }"
    network = network_of(f"{STEM} stage u {HEAD}", unit)
    weights = trained(network)
    step = fold(network, weights)
    s0, _ = s_and_c(weights, "stage1.0.bn")
    _, c1 = s_and_c(weights, "head_bn")
    close(step.weights["stage1.0.shortcut_conv.weight"], weights["stage1.0.shortcut_conv.weight"] * s0[:, None, None])
    close(step.weights["stage1.0.conv.bias"], c1)
    assert "stage1.0.shortcut_conv.bias" not in step.weights


def test_a_projection_that_reads_the_input_takes_the_shift_back() -> None:
    unit = (
        "unit u { placement pre branch conv(3x3, 16, 2) shortcut identity projection conv(1x1, groups = 2) from input }"
    )
    network = network_of(f"{STEM} stage u {HEAD}", unit)
    weights = trained(network)
    step = fold(network, weights)
    _, c0 = s_and_c(weights, "stage1.0.bn")
    _, c1 = s_and_c(weights, "head_bn")
    projection = weights["stage1.0.shortcut_conv.weight"][:, :, 0, 0]
    taken = np.concatenate([projection[:8] @ c0[:4], projection[8:] @ c0[4:]])
    close(step.weights["stage1.0.shortcut_conv.weight"], weights["stage1.0.shortcut_conv.weight"])
    close(step.weights["stage1.0.shortcut_conv.bias"], -taken)
    close(step.weights["stage1.0.conv.bias"], c1)


def test_new_channels_of_option_a_are_not_shifted() -> None:
    unit = "unit u { placement pre branch conv(3x3, 16, 2) shortcut identity projection pad from input }"
    network = network_of(f"{STEM} stage u {HEAD}", unit)
    weights = trained(network)
    step = fold(network, weights)
    _, c0 = s_and_c(weights, "stage1.0.bn")
    _, c1 = s_and_c(weights, "head_bn")
    close(step.weights["stage1.0.conv.bias"], c1 - np.concatenate([c0, np.zeros(8)]))


def test_a_norm_that_stays_reads_the_stream_shifted() -> None:
    network = network_of(f"{STEM} stage 3 * pre1 {HEAD}", PRE)
    weights = trained(network)
    weights["stage1.1.bn.weight"][3] *= -1
    step = fold(network, weights)
    _, c0 = s_and_c(weights, "stage1.0.bn")
    _, c2 = s_and_c(weights, "stage1.2.bn")
    assert standing(step.network)["bn"] == ["stage1.1.bn"]
    assert reasons(step) == {SIGN: ("stage1.1",)}
    assert step.tally.changed == ("stage1.0", "stage1.2", "head_bn")
    close(step.weights["stage1.1.bn.running_mean"], weights["stage1.1.bn.running_mean"] + c0)
    assert "stage1.0.conv.bias" not in step.weights, "it has nothing to add"
    close(step.weights["stage1.1.conv.bias"], c2 - c0)


def test_a_dead_channel_is_no_obstacle_without_a_shift() -> None:
    """Without an activation every sign will do, and 0 alone will not."""
    unit = "unit u { branch bn -> conv(3x3, 8) shortcut identity }"
    network = network_of(f"{STEM} stage u head avgpool -> linear(5)", unit)
    weights = trained(network, draws=ANY_SIGN)
    assert (weights["stage1.0.bn.weight"] < 0).any()
    assert fold(network, weights).tally.changed == ("stage1.0",)
    weights["stage1.0.bn.weight"][1] = 0.0
    assert reasons(fold(network, weights)) == {SIGN: ("stage1.0",)}


# One channel's numbers.


@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        ("weight", -1.0, SIGN),
        ("weight", -1e-30, SIGN),
        ("weight", 0.0, SIGN),
        ("weight", -0.0, SIGN),
        ("weight", 1e-30, FAR),
        ("weight", 5e-324, RANGE),
        ("weight", 1e30, None),
        ("running_var", 0.0, None),
        ("running_var", 1e-30, None),
        ("running_var", 1e4, None),
        ("running_mean", -30.0, None),
        ("bias", 1e6, FAR),
        ("bias", -1e6, FAR),
        ("bias", 0.0, None),
    ],
)
def test_one_channel(part: str, value: float, reason: str | None) -> None:
    network = network_of(f"{STEM} stage 3 * pre1 {HEAD}", PRE)
    weights = trained(network)
    weights[f"stage1.1.bn.{part}"][3] = value
    step = fold(network, weights)
    assert reasons(step) == ({} if reason is None else {reason: ("stage1.1",)})


@pytest.mark.parametrize("gamma", [1e-30, 5e-324])
def test_tiny_factors_fold_where_the_shift_is_not_large(gamma: float) -> None:
    network = network_of(f"{STEM} stage 3 * pre1 {HEAD}", PRE)
    weights = trained(network)
    weights["stage1.1.bn.weight"][3] = gamma
    weights["stage1.1.bn.bias"][3] = 0.0
    assert fold(network, weights).tally.kept == ()


@pytest.mark.parametrize(("part", "value"), [("weight", np.nan), ("bias", np.inf), ("running_var", -1.0)])
def test_what_is_not_finite_is_not_spread(part: str, value: float) -> None:
    network = network_of(f"{STEM} stage 3 * pre1 {HEAD}", PRE)
    weights = trained(network)
    weights[f"stage1.1.bn.{part}"][3] = value
    (step,) = run_passes(network, weights, [PASSES[NAME]])
    assert reasons(step) == {RANGE: ("stage1.1",)}
    assert all(np.isfinite(step.weights[name]).all() for name in step.weights if "stage1.1.bn" not in name)


@pytest.mark.parametrize(("times", "folds"), [(0.99, True), (1.01, False), (-0.99, True), (-1.01, False)])
def test_the_limit_is_of_what_the_channel_holds(times: float, folds: bool) -> None:
    """Of the root mean square that the norm has recorded, as sqrt(mean**2 + variance + eps)."""
    network = network_of(f"{STEM} stage 2 * pre1 {HEAD}", PRE)
    weights = trained(network)
    gamma, mean, variance = (weights[f"stage1.1.bn.{part}"][3] for part in ("weight", "running_mean", "running_var"))
    size, deviation = np.sqrt(mean**2 + variance + 1e-5), np.sqrt(variance + 1e-5)
    weights["stage1.1.bn.bias"][3] = (times * LIMIT * size + mean) * gamma / deviation
    assert reasons(fold(network, weights)) == ({} if folds else {FAR: ("stage1.1",)})


@pytest.mark.parametrize(("part", "value"), [("running_mean", 1e6), ("running_var", 1e30)])
@pytest.mark.parametrize("norm", ["stage1.0.bn", "stage1.1.bn"])
def test_statistics_that_do_not_fit_the_network_are_not_believed(part: str, value: float, norm: str) -> None:
    """Where a norm says that x is about 1e6, and its neighbour that it is about 1, x + c would lose x."""
    network = network_of(f"{STEM} stage 2 * pre1 {HEAD}", PRE)
    weights = trained(network)
    weights[f"{norm}.{part}"][3] = value
    step = fold(network, weights)
    unit = norm.removesuffix(".bn")
    assert reasons(step) == {"a shift of over 32 times what the channel holds": (unit,)}


def test_another_limit() -> None:
    network = network_of(f"{STEM} stage 2 * pre1 {HEAD}", PRE)
    (step,) = run_passes(network, trained(network), [PASSES[NAME]], limit=0.0)
    assert reasons(step) == {"a shift of over 0 times what the channel holds": ("stage1.0", "stage1.1", "head_bn")}
    assert step.network == network


# Which units fold, and which norms stay for what reason.


@pytest.mark.parametrize(
    "unit",
    [
        "placement pre branch conv(3x3, 8) -> conv(3x3, 8) shortcut identity",
        "placement pre branch conv(1x1, 4) -> conv(3x3, 4) -> conv(1x1, 8) shortcut identity",
        "placement pre branch conv(3x3, 8, groups = 4) -> conv(1x1, 8, bias = true) shortcut identity",
        "placement pre branch dropout(0.1) -> conv(3x3, 8) -> dropout(0.2) -> drop_path(0.2) shortcut identity",
        "placement pre branch conv(3x3, 8) -> maxpool(3x3, 1) shortcut dropout(0.3)",
        "branch bn -> relu -> maxpool(3x3, 1) -> conv(3x3, 8) shortcut identity",
        "branch bn -> avgpool(3x3, 1, 1) -> relu -> scale(0.5) -> conv(3x3, 8) shortcut maxpool(3x3, 1)",
        "branch dropout(0) -> bn -> relu -> conv(3x3, 8) -> groupnorm(2) shortcut identity",
        "placement pre branch conv(3x3, 8) shortcut conv(1x1)",
        "placement pre branch conv(3x3, 8) shortcut bn -> relu -> conv(1x1)",
        "placement pre branch conv(3x3, 8) shortcut conv(1x1) -> gate(1)",
        "placement pre branch conv(3x3, 8) shortcut none",
        "placement pre branch conv(3x3, 8) -> se(2) shortcut conv(1x1)",
        "placement pre branch conv(3x3, 8) shortcut conv(1x1) from activated",
        "placement pre branch conv(3x3, 8) shortcut maxpool(3x3, 1) -> conv(3x3) from activated",
        "placement pre branch conv(3x3, 8, standardise = true) -> conv(3x3, 8, standardise = true) shortcut conv(1x1)",
        "placement pre branch conv(3x3, 8) shortcut identity after dropout(0.1) -> maxpool(3x3, 1)",
    ],
)
def test_units_that_fold(unit: str) -> None:
    """Two of them, and the norm of the head behind: none but norms inside of branches stays."""
    standardised = "standardise" in unit
    network = network_of(f"{STEM} stage 2 * u {HEAD}", f"unit u {{ {unit} }}")
    steps = run(network, trained(network), *(["fold-standardised"] if standardised else []), NAME)
    assert steps[-1].tally.changed == ("stage1.0", "stage1.1", "head_bn")
    assert steps[-1].tally.kept == ()


@pytest.mark.parametrize(
    ("unit", "kept"),
    [
        ("placement pre branch conv(3x3, 8) shortcut scale(0.5)", UNCLEAN),
        ("placement pre branch conv(3x3, 8) shortcut gate(-1)", UNCLEAN),
        ("placement pre branch conv(3x3, 8) shortcut partial(0.5)", UNCLEAN),
        ("placement pre branch conv(3x3, 8) shortcut relu", UNCLEAN),
        ("placement pre branch conv(3x3, 8) shortcut conv(3x3)", UNCLEAN),
        ("placement pre branch conv(3x3, 8) shortcut conv(1x1, standardise = true)", UNCLEAN),
        ("placement pre branch conv(3x3, 8) shortcut avgpool(3x3, 1, 1)", UNCLEAN),
        ("placement pre branch conv(3x3, 8) shortcut identity from activated", SHARED),
        ("placement pre branch conv(3x3, 8) shortcut scale(2) from activated", SHARED),
        ("placement pre branch conv(3x3, 8) shortcut conv(1x1, standardise = true) from activated", SHARED),
        ("placement pre branch conv(3x3, 8) shortcut partial(0.5, conv(1x1, 4)) from activated", SHARED),
        ("placement pre act silu branch conv(3x3, 8) shortcut identity", FACTOR),
        ("placement pre branch conv(3x3, 8, standardise = true) shortcut identity", FACTOR),
        ("branch bn -> relu -> concat(conv(1x1, 4), conv(1x1, 4)) shortcut identity", FACTOR),
        ("branch bn -> relu -> se(2) -> conv(3x3, 8) shortcut identity", FACTOR),
        ("branch bn -> relu shortcut identity", FACTOR),
        ("branch bn -> bn -> relu -> conv(3x3, 8) shortcut identity", FACTOR),
    ],
)
def test_units_that_stay(unit: str, kept: str) -> None:
    network = network_of(f"{STEM} stage 2 * u {TAIL}", f"unit u {{ {unit} }}")
    step = fold(network, trained(network))
    assert reasons(step) == {kept: ("stage1.0", "stage1.1")}
    assert step.network == network


@pytest.mark.parametrize(
    ("between", "unit", "folded"),
    [
        ("conv(3x3, 8)", "shortcut identity", [0, 1]),
        ("conv(3x3, 8) -> maxpool(3x3, 2)", "shortcut identity", [0, 1]),
        ("conv(3x3, 8) -> bn", "shortcut identity", [0, 1]),
        ("conv(3x3, 8) -> avgpool(2x2, 2)", "shortcut identity", [0, 1]),
        ("conv(3x3, 8) -> avgpool(3x3, 1, 1)", "shortcut identity", [1]),
        ("conv(3x3, 8) -> relu", "shortcut identity", [1]),
        ("conv(3x3, 8) -> bn -> relu -> maxpool(3x3, 2)", "shortcut identity", [1]),
        ("tanh -> conv(3x3, 8) -> se(2)", "shortcut identity", [1]),
        ("conv(3x3, 8)", "shortcut identity after relu", []),
        ("conv(3x3, 8)", "shortcut identity after groupnorm(2)", []),
        ("conv(3x3, 8)", "shortcut scale(1, branch = 0.5)", []),
        ("conv(3x3, 8)", "shortcut gate(1, branch = true)", []),
        ("conv(3x3, 8)", "shortcut conv(1x1) -> gate(1, branch = true)", [0]),
        ("conv(3x3, 8)", "shortcut conv(1x1) -> scale(1, branch = 0.5)", [0]),
    ],
)
def test_layers_that_shift(between: str, unit: str, folded: list[int]) -> None:
    """A norm stays where what stands before it cannot shift the stream for it."""
    network = network_of(f"stem {between} stage 2 * u {TAIL}", f"unit u {{ branch bn -> relu -> conv(3x3, 8) {unit} }}")
    step = fold(network, trained(network))
    assert step.tally.changed == tuple(f"stage1.{number}" for number in folded)


@pytest.mark.parametrize(
    ("unit", "shifts"),
    [
        ("branch conv(3x3, 8) shortcut identity", True),
        ("branch conv(3x3, 8) shortcut relu", True),
        ("branch conv(3x3, 8) shortcut gate(-1)", True),
        ("branch conv(3x3, 8) -> maxpool(3x3, 1) shortcut scale(0.5) after dropout(0.1) -> maxpool(3x3, 1)", True),
        ("branch conv(3x3, 8) -> se(2) shortcut conv(1x1)", True),
        ("branch conv(3x3, 8) -> layernorm shortcut none", True),
        ("branch conv(3x3, 8) -> relu shortcut none", False),
        ("branch conv(3x3, 8) shortcut none after relu", False),
        ("branch conv(3x3, 8) shortcut identity after relu", False),
        ("branch conv(3x3, 8) shortcut conv(1x1) after scale(2)", False),
        ("branch conv(3x3, 8) shortcut conv(1x1) after avgpool(3x3, 1, 1)", False),
        ("branch conv(3x3, 8) -> se(2) shortcut identity", False),
        ("branch conv(3x3, 8) shortcut scale(1, branch = 0.5)", False),
        ("branch conv(3x3, 8) shortcut conv(1x1) -> gate(1, branch = true)", False),
    ],
)
def test_units_that_shift_what_they_write(unit: str, shifts: bool) -> None:
    """For the one behind them, in which everything else is in order."""
    network = network_of(f"stem conv(3x3, 8) -> relu stage u -> pre1 {TAIL}", f"unit u {{ {unit} }}", PRE)
    step = fold(network, trained(network))
    assert step.tally.changed == (("stage1.1",) if shifts else ())
    assert reasons(step) == ({} if shifts else {SHIFT: ("stage1.1",)})


@pytest.mark.parametrize(
    ("branch", "folded"), [("conv(3x3, 8)", [0, 1, 2]), ("conv(3x3, 8) -> se(2)", [0]), ("tanh", [])]
)
def test_branches_that_cannot_shift_tie_the_stream_together(branch: str, folded: list[int]) -> None:
    """Behind the first unit its c stays as it is, since no branch can change it; the head reads it through its norm."""
    network = network_of(
        f"{STEM} stage 3 * u head bn -> avgpool -> relu -> linear(5)",
        f"unit u {{ placement pre branch {branch} shortcut identity }}",
    )
    step = fold(network, trained(network))
    assert [place for place in step.tally.changed if place.startswith("stage1")] == [f"stage1.{n}" for n in folded]


@pytest.mark.parametrize(
    "between",
    [
        "stage maxpool(3x3, 1) -> pre1",
        "stage dropout(0.1) stage maxpool(2x2, 2) -> pre1",
        "stage u -> pre1",
        "stage 2 * u stage u -> maxpool(3x3, 1) -> pre1",
    ],
)
def test_a_wish_travels_back_to_a_layer_that_can_shift(between: str) -> None:
    """What stands between hands the shift on, or takes it back where it reads it."""
    network = network_of(f"{STEM} {between} {TAIL}", PRE, "unit u { branch conv(1x1, 8) -> se(2) shortcut identity }")
    weights = trained(network)
    step = fold(network, weights)
    (norm,) = standing(network)["bn"]
    assert standing(step.network)["bn"] == []
    close(step.weights["stem_conv.bias"], s_and_c(weights, norm)[1])


def test_what_cannot_be_shifted_back_ties_the_stream_to_0() -> None:
    """A branch that reads the stream with a padded convolution must find it as it was, and no branch can see to that."""
    network = network_of(
        f"{STEM} stage pre_se -> post -> pre1 {TAIL}",
        PRE_SE,
        "unit post { branch conv(3x3, 8) shortcut identity }",
        PRE,
    )
    step = fold(network, trained(network))
    assert step.tally.changed == ("stage1.2",)
    assert reasons(step) == {SHIFT: ("stage1.0",)}


PRE_SE = "unit pre_se { placement pre branch conv(3x3, 8) -> se(2) shortcut identity }"
"""What it reads shifted it writes shifted: its branch cannot take it back."""


@pytest.mark.parametrize(
    "unit",
    [
        "branch conv(3x3, 8) shortcut identity",
        "branch conv(1x1, 8) shortcut scale(0.5)",
        "branch conv(1x1, 8) shortcut relu",
        "branch conv(1x1, 8) shortcut identity after relu",
        "branch dropout(0) -> conv(1x1, 8) shortcut identity from activated",
        "branch relu -> bn -> relu -> conv(3x3, 8) shortcut identity",
        "branch groupnorm(2) -> conv(1x1, 8) shortcut identity",
        "branch avgpool(3x3, 1, 1) -> conv(1x1, 8) shortcut identity",
        "branch conv(1x1, 8, standardise = true) shortcut none",
    ],
)
def test_units_that_must_find_the_stream_as_it_was(unit: str) -> None:
    network = network_of(f"{STEM} stage pre_se -> u {TAIL}", PRE_SE, f"unit u {{ {unit} }}")
    step = fold(network, trained(network))
    assert reasons(step) == {SHIFT: ("stage1.0",)}
    assert step.network == network


@pytest.mark.parametrize(
    ("unit", "into"),
    [
        ("branch conv(1x1, 8) shortcut identity", {"conv.bias"}),
        ("branch conv(1x1, 8) shortcut conv(1x1)", {"conv.bias", "shortcut_conv.bias"}),
        ("branch maxpool(3x3, 1) -> conv(1x1, 8, bias = true) shortcut none", {"conv.bias"}),
        ("branch conv(1x1, 8) shortcut identity from activated", {"conv.bias"}),  # which is the input
        ("branch bn -> relu -> conv(3x3, 8) shortcut identity", {"bn.running_mean"}),
        ("branch bn -> relu -> conv(3x3, 8) shortcut identity from activated", {"bn.running_mean"}),
        ("branch bn -> relu -> conv(3x3, 8) shortcut conv(1x1) from activated", {"bn.running_mean"}),
        ("branch bn -> relu -> conv(3x3, 8) shortcut bn -> tanh", {"bn.running_mean", "shortcut_bn.running_mean"}),
    ],
)
def test_units_that_take_a_shift_back(unit: str, into: set[str]) -> None:
    """Its own norm stays, where it has one: a channel's factor is negative."""
    network = network_of(f"{STEM} stage pre_se -> u {TAIL}", PRE_SE, f"unit u {{ {unit} }}")
    weights = trained(network)
    if "stage1.1.bn.weight" in weights:
        weights["stage1.1.bn.weight"][0] *= -1
    step = fold(network, weights)
    assert "stage1.0" in step.tally.changed
    changed = {name for name in step.weights if step.weights[name] is not weights.get(name)}
    assert {name.removeprefix("stage1.1.") for name in changed if name.startswith("stage1.1.")} == into


def test_a_unit_that_pads_and_cannot_shift_is_a_bound() -> None:
    """What is wished of its 16 channels cannot be wished of the 8 before it."""
    network = network_of(
        f"{STEM} stage u stage pre16 {TAIL}",
        "unit u { placement pre branch conv(3x3, 16, 2) -> se(2) shortcut identity projection pad from input }",
        "unit pre16 { placement pre branch conv(3x3, 16) shortcut identity }",
    )
    step = fold(network, trained(network))
    assert step.tally.changed == ()
    assert reasons(step) == {UNCLEAN: ("stage1.0",), SHIFT: ("stage2.0",)}


def test_behind_a_shortcut_that_reads_activated_nothing_is_shifted_yet() -> None:
    """Its norm stays and takes the shift that is handed to it; the sum behind it has none."""
    network = network_of(
        f"{STEM} stage pre_se -> shared -> pre1 {TAIL}",
        PRE_SE,
        "unit shared { placement pre branch conv(3x3, 8) shortcut identity from activated }",
        PRE,
    )
    weights = trained(network)
    step = fold(network, weights)
    assert step.tally.changed == ("stage1.0", "stage1.2")
    close(step.weights["stage1.1.conv.bias"], s_and_c(weights, "stage1.2.bn")[1])


def test_where_the_stream_leaves_it_is_as_it_was() -> None:
    network = network_of(f"{STEM} stage 2 * pre1", PRE)
    weights = trained(network)
    step = fold(network, weights)
    _, c1 = s_and_c(weights, "stage1.1.bn")
    close(step.weights["stage1.1.conv.bias"], -c1)
    assert list(step.tally.shifts) == ["stage1.0"]


# What two read.


@pytest.mark.parametrize("norm", ["bn", "groupnorm(2)", "layernorm"])
def test_a_shortcut_that_reads_what_units_read(norm: str) -> None:
    """The outer shortcut reads between the norm and the units: the norm may not shift it for them."""
    network = network_of(
        f"{STEM} -> relu stage outer {HEAD}",
        PRE,
        f"unit outer {{ branch {norm} -> 2 * pre1 shortcut identity from activated }}",
    )
    step = fold(network, trained(network))
    assert step.tally.changed == ("stage1.0.pre1.1",)
    assert "stage1.0.pre1.0" in reasons(step)[SHIFT]


@pytest.mark.parametrize(("shortcut", "folds"), [("conv(1x1)", True), ("maxpool(3x3, 1) -> conv(1x1)", False)])
def test_a_shortcut_that_cannot_take_a_negative_factor(shortcut: str, folds: bool) -> None:
    """The branch could take it: no activation stands there."""
    network = network_of(
        f"{STEM} stage u {TAIL}", f"unit u {{ branch bn -> conv(3x3, 8) shortcut {shortcut} from activated }}"
    )
    step = fold(network, trained(network, draws=ANY_SIGN))
    assert bool(step.tally.changed) == folds
    assert reasons(step) == ({} if folds else {SIGN: ("stage1.0",)})
    assert fold(network, trained(network)).tally.changed == ("stage1.0",)


# Where units stand.


def test_units_in_units() -> None:
    network = network_of(
        f"{STEM} stage outer {HEAD}",
        PRE,
        "unit outer { branch bn -> relu -> conv(3x3, 8) -> 2 * pre1 -> bn -> relu -> conv(3x3, 8) shortcut identity }",
    )
    step = fold(network, trained(network))
    assert standing(step.network)["bn"] == []
    assert step.tally.changed == ("stage1.0.pre1.0", "stage1.0.pre1.1", "stage1.0.bn2", "stage1.0", "head_bn")
    assert step.tally.kept == ()


def test_the_norm_at_the_head_of_a_unit_that_holds_units_is_named_once() -> None:
    network = network_of(
        f"{STEM} -> relu stage outer {TAIL}",
        PRE,
        "unit outer { branch bn -> relu -> conv(3x3, 8) -> 2 * pre1 shortcut identity }",
    )
    step = fold(network, trained(network))
    assert step.tally.changed == ("stage1.0.pre1.0", "stage1.0.pre1.1")
    assert reasons(step) == {SHIFT: ("stage1.0",)}


def test_units_in_concat() -> None:
    network = network_of(
        f"{STEM} -> relu -> concat(conv(3x3, 8) -> 2 * pre1 -> bn -> relu -> conv(1x1, 4), pre1) {TAIL}", PRE
    )
    step = fold(network, trained(network))
    assert standing(step.network)["bn"] == ["stem_pre12.0.bn"]


def test_units_in_stem_and_head() -> None:
    network = network_of(f"{STEM} -> pre1 head pre1 -> bn -> relu -> flatten -> linear(5)", PRE)
    step = fold(network, trained(network))
    assert step.tally.changed == ("stem_pre1.0", "head_pre1.0", "head_bn")
    assert standing(step.network)["bn"] == []


def test_a_network_of_vectors() -> None:
    network = network_of(
        "stem linear(8) stage 2 * u stage u first(width = 12) head bn -> relu -> linear(5)",
        "unit u(width = 8) { placement pre branch linear(width) -> linear(width) shortcut identity projection linear from input }",
        input="6",
    )
    step = fold(network, trained(network))
    assert step.tally.changed == ("stage1.0", "stage1.1", "stage2.0", "head_bn")


@pytest.mark.parametrize("head", ["bn -> relu -> flatten -> linear(5)", "flatten -> bn -> relu -> linear(5)"])
def test_a_head_that_flattens(head: str) -> None:
    """A norm behind flatten has a number for each position, and stays: the stream has one for each channel."""
    network = network_of(f"{STEM} stage 2 * pre1 head {head}", PRE)
    step = fold(network, trained(network))
    assert standing(step.network)["bn"] == ([] if head.startswith("bn") else ["head_bn"])


def test_copies_with_numbers_of_their_own() -> None:
    network = network_of(
        f"{STEM} stage 3 * u {HEAD}",
        "unit u { branch bn -> relu -> scale(0.5 + index) -> conv(3x3, 8) -> drop_path(index / 4) shortcut identity }",
    )
    step = fold(network, trained(network))
    assert standing(step.network)["bn"] == []
    assert len(standing(step.network)["scale"]) == 3
