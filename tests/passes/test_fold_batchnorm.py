"""Batch norms go into the layer before them, or into the one behind where that is exact."""

from __future__ import annotations

import numpy as np
import pytest

from resdsl.passes.run import run_passes
from resdsl.passes.table import PASSES
from tests.passes.trained import ANY_SIGN, Draws, network_of, run, standing, trained

HEAD = "head avgpool -> linear(5)"
PREACT = "unit inner { placement pre branch conv(3x3, 8) shortcut identity }"


@pytest.mark.parametrize(
    ("chain", "into"),
    [
        ("conv(3x3, 8) -> bn", "conv"),
        ("conv(3x3, 8, bias = true) -> bn(eps = 0.1)", "conv"),
        ("conv(1x1, 8, groups = 4) -> bn -> relu", "conv"),
        ("conv(3x3, 8) -> dropout(0.1) -> drop_path(0.2) -> bn", "conv"),
        ("conv(3x3, 8) -> avgpool(3x3, 1) -> bn", "conv"),
        ("conv(3x3, 8) -> avgpool(3x3, 1, 1, count_padding = false) -> bn", "conv"),
        ("conv(3x3, 8) -> bn -> conv(3x3, 8)", "conv1"),
        ("tanh -> bn -> conv(1x1, 8)", "conv"),
        ("tanh -> bn -> conv(3x3, 8, padding = 0, groups = 2, stride = 2)", "conv"),
        ("tanh -> bn -> maxpool(3x3, 1, 0) -> avgpool(3x3, 1) -> flatten -> linear(7)", "linear"),
        ("conv(3x3, 8) -> maxpool(3x3, 1) -> bn -> conv(1x1, 8)", "conv1"),
        ("conv(3x3, 8, standardise = true) -> bn -> conv(1x1, 8)", "conv2"),
        ("conv(3x3, 8) -> avgpool -> bn -> relu -> linear(5)", "conv"),
        ("avgpool -> linear(8) -> bn", "linear"),
    ],
)
def test_taken(chain: str, into: str) -> None:
    network = network_of(f"stem tanh -> {chain}")
    weights = trained(network)
    (step,) = run(network, weights, "fold-batchnorm")
    assert step.tally.changed == ("stem_bn",)
    assert standing(step.network).all() == standing(network).all() - {"stem_bn"}
    changed = {name.rpartition(".")[0] for name in step.weights if step.weights[name] is not weights.get(name)}
    assert changed == {f"stem_{into}"}
    assert f"stem_{into}.bias" in step.weights


@pytest.mark.parametrize(
    "chain",
    [
        "tanh -> bn -> relu -> conv(1x1, 8)",
        "tanh -> bn -> conv(3x3, 8)",
        "tanh -> bn -> conv(1x1, 8, padding = 1)",
        "tanh -> bn -> avgpool(3x3, 1, 1) -> conv(1x1, 8)",
        "tanh -> bn -> conv(1x1, 8, standardise = true)",
        "tanh -> bn -> scale(0.5) -> conv(1x1, 8)",
        "conv(3x3, 8) -> avgpool(3x3, 1, 1) -> bn -> relu",
        "conv(3x3, 8) -> relu -> bn -> relu",
        "conv(3x3, 8) -> se(2) -> bn",
        "conv(3x3, 8) -> scale(0.5) -> bn",
        "conv(3x3, 8) -> drop_path(0.5, rescale = false) -> bn",
        "conv(3x3, 8) -> groupnorm(2) -> bn",
        "conv(3x3, 8, standardise = true) -> bn -> relu",
        "concat(conv(1x1, 4), conv(1x1, 4)) -> bn -> relu",
        "partial(0.5, conv(1x1, 2)) -> bn -> relu",
        "conv(3x3, 8) -> flatten -> bn",
    ],
)
def test_not_taken(chain: str) -> None:
    network = network_of(f"stem {chain}")
    weights = trained(network)
    (step,) = run(network, weights, "fold-batchnorm")
    assert step.network == network
    assert step.tally.changed == ()
    assert all(step.weights[name] is weights[name] for name in weights)


@pytest.mark.parametrize(
    ("chain", "whatever_sign"),
    [
        ("conv(3x3, 8) -> maxpool(3x3, 1) -> bn -> relu", False),
        ("tanh -> bn -> maxpool(3x3, 1) -> conv(1x1, 8)", False),
        ("conv(3x3, 8) -> bn -> maxpool(3x3, 1)", True),
        ("tanh -> bn -> avgpool(3x3, 1) -> conv(1x1, 8)", True),
    ],
)
def test_a_negative_factor_stops_at_a_maximum(chain: str, whatever_sign: bool) -> None:
    network = network_of(f"stem {chain}")
    assert run(network, trained(network), "fold-batchnorm")[0].tally.changed == ("stem_bn",)
    (step,) = run(network, trained(network, draws=ANY_SIGN), "fold-batchnorm")
    assert step.tally.changed == (("stem_bn",) if whatever_sign else ())


def test_without_a_shift_it_goes_through_padding_and_relu() -> None:
    network = network_of("stem tanh -> bn -> relu -> conv(3x3, 8)")
    weights = trained(network)
    weights["stem_bn.bias"] = weights["stem_bn.running_mean"] = np.zeros(4)
    assert run(network, weights, "fold-batchnorm")[0].tally.changed == ("stem_bn",)
    weights["stem_bn.weight"][1] *= -1
    assert run(network, weights, "fold-batchnorm")[0].tally.changed == ()


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-30, 5e-324, -2.0, 1e30])
def test_any_factor_goes_into_the_layer_before(value: float) -> None:
    network = network_of(f"stem conv(3x3, 8) -> bn {HEAD}")
    weights = trained(network)
    weights["stem_bn.weight"][2] = value
    assert run(network, weights, "fold-batchnorm")[0].tally.changed == ("stem_bn",)


@pytest.mark.parametrize(
    "sections", [f"stem conv(3x3, 8) -> bn {HEAD}", "stem conv(3x3, 8) head bn -> avgpool -> linear(5)"]
)
@pytest.mark.parametrize(("part", "value"), [("running_var", -1.0), ("weight", np.nan), ("bias", np.inf)])
def test_what_is_not_finite_stays_where_it_can_be_seen(sections: str, part: str, value: float) -> None:
    network = network_of(sections)
    weights = trained(network)
    (norm,) = standing(network)["bn"]
    weights[f"{norm}.{part}"][2] = value
    (step,) = run_passes(network, weights, [PASSES["fold-batchnorm"]])
    assert step.network == network
    assert all(step.weights[name] is weights[name] for name in weights)


def test_a_variance_of_0() -> None:
    network = network_of(f"stem conv(3x3, 8) -> bn {HEAD}")
    weights = trained(network)
    weights["stem_bn.running_var"][2] = 0.0
    assert run(network, weights, "fold-batchnorm")[0].tally.changed == ("stem_bn",)


@pytest.mark.parametrize(
    ("tap", "branch", "taken"),
    [
        ("input", "bn -> conv(1x1, 8)", True),
        ("activated", "bn -> conv(1x1, 8)", False),
        ("activated", "conv(1x1, 8) -> bn -> conv(1x1, 8)", True),
        ("activated", "relu -> conv(1x1, 8) -> bn", True),
    ],
)
def test_a_shortcut_that_reads_behind_the_norm(tap: str, branch: str, taken: bool) -> None:
    network = network_of(f"stem tanh stage u {HEAD}", f"unit u {{ branch {branch} shortcut conv(1x1) from {tap} }}")
    (step,) = run(network, trained(network, draws=ANY_SIGN), "fold-batchnorm")
    assert standing(step.network)["bn"] == ([] if taken else ["stage1.0.bn"])


@pytest.mark.parametrize(
    ("sections", "unit", "taken"),
    [
        ("stem conv(3x3, 8) stage u", "branch bn -> relu -> conv(3x3, 8) shortcut none", ["bn"]),
        ("stem conv(3x3, 8) stage u", "branch bn -> bn -> relu -> conv(3x3, 8) shortcut none", ["bn1", "bn2"]),
        ("stem conv(3x3, 8) stage u", "branch bn -> relu -> conv(3x3, 8) shortcut identity from activated", ["bn"]),
        ("stem conv(3x3, 8) stage u", "branch bn -> relu -> conv(3x3, 8) shortcut conv(1x1) from activated", ["bn"]),
        ("stem conv(3x3, 8) stage u", "branch bn -> relu -> conv(3x3, 8) shortcut identity", []),
        ("stem conv(3x3, 8) stage u", "branch bn -> relu -> conv(3x3, 8) shortcut conv(1x1)", []),
        ("stem conv(3x3, 8) stage u", "branch bn -> relu shortcut identity from activated", []),  # which is the input
        ("stem conv(3x3, 8) -> relu stage u", "branch bn -> relu -> conv(3x3, 8) shortcut none", []),
        ("stem conv(3x3, 8) -> dropout(0.1) stage u", "branch dropout(0) -> bn -> tanh shortcut none", ["bn"]),
        ("stem conv(3x3, 8) -> bn stage u", "branch bn -> relu -> conv(3x3, 8) shortcut none", ["bn"]),
    ],
)
def test_into_the_layer_of_the_section_before(sections: str, unit: str, taken: list[str]) -> None:
    network = network_of(f"{sections} {HEAD}", f"unit u {{ {unit} }}")
    (step,) = run(network, trained(network, draws=ANY_SIGN), "fold-batchnorm")
    gone = standing(network).all() - standing(step.network).all()
    assert {name for name in gone if name.startswith("stage1")} == {f"stage1.0.{name}" for name in taken}


@pytest.mark.parametrize(
    ("unit", "taken"),
    [
        ("branch conv(3x3, 8) -> relu -> conv(3x3, 8) shortcut none", True),
        ("branch conv(3x3, 8) -> relu -> conv(3x3, 8) shortcut none after relu", False),
        ("branch conv(3x3, 8) -> relu -> conv(3x3, 8) shortcut identity", False),
        ("branch conv(3x3, 8) -> relu -> conv(3x3, 8) shortcut conv(1x1)", False),
    ],
)
def test_the_norm_of_the_head_into_the_unit_before(unit: str, taken: bool) -> None:
    network = network_of("stem conv(3x3, 8) stage u head bn -> relu -> avgpool -> linear(5)", f"unit u {{ {unit} }}")
    (step,) = run(network, trained(network, draws=ANY_SIGN), "fold-batchnorm")
    assert standing(step.network)["bn"] == ([] if taken else ["head_bn"])


def test_on_shortcuts_in_concat_and_in_partial() -> None:
    network = network_of(
        f"stem conv(3x3, 8) stage u {HEAD}",
        "unit u { branch concat(conv(1x1, 4) -> bn -> relu, partial(0.5, conv(3x3, 4) -> bn)) -> conv(1x1, 8)"
        " shortcut conv(1x1) -> bn after bn -> relu }",
    )
    (step,) = run(network, trained(network, draws=ANY_SIGN), "fold-batchnorm")
    assert standing(step.network)["bn"] == ["stage1.0.after_bn"]


@pytest.mark.parametrize(
    ("placement", "left"),
    [("post", []), ("pre", ["bn1"]), ("bn_after_add", ["after_bn"]), ("relu_before_add", []), ("relu_only_pre", [])],
)
def test_placements(placement: str, left: list[str]) -> None:
    """Of the placements of the papers, two leave a norm in each unit."""
    network = network_of(
        f"stem conv(3x3, 8) stage 3 * u -> v {HEAD}",
        *(
            f"unit {name} {{ placement {placement} branch conv(3x3, 8) -> conv(3x3, 8) shortcut identity }}"
            for name in "uv"
        ),
        PREACT,
    )
    (step,) = run(network, trained(network, draws=ANY_SIGN), "fold-batchnorm")
    assert standing(step.network)["bn"] == [f"stage1.{unit}.{name}" for unit in range(4) for name in left]


def test_a_network_of_vectors() -> None:
    network = network_of(
        "stem linear(8) -> bn -> relu stage u head bn -> linear(5)",
        "unit u { branch bn -> linear(8) -> bn -> relu -> linear(8, bias = false) shortcut bn -> linear }",
        input="6",
    )
    (step,) = run(network, trained(network, draws=ANY_SIGN), "fold-batchnorm")
    assert standing(step.network)["bn"] == []


def test_units_in_units() -> None:
    network = network_of(
        f"stem conv(3x3, 8) stage outer {HEAD}",
        PREACT,
        "unit outer { branch conv(3x3, 8) -> plain -> inner -> bn -> conv(1x1, 8) shortcut identity }",
        "unit plain { placement pre branch conv(3x3, 8) shortcut none }",
    )
    (step,) = run(network, trained(network, draws=Draws(negative=0.5, zero=0.1)), "fold-batchnorm")
    assert standing(step.network)["bn"] == ["stage1.0.units.1.bn"]
