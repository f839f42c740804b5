from __future__ import annotations

import numpy as np
import pytest

from resdsl import build
from resdsl.theory.activation import Activation
from resdsl.theory.n_shortcut import NShortcut, n_shortcut

NONE = Activation.IDENTITY


def _unit(clauses: str, stages: str = "stage 2 * u", width: int = 4) -> NShortcut | None:
    return n_shortcut(build(f"resnet 1\nunit u {{\n{clauses}\n}}\nnetwork n {{\ninput {width}\n{stages}\n}}\n"))


LINEAR = "linear(4, bias = false)"


def test_networks_of_the_paper() -> None:
    assert n_shortcut(build("std/n_shortcut", "shortcut1")) == NShortcut(1, 16, 10, NONE, NONE, NONE)
    assert n_shortcut(build("std/n_shortcut", "shortcut3_pre")) == NShortcut(3, 5, 10, Activation.RELU, NONE, NONE)
    assert n_shortcut(build("std/n_shortcut", "shortcut2_mid")) == NShortcut(2, 8, 10, NONE, Activation.RELU, NONE)
    assert n_shortcut(build("std/n_shortcut", "shortcut4_post")) == NShortcut(4, 4, 10, NONE, NONE, Activation.RELU)


def test_parameters_and_linearity() -> None:
    kind = n_shortcut(build("std/n_shortcut", "shortcut2"))
    assert kind is not None
    assert kind.parameters == 1600
    assert kind.linear
    assert not NShortcut(2, 8, 10, NONE, NONE, Activation.TANH).linear


def test_several_stages_of_units_are_one_network() -> None:
    found = _unit(f"branch tanh -> {LINEAR} -> {LINEAR}\nshortcut identity", "stage 2 * u\nstage 3 * u")
    assert found == NShortcut(2, 5, 4, Activation.TANH, NONE, NONE)


@pytest.mark.parametrize(
    ("clauses", "stages"),
    [
        ("branch linear(4)\nshortcut identity", "stage u"),
        (f"branch {LINEAR}\nshortcut none", "stage u"),
        (f"branch {LINEAR}\nshortcut scale(0.5)", "stage u"),
        (f"branch {LINEAR}\nshortcut identity\nafter relu", "stage u"),
        (f"branch relu -> {LINEAR}\nshortcut identity from activated", "stage u"),
        (f"branch relu -> tanh -> {LINEAR}\nshortcut identity", "stage u"),
        (f"branch {LINEAR} -> relu -> {LINEAR} -> {LINEAR}\nshortcut identity", "stage u"),
        (f"branch linear(6, bias = false) -> {LINEAR}\nshortcut identity", "stage u"),
        (f"branch {LINEAR} -> bn\nshortcut identity", "stage u"),
        (f"branch {LINEAR}\nshortcut identity", "stage u -> relu -> u"),
        (f"branch {LINEAR}\nshortcut identity", "stem relu\nstage u"),
        (f"branch {LINEAR}\nshortcut identity", "stage u\nhead linear(4)"),
        ("branch tanh\nshortcut identity", "stage u"),
    ],
)
def test_what_is_none(clauses: str, stages: str) -> None:
    assert _unit(clauses, stages) is None


def test_networks_on_images_are_none() -> None:
    assert n_shortcut(build("std/resnet110", "resnet110")) is None


@pytest.mark.parametrize("kind", list(Activation))
def test_derivatives_of_activations(kind: Activation) -> None:
    """Against central differences, away from the kink of ReLU; and at 0, where ReLU is taken to be flat."""
    x, step = np.array([-3.0, -0.7, 0.4, 2.5]), 1e-5
    np.testing.assert_allclose(kind.slope(x), (kind(x + step) - kind(x - step)) / (2 * step), atol=1e-9)
    zero = np.zeros(1)
    assert kind(zero)[0] == kind.at_zero
    if kind is Activation.RELU:
        assert kind.slope_at_zero == kind.bend_at_zero == 0
        return
    assert kind.slope_at_zero == pytest.approx((kind(zero + step) - kind(zero - step))[0] / (2 * step), abs=1e-9)
    assert kind.bend_at_zero == pytest.approx((kind.slope(zero + step) - kind.slope(zero - step))[0] / (2 * step))
