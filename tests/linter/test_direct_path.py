"""How severe what stands on the direct path is: the rows of the paper's tables, and numbers at the limits."""

from __future__ import annotations

import math

import pytest

from resdsl.diagnostics import Severity
from resdsl.linter.rule import Rule
from resdsl.linter.run import build_networks, lint_source
from resdsl.linter.select import Selection
from resdsl.linter.table import RULES
from resdsl.network import operators as op
from resdsl.network.types import Normal, Vector
from resdsl.source import Source
from resdsl.spec import Options, open_spec
from resdsl.theory.path_gain import chain_gain
from tests.networks import SPECS

ABOUT_PATHS = [rule for rule in RULES if rule.code[:2] in ("SC", "AD")]


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Severity]]:
    """What the rules find in each network of the paper's tables."""
    file, errors = build_networks(open_spec(SPECS / "resnet110.resnet"), Options())
    assert errors == []
    told: dict[str, dict[str, Severity]] = {network.name: {} for network in file.networks}
    for rule in ABOUT_PATHS:
        for finding in rule.check(file):
            assert finding.network is not None
            told[finding.network.name][rule.name] = finding.severity
    return told


RELU = {"activation-after-addition": Severity.NOTE}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("resnet110", RELU),
        ("plain110", {"shortcut-none": Severity.ERROR}),
        ("scale_half", RELU | {"shortcut-scale": Severity.ERROR}),
        ("scale_half_frozen", RELU | {"shortcut-scale": Severity.ERROR}),
        ("gate_exclusive", RELU | {"shortcut-gate-exclusive": Severity.WARNING}),
        ("gate_exclusive_7", RELU | {"shortcut-gate-exclusive": Severity.WARNING}),
        ("gate_shortcut", RELU | {"shortcut-gate": Severity.WARNING}),
        ("gate_shortcut_0", RELU | {"shortcut-gate": Severity.ERROR}),
        ("conv_shortcut", RELU | {"shortcut-conv": Severity.WARNING}),
        ("dropout_shortcut", RELU | {"shortcut-dropout": Severity.ERROR}),
        ("bn_after_add110", {"norm-after-addition": Severity.WARNING}),
        ("relu_before_add110", {"activation-before-addition": Severity.WARNING}),
        ("relu_only_pre110", {"relu-only-preactivation": Severity.NOTE}),
        ("preact110", {}),
        ("preact110_1layer", {}),
    ],
)
def test_the_tables_of_the_paper(
    found: dict[str, dict[str, Severity]], network: str, expected: dict[str, Severity]
) -> None:
    assert found[network] == expected


def lint(unit: str, copies: int = 3, rules: list[Rule] = ABOUT_PATHS) -> dict[str, tuple[Severity, str]]:
    text = f"resnet 1\nnetwork n {{ input 8 stage {copies} * u }}\nunit u {{ branch linear(8) {unit} }}\n"
    selection = Selection(tuple(rule.code for rule in rules))
    told = lint_source(Source("x", text), None, selection, Options())
    assert all(diagnostic.name for diagnostic in told), [diagnostic.render() for diagnostic in told]
    return {diagnostic.name: (diagnostic.severity, diagnostic.message) for diagnostic in told}


@pytest.mark.parametrize("after", ["tanh", "relu", "bn", "dropout(0.5)", "scale(0.5)"])
def test_what_follows_the_addition_is_not_counted_twice(after: str) -> None:
    severity, message = lint(f"shortcut scale(0.9) after {after}")["shortcut-scale"]
    assert severity is Severity.WARNING
    assert "carries 0.73 of the signal" in message


def test_what_a_shortcut_reads_counts() -> None:
    assert "leaves 0.12 " in lint("placement pre shortcut scale(0.5) from activated")["shortcut-scale"][1]
    assert "carries 0.12 " in lint("placement pre shortcut scale(0.5) from input")["shortcut-scale"][1]


@pytest.mark.parametrize(
    "unit",
    [
        "shortcut scale(1e38) -> scale(1e38) -> scale(1e38) -> scale(1e38) -> scale(1e38) -> scale(1e38) -> bn",
        "shortcut scale(1e38) -> scale(1e38) -> scale(1e38) -> gate(1)",
        "shortcut scale(-1e38)",
        "shortcut scale(0)",
        "shortcut scale(0) -> bn",
        "shortcut gate(1e30)",
        "shortcut gate(-1e30, branch = true)",
        "shortcut gate(1, init = normal(1e30))",
        "shortcut gate(-3, branch = true, init = normal(1e38))",
        "shortcut linear(init = normal(1e38)) after linear(8, init = zero)",
        "shortcut dropout(0.9999999)",
        "shortcut partial(0.125, linear(1, init = zero))",
        "shortcut none",
        "shortcut scale(1 / (index + 1)) after scale(index)",
        "shortcut identity after scale(0, learn = true)",
    ],
)
def test_numbers_at_the_limits(unit: str) -> None:
    assert lint(unit, 1000)


def test_a_gate_with_a_sharp_input_is_a_step() -> None:
    def gain(std: float) -> tuple[float, float, float]:
        found = chain_gain((op.Gate(-500.0, init=Normal(std)),), Vector(1))
        assert found is not None
        return 10**found.mean, 10**found.forward, 10**found.backward

    assert gain(1000.1) == pytest.approx(gain(999.9), rel=1e-3)
    assert gain(1e6)[:2] == pytest.approx((0.5, 0.5), abs=1e-3)
    assert gain(1e6)[2] == pytest.approx(1e6 / math.sqrt(2 * math.pi) / 6, rel=1e-3)
