"""What does nothing in evaluation goes; what does something there stays."""

from __future__ import annotations

import pytest

from resdsl.passes.draft import Weights
from tests.passes.trained import network_of, run, standing, trained


@pytest.mark.parametrize(
    ("branch", "gone"),
    [
        ("conv(3x3, 8) -> dropout(0.3)", ["dropout"]),
        ("dropout(0) -> conv(3x3, 8) -> drop_path(0.3)", ["dropout", "drop_path"]),
        ("conv(3x3, 8) -> drop_path(0.3, rescale = false)", []),
        ("conv(3x3, 8) -> drop_path(0, rescale = false)", ["drop_path"]),
        ("conv(3x3, 8) -> scale(1)", ["scale"]),
        ("conv(3x3, 8) -> scale(1, learn = true)", []),
        ("conv(3x3, 8) -> scale(0.5)", []),
        ("maxpool(1x1, 1) -> conv(3x3, 8) -> avgpool(1x1, 1)", ["maxpool", "avgpool"]),
        ("maxpool(3x3, 1) -> conv(3x3, 8) -> avgpool(3x3, 1, 1)", []),
        ("relu -> relu -> conv(3x3, 8)", ["relu2"]),
        ("sigmoid -> avgpool(3x3, 1, 1) -> relu -> conv(3x3, 8)", ["relu"]),
        ("relu -> maxpool(3x3, 1) -> dropout(0.1) -> relu -> conv(3x3, 8)", ["dropout", "relu2"]),
        ("relu -> scale(0.5) -> relu -> conv(3x3, 8)", ["relu2"]),
        ("relu -> scale(-0.5) -> relu -> conv(3x3, 8)", []),
        ("relu -> drop_path(0.5, rescale = false) -> relu -> conv(3x3, 8)", ["relu2"]),
        ("relu -> conv(3x3, 8) -> relu -> bn -> relu", []),
        ("tanh -> relu -> conv(3x3, 8)", []),
        ("concat(relu -> dropout(0.2) -> relu, relu) -> relu -> conv(3x3, 8)", ["dropout", "relu2"]),
        ("partial(0.5, relu -> dropout(0.2) -> relu) -> conv(3x3, 8)", ["dropout", "relu2"]),
    ],
)
def test_in_a_branch(branch: str, gone: list[str]) -> None:
    network = network_of("stem conv(3x3, 8) stage u", f"unit u {{ branch {branch} shortcut identity }}")
    (step,) = run(network, trained(network), "remove-identities")
    before, after = standing(network), standing(step.network)
    assert sorted(step.tally.changed) == sorted(f"stage1.0.{name}" for name in gone)
    assert after.all() == before.all() - set(step.tally.changed)


@pytest.mark.parametrize(("factor", "removed"), [(0.5, True), (-0.5, False)])
def test_a_relu_behind_a_learned_scale_of_a_relu(factor: float, removed: bool) -> None:
    network = network_of(
        "stem conv(3x3, 8) -> relu -> scale(1, learn = true, per_channel = true) -> relu -> conv(3x3, 8)"
    )
    weights: Weights = trained(network)
    weights["stem_scale"][3] = factor
    (step,) = run(network, weights, "remove-identities")
    assert step.tally.changed == (("stem_relu2",) if removed else ())


def test_copies_with_numbers_of_their_own() -> None:
    """Only the first copy's factor is 1, and only its drop path has p = 0."""
    network = network_of(
        "stem conv(3x3, 8) stage 3 * u",
        "unit u { branch conv(3x3, 8) -> scale(1 + index) -> drop_path(index / 4, rescale = false) shortcut identity }",
    )
    (step,) = run(network, trained(network), "remove-identities")
    assert step.tally.changed == ("stage1.0.scale", "stage1.0.drop_path")
    assert standing(step.network)["scale"] == ["stage1.1.scale", "stage1.2.scale"]


def test_on_shortcuts_and_behind_additions() -> None:
    network = network_of(
        "stem conv(3x3, 8) stage u",
        "unit u { branch conv(3x3, 8) shortcut dropout(0.5) -> scale(1, branch = 0.5) after dropout(0.5) -> relu }",
    )
    (step,) = run(network, trained(network), "remove-identities")
    assert step.tally.changed == ("stage1.0.shortcut_dropout", "stage1.0.after_dropout")
