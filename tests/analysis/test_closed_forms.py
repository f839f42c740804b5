"""Each closed form of resdsl.theory beside its measurement, over 54 units as the paper's networks of 110 layers have them.

Weights and inputs are random, so a tolerance is four standard errors: worked out where it stands where there is a formula, otherwise of the seeds'
spread, and then bounded. Seeds are fixed. docs/theory.md has the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from resdsl.analysis import Signal, signal
from resdsl.spec import Parameter

UNITS, WIDTH, SAMPLES = 54, 128, 128
NOTHING = f"linear({WIDTH}, bias = false, init = zero)"
"""A branch that leaves the shortcut alone."""
HE = f"relu -> linear({WIDTH}, bias = false) -> relu -> linear({WIDTH}, bias = false)"
PRE = f"bn -> relu -> linear({WIDTH}, bias = false) -> bn -> relu -> linear({WIDTH}, bias = false)"
POST = f"linear({WIDTH}, bias = false) -> bn -> relu -> linear({WIDTH}, bias = false) -> bn"
SMALL: dict[str, Parameter] = {"image": (3, 16, 16)}
HALF = math.log10(2) / 2
"""log10 of a norm whose square doubles."""


def row(shortcut: str, branch: str = NOTHING, *, after: str = "identity", stem: str = "", units: int = UNITS) -> str:
    """One stage of units on vectors, He initialisation."""
    width = WIDTH if str(WIDTH) in branch else 8
    return f"""resnet 1
unit u {{ branch {branch} shortcut {shortcut} after {after} }}
network n {{ input {width} {f"stem {stem}" if stem else ""} stage {units} * u }}"""


def measured(text: str, *, seed: int = 0, samples: int = SAMPLES, lengths: bool = False) -> Signal:
    return signal(text, seed=seed, samples=samples, lengths=lengths)


def standard_error(values: Sequence[float], *, below: float) -> float:
    """Of the mean over seeds. It must be below so much, lest a wrong network be excused by its own spread."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    assert error < below
    return error


def table(name: str) -> Signal:
    """A network of Table 1 or 2, on a quarter of the pixels."""
    return signal("std/resnet110", name, SMALL, samples=8, lengths=False)


def test_identity() -> None:
    found = measured(row("identity", PRE))
    assert found.shortcut.mean == pytest.approx(1)
    assert found.shortcut.forward == pytest.approx(1)
    assert found.log10_direct == pytest.approx(0, abs=1e-5)
    assert np.all(found.log10_expected == 0)


def test_scale() -> None:
    found = measured(row("scale(0.5)"))
    assert found.log10_direct[0] == pytest.approx(math.log10(5.55e-17), abs=1e-3)
    assert found.log10_direct == pytest.approx(found.log10_expected, abs=1e-4)
    assert found.shortcut.forward == pytest.approx(0.25)


@pytest.mark.parametrize(("bias", "kept"), [(-6, 0.8749), (-3, 0.0725)])
def test_gates_that_start_at_zero(bias: int, kept: float) -> None:
    found = measured(row(f"gate({bias}, init = zero)"))
    assert 10 ** found.log10_direct[0] == pytest.approx(kept, abs=5e-5)
    assert found.log10_direct == pytest.approx(found.log10_expected, abs=1e-5)
    assert found.shortcut.mean == pytest.approx(1 / (1 + math.exp(bias)), abs=1e-6)


@pytest.mark.parametrize(("bias", "mean"), [(-6, 0.99354), (-3, 0.90864), (0, 0.5)])
def test_gates_with_he_weights_follow_the_second_moment_that_they_read(bias: int, mean: float) -> None:
    """The first unit reads q = 1, later ones what is left. 1 - g is averaged over 128 weight vectors, each seen by 128 samples:
    the standard error of their mean is at most that of 128 numbers of spread 0.29 (b = 0), 0.026, and of 54 units together 0.0035."""
    found = measured(row(f"gate({bias})"))
    spread = {-6: 0.012, -3: 0.115, 0: 0.29}[bias]
    assert found.shortcut.mean[0] == pytest.approx(mean, abs=4 * spread / math.sqrt(WIDTH))
    assert found.shortcut.mean.mean() == pytest.approx(
        found.expected.mean.mean(), abs=4 * spread / math.sqrt(UNITS * WIDTH)
    )
    assert found.log10_direct[0] == pytest.approx(found.log10_expected[0], abs=0.02)


def test_dropout() -> None:
    """A gradient's square is 0 or 0.95^-54 of what it was: 0.063 of 16,384 coordinates survive. Weighted by the squares of one direction
    with kurtosis 3 the energy has a relative standard error of sqrt(3 * 15 / 16384) = 0.052."""
    found = measured(row("dropout(0.05)"))
    assert found.shortcut.forward.mean() == pytest.approx(1 / 0.95, rel=0.01)
    assert found.shortcut.backward.mean() == pytest.approx(1 / 0.95, rel=0.01)
    assert found.log10_expected[0] == pytest.approx(-27 * math.log10(0.95))
    assert found.log10_direct[0] == pytest.approx(found.log10_expected[0], abs=4 * 0.052 / 2 / math.log(10))


def test_dropout_of_a_half_leaves_nothing_where_its_second_moment_grows() -> None:
    """Each coordinate survives with 0.5^54: the mean over all masks is 2^27, and any one draw is 0. Where a quarter survives, each of the
    two factors is still off by no more than sqrt(3 * 4 / 16384) = 0.03."""
    few = measured(row("dropout(0.5)", units=2))
    assert few.shortcut.backward == pytest.approx(2, rel=4 * 0.03)
    found = table("dropout_shortcut")
    assert found.log10_direct[0] == -math.inf
    assert found.log10_expected[0] > 7


@pytest.mark.parametrize(("init", "gain"), [("he", 2.0), ("xavier", 1.0)])
def test_weights_on_the_shortcut_multiply_the_second_moment(init: str, gain: float) -> None:
    """A chi-squared variable of 128 degrees for the one gradient in each of 54 units: 0.125 / sqrt(54) = 0.017. Forward alike: by the
    end all samples point one way."""
    found = measured(row(f"linear({WIDTH}, bias = false, init = {init})"))
    assert found.shortcut.forward.mean() == pytest.approx(gain, rel=4 * 0.017)
    assert found.shortcut.backward.mean() == pytest.approx(gain, rel=4 * 0.017)
    assert found.shortcut.mean.mean() == pytest.approx(0, abs=4 * math.sqrt(gain / WIDTH / UNITS))
    assert found.expected.forward == pytest.approx(gain)


@pytest.mark.parametrize(("width", "below"), [(8, 1.5), (WIDTH, 0.09)])
@pytest.mark.parametrize(("init", "gain"), [("he", 2.0), ("xavier", 1.0)])
def test_a_product_of_weights_is_typically_less_than_its_mean(init: str, gain: float, width: int, below: float) -> None:
    """Of n inputs the log-gain of a unit is psi(n / 2) + ln(2 gain / n), with variance psi'(n / 2): for n = 8 each seed's log10 norm is off by
    0.85, and that of 12 together by 0.25. The closed form, a mean over weights, is 1.5 above. For n = 128 it is 0.09 above and the error 0.06."""
    upto = np.arange(1, width // 2)
    psi, trigamma = (1 / upto).sum() - np.euler_gamma, math.pi**2 / 6 - (1 / upto**2).sum()
    typical = UNITS * (psi + math.log(2 * gain / width)) / 2 / math.log(10)
    error = math.sqrt(UNITS * trigamma / 12) / 2 / math.log(10)
    text = row(f"linear({width}, bias = false, init = {init})", f"linear({width}, bias = false, init = zero)")
    found = [measured(text, seed=seed, samples=2) for seed in range(12)]
    assert found[0].log10_expected[0] == pytest.approx(UNITS * math.log10(gain) / 2, abs=1e-6)
    assert np.mean([each.log10_direct[0] for each in found]) == pytest.approx(typical, abs=4 * error)
    assert typical < found[0].log10_expected[0] - below


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (2.0, 0.0), (0.5, 0.0), (1.0, 1.0)])
def test_weights_and_a_norm_hand_back_1_over_the_variance(scale: float, shift: float) -> None:
    """He and BN: 2 / (2 q). The norm divides by the variance, the closed form takes the second moment: a mean of 1 beside a
    variance of 1 makes the measurement twice as much. Each seed is a chi-squared variable of 128 degrees, twice (weights, and their norms):
    0.18 / sqrt(8); and the mean of 1 / variance is 1.03 of that of 128 weights and 512 samples."""
    text = row(f"linear({WIDTH}, bias = false) -> bn", units=1)
    normal = np.random.default_rng(0).standard_normal((512, WIDTH))
    inputs = (scale * normal + shift).astype(np.float32)
    found = [signal(text, seed=seed, inputs=inputs, lengths=False) for seed in range(8)]
    assert np.mean([each.shortcut.backward for each in found]) == pytest.approx(
        1.03 / scale**2, rel=4 * 0.18 / math.sqrt(8)
    )
    assert found[0].shortcut.forward[0] == pytest.approx(1 / (scale**2 + shift**2), rel=0.02)
    assert found[0].expected.forward[0] == pytest.approx(1 / (scale**2 + shift**2), rel=0.02)
    assert found[0].expected.backward[0] == pytest.approx(1 / (scale**2 + shift**2), rel=0.02)


def test_relu_behind_the_addition_closes_the_path_polynomially() -> None:
    """A walk that starts rectified is open with 0.115 after 54 steps, one that starts at 0 with 0.0766, which the closed form says.

    Measured 0.122: the branches of one network are not quite independent."""
    steps = np.random.default_rng(0).standard_normal((50_000, UNITS + 1))
    steps[:, 0] = np.maximum(steps[:, 0], 0)
    walk = float((np.cumsum(steps, axis=1)[:, 1:] > 0).all(axis=1).mean())
    found = [measured(row("identity", POST, after="relu", stem="relu"), seed=seed) for seed in range(3)]
    assert np.mean([10 ** (2 * each.log10_direct[0]) for each in found]) == pytest.approx(walk, rel=0.1)
    assert 10 ** (2 * found[0].log10_expected[0]) == pytest.approx(math.comb(108, 54) / 4**54)
    assert walk / 0.0766 == pytest.approx(1.5, rel=0.03)


def test_norm_and_relu_behind_the_addition_close_it_exponentially() -> None:
    """No closed form: measured, every unit costs about as much as the one before, until nothing is left."""
    found = measured(row("identity", POST, after="bn -> relu", stem="relu"))
    assert np.isnan(found.log10_expected).all()
    lost = np.diff(found.log10_direct[::-1][:21])  # from the end on
    others = [measured(row("identity", POST, after="bn -> relu", stem="relu"), seed=seed) for seed in (1, 2, 3)]
    factors = [10 ** np.diff(each.log10_direct[::-1][:21]).mean() for each in (found, *others)]
    assert np.mean(factors) == pytest.approx(0.71, abs=4 * standard_error(factors, below=0.015))
    assert lost[10:].mean() == pytest.approx(lost[:10].mean(), rel=0.4)
    polynomial = measured(row("identity", POST, after="relu", stem="relu"))
    assert found.log10_direct[-21] < -2 < polynomial.log10_direct[0]
    assert found.log10_direct[0] == -math.inf


def test_relu_before_the_addition_adds_to_the_mean() -> None:
    """1 / sqrt(2 pi) = 0.399 a unit for normal branches, 21.5 over 54; those of finite width are not quite normal: 0.95 of it."""
    found = measured(row("identity", f"{POST} -> relu"))
    mean = np.sqrt(found.output.mean_square)
    assert mean[-1] == pytest.approx(UNITS / math.sqrt(2 * math.pi), rel=0.06)
    steps = np.diff(mean)
    assert steps[26:].mean() == pytest.approx(steps[:26].mean(), rel=0.1)
    assert found.log10_direct == pytest.approx(0, abs=1e-5)


def lengths(branch: str, seeds: int) -> tuple[list[float], list[float]]:
    """Mean lengths by seed: measured, and predicted from the measured gains."""
    found = [measured(row("identity", branch), seed=seed, samples=256, lengths=True).lengths for seed in range(seeds)]
    pairs = [(each.mean, each.predicted_mean) for each in found if each is not None]
    assert len(pairs) == seeds
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def test_path_lengths_without_norms() -> None:
    """Two He layers behind ReLUs hand back as much as the shortcut, a = 1: half of the 54 branches."""
    found, predicted = lengths(HE, 4)
    assert np.mean(predicted) == pytest.approx(27, abs=4 * standard_error(predicted, below=0.5))
    assert np.mean(found) == pytest.approx(27, abs=4 * standard_error(found, below=0.6))


@pytest.mark.slow
def test_path_lengths_of_full_pre_activation() -> None:
    """A rectified normal number has the variance v / 2, v = 1 - 1/pi, so each unit adds v, its first norm hands back
    1 / (1 + v i) and its second 1 / v: a_i / (1 + a_i) sums to 6.25. Measured is 6.38, predicted from the measured gains 6.34."""
    v = 1 - 1 / math.pi
    chances = [1 / (1 + v * (1 + v * i)) for i in range(UNITS)]
    assert sum(chances) == pytest.approx(6.25, abs=0.01)
    found, predicted = lengths(PRE, 4)
    assert np.mean(predicted) == pytest.approx(sum(chances), abs=4 * standard_error(predicted, below=0.06))
    assert np.mean(found) == pytest.approx(6.38, abs=4 * standard_error(found, below=0.06))
    assert found == pytest.approx(predicted, rel=0.03)


def test_growth_without_norms() -> None:
    """He: signal and gradient double in each unit, 2^54 = 10^16.3 and 10^8.1 in the norm."""
    found = [measured(row("identity", HE), seed=seed, samples=32) for seed in range(6)]
    gradient = [float(each.log10_gradient[0]) for each in found]
    assert np.mean(gradient) == pytest.approx(UNITS * HALF, abs=4 * standard_error(gradient, below=0.25))
    growth = [math.log10(each.output.variance[-1] + each.output.mean_square[-1]) for each in found]
    assert np.mean(growth) == pytest.approx(UNITS * math.log10(2), abs=4 * standard_error(growth, below=0.6))


def test_growth_of_n_shortcut_networks() -> None:
    """Xavier, linear: the branch of two layers hands back 1, however many there are."""
    sizes: dict[str, Parameter] = {"units": UNITS, "width": 64}
    found = [signal("std/n_shortcut", "shortcut2", sizes, samples=32, seed=seed) for seed in range(4)]
    gradient = [float(each.log10_gradient[0]) for each in found]
    assert np.mean(gradient) == pytest.approx(UNITS * HALF, abs=4 * standard_error(gradient, below=0.2))
    assert found[0].branch_backward.mean() == pytest.approx(1, abs=4 * math.sqrt(4 / 64 / UNITS))
    pairs = [(each.lengths.mean, each.lengths.predicted_mean) for each in found if each.lengths is not None]
    assert pairs[0] == pytest.approx((26.98, 26.55), abs=0.01)
    for values in zip(*pairs, strict=True):
        assert np.mean(values) == pytest.approx(27, abs=4 * standard_error(values, below=0.3))
    assert found[0].log10_direct == pytest.approx(0, abs=1e-5)


def test_norms_make_growth_polynomial() -> None:
    """The same with norms, (1 + a_i) multiplied: 10^1.5 in the norm after 54 units."""
    v = 1 - 1 / math.pi
    expected = sum(math.log10(1 + 1 / (v * (1 + v * i))) for i in range(UNITS)) / 2
    assert measured(row("identity", PRE), samples=256).log10_gradient[0] == pytest.approx(expected, abs=0.1)


# Where they part


def test_pads_lose_half_and_the_closed_form_says_so() -> None:
    """Option A twice: a quarter of the gradient's energy, if channels share it alike, which one direction does to 0.05 in log10."""
    found = table("relu_before_add110")
    assert found.log10_expected[0] == pytest.approx(2 * math.log10(0.5) / 2)
    assert found.log10_direct[0] == pytest.approx(found.log10_expected[0], abs=0.1)
    assert found.shortcut.forward[[18, 36]] == pytest.approx(0.5, abs=0.03)


def test_zero_padding_takes_from_a_convolution_on_the_shortcut() -> None:
    """Of 3x3 taps on 16x16 pixels (46/48)^2 = 0.918 lie inside, in either direction; the closed form counts all."""
    text = """resnet 1
unit u { branch conv(3x3, 32, init = zero) shortcut conv(3x3, 32, bias = false) }
network n { input 32x16x16 stage u }"""
    found = [signal(text, seed=seed, samples=16, lengths=False) for seed in range(8)]
    assert found[0].expected.forward == found[0].expected.backward == pytest.approx(2)
    for values in (
        [float(each.shortcut.forward[0]) / 2 for each in found],
        [float(each.shortcut.backward[0]) / 2 for each in found],
    ):
        error = standard_error(values, below=0.012)
        assert np.mean(values) == pytest.approx((46 / 48) ** 2, abs=4 * error)
        assert np.mean(values) < 1 - 4 * error


def test_relu_behind_branches_that_double_closes_sooner() -> None:
    """Without norms each branch has twice the second moment of the stream it is added to, and later ones make the sign:
    10^-0.64 in the norm after 10 units, by a walk of such steps, where steps alike leave 10^-0.38, the closed form."""
    generator = np.random.default_rng(0)
    walk = np.maximum(generator.standard_normal(100_000), 0)
    is_open = np.ones(len(walk), np.bool_)
    for _ in range(10):
        walk = walk + math.sqrt(2 * np.mean(walk**2)) * generator.standard_normal(len(walk))
        is_open &= walk > 0
        walk = np.maximum(walk, 0)
    expected = math.log10(is_open.mean()) / 2
    found = [measured(row("identity", HE, after="relu", stem="relu", units=10), seed=seed) for seed in range(8)]
    values = [float(each.log10_direct[0]) for each in found]
    assert np.mean(values) == pytest.approx(expected, abs=4 * standard_error(values, below=0.02))
    assert found[0].log10_expected[0] == pytest.approx(math.log10(math.comb(20, 10) / 4**10) / 2)
    assert expected < found[0].log10_expected[0] - 0.2


def test_between_stages_masks_follow_the_stream() -> None:
    """Behind the addition a ReLU lets through channels that hold something rather than those that a pad appended: more than half comes back."""
    found = table("resnet110")
    assert found.expected.backward[[18, 36]] == pytest.approx(0.5)
    assert np.all(found.shortcut.backward[[18, 36]] > 0.6)


def test_gates_on_a_stream_with_a_mean_are_wider() -> None:
    """A rectified stream grows: its gates close further than those of zero mean, whose inputs are independent of each other."""
    found = table("gate_shortcut")
    stage = slice(1, 18)
    assert found.shortcut.mean[stage].mean() < found.expected.mean[stage].mean() - 0.005
    assert abs(found.log10_direct[0] - found.log10_expected[0]) < 0.5


def test_masks_are_drawn_anew_where_the_shortcut_forgets() -> None:
    """Behind scale(0.5) the last branches make the sign, so each ReLU halves what is left and the path is closed before stage 1;
    the closed form counts ReLUs as a walk that remembers."""
    found = table("scale_half")
    assert found.log10_direct[0] == -math.inf
    assert found.log10_expected[0] == pytest.approx(54 * math.log10(0.5) - 0.86, abs=0.01)


def test_direct_terms_do_not_depend_on_the_precision() -> None:
    single = signal("std/resnet110", "gate_shortcut", SMALL, samples=2, lengths=False)
    double = signal("std/resnet110", "gate_shortcut", SMALL, samples=2, lengths=False, precision="fp64")
    assert single.log10_direct == pytest.approx(double.log10_direct, abs=1e-2)
    assert torch.get_default_dtype() == torch.float32
