"""The closed form of the direct term: products worked out by hand, and single layers by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from resdsl.network.network import distinct_units
from resdsl.network.operators import Unit
from resdsl.spec import build
from resdsl.theory.direct_term import DirectTerm, shortcut_alone


def unit(body: str, *, width: int = 8, stem: str = "") -> Unit:
    text = f"resnet 1\nunit u {{ {body} }}\nnetwork n {{ input {width} {stem} stage u }}"
    return distinct_units(build(text))[-1]


def back(units: list[Unit]) -> DirectTerm:
    """From the end of the last to the input of the first, for streams of second moment 1."""
    term = DirectTerm()
    for each in reversed(units):
        term = term.past_addition(each).past_shortcut(each, 1.0)
    return term


def test_the_start_is_of_norm_1() -> None:
    assert DirectTerm().expected == 0


def test_scales_multiply() -> None:
    units = [unit(f"branch linear(8) shortcut scale({factor})") for factor in (0.5, -2, 0.1)]
    assert back(units).expected == pytest.approx(math.log10(0.5 * 2 * 0.1))


def test_scales_behind_the_addition_count_too() -> None:
    assert back([unit("branch linear(8) shortcut scale(0.5) after scale(0.2)")] * 3).expected == pytest.approx(-3)


def test_dropout_adds_to_the_norm() -> None:
    assert back([unit("branch linear(8) shortcut dropout(0.5)")] * 54).expected == pytest.approx(27 * math.log10(2))


def test_relus_behind_additions_close_the_path_together() -> None:
    found = back([unit("branch linear(8) shortcut identity after relu")] * 54)
    assert found.relus == 54
    assert found.expected == pytest.approx(math.log10(math.comb(108, 54) / 4**54) / 2)


def test_relus_on_shortcuts_are_counted_with_them() -> None:
    assert back([unit("branch linear(8) shortcut relu")] * 3).relus == 3


def test_a_norm_behind_the_addition_has_no_closed_form() -> None:
    assert math.isnan(back([unit("branch linear(8) shortcut identity after bn -> relu")]).expected)
    assert math.isnan(back([unit("branch linear(8) shortcut identity after tanh")]).expected)


def test_what_stands_between_units_has_none_either() -> None:
    assert math.isnan(DirectTerm().past_operators().expected)


def test_a_unit_without_shortcut_ends_it_whatever_else_there_is() -> None:
    cut = unit("branch linear(8) shortcut none after bn -> relu")
    normed = unit("branch linear(8) shortcut identity after bn")
    assert back([cut]).expected == -math.inf
    assert back([normed, cut, normed]).expected == -math.inf
    assert back([cut]).past_operators().expected == -math.inf


def test_gates_follow_the_second_moment_that_they_read() -> None:
    """Independent numbers z = w . x of variance 2 q: the mean of (1 - g)^2 and of x's own part of g."""
    gated = unit("branch linear(8) shortcut gate(-3)")
    for moment in (0.3, 1.0, 4.0):
        spread = math.sqrt(2 * moment)
        z = np.random.default_rng(0).normal(-3, spread, 2_000_000)
        kept = 1 / (1 + np.exp(z))
        direct = np.mean(kept**2) + spread**2 * np.mean((kept * (1 - kept)) ** 2)
        gain = shortcut_alone(gated, moment)
        assert gain is not None
        assert 10**gain.mean == pytest.approx(kept.mean(), rel=2e-3)
        assert 10**gain.backward == pytest.approx(direct, rel=2e-3)
        assert DirectTerm().past_shortcut(gated, moment).expected == pytest.approx(math.log10(direct) / 2, abs=1e-3)


CHANGES = """resnet 1
unit u(stride) {{ branch conv(3x3, {width}, stride, init = zero) shortcut identity projection {projection} }}
network n {{ input 8x24x24 stage u({stride}) }}
"""


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("width", [16, 32])
def test_option_a_hands_back_the_channels_that_it_read(width: int, stride: int) -> None:
    """Of `width` channels of the result 8 hold something; what strides over a pixel takes nothing from it."""
    (padded,) = distinct_units(build(CHANGES.format(width=width, projection="pad", stride=stride)))
    gain = shortcut_alone(padded, 1.0)
    assert gain is not None
    assert (10**gain.forward, 10**gain.backward) == pytest.approx((8 / width, 8 / width))
    assert DirectTerm().past_shortcut(padded, 1.0).expected == pytest.approx(math.log10(8 / width) / 2)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("kernel", "size"), [("1x1", 1), ("3x3", 9)])
def test_projections_hand_back_fan_in_times_the_variance(kernel: str, size: int, stride: int) -> None:
    """The sum of squares: each of the result's elements hands its own to fan-in elements, with weights of variance 2 / fan-out."""
    (projected,) = distinct_units(build(CHANGES.format(width=16, projection=f"conv({kernel})", stride=stride)))
    gain = shortcut_alone(projected, 1.0)
    assert gain is not None
    expected = 8 * size * 2 / (16 * size)
    assert (10**gain.forward, 10**gain.backward) == pytest.approx((expected, expected))


def test_a_unit_that_keeps_its_shape_has_the_gains_of_path_gain() -> None:
    gain = shortcut_alone(unit("branch linear(8) shortcut linear(8, bias = false)"), 1.0)
    assert gain is not None
    assert (10**gain.forward, 10**gain.backward) == pytest.approx((2, 2))
    assert shortcut_alone(unit("branch linear(8) shortcut tanh"), 1.0) is None
    nothing = shortcut_alone(unit("branch linear(8) shortcut none"), 1.0)
    assert nothing is not None
    assert nothing.backward == -math.inf
