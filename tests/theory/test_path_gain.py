"""The gain of the direct path: known figures, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import resdsl
from resdsl.network.network import distinct_units
from resdsl.spec import Parameter, build
from resdsl.theory.path_gain import Gain, Path, paths, shortcut_gain
from tests.networks import SPECS


def whole(file: str, network: str, parameters: dict[str, Parameter] | None = None) -> Path:
    return paths(build(SPECS / f"{file}.resnet", network, parameters or {}))[-1]


def factors(gain: Gain | None) -> tuple[float, float, float]:
    assert gain is not None
    return 10**gain.mean, 10**gain.forward, 10**gain.backward


@pytest.mark.parametrize(
    ("network", "parameters", "mean"),
    [
        ("resnet110", {}, 1.0),
        ("preact110", {}, 0.125),  # the first shortcut reads relu(bn(x)), and so do the two where the shape changes
        ("preact110", {"first": "input"}, 0.25),
        ("scale_half", {}, 5.55e-17),
        ("scale_half_frozen", {}, 5.55e-17),
        ("gate_shortcut", {"bias": -6}, 0.7045),
        ("gate_exclusive", {"bias": -6}, 0.7045),
        ("gate_shortcut", {"bias": -3}, 0.0057),
        ("gate_shortcut_0", {}, 0.5**54),
        ("dropout_shortcut", {}, 1.0),
        ("conv_shortcut", {}, 0.0),
        ("plain110", {}, 0.0),
    ],
)
def test_the_direct_term_over_54_units(network: str, parameters: dict[str, Parameter], mean: float) -> None:
    path = whole("resnet110", network, parameters)
    assert path.units == 54
    assert factors(path.gain)[0] == pytest.approx(mean, rel=0.01)


GATE = "resnet 1\nnetwork n {{ init {init} input 8 stage u }}\nunit u {{ branch linear(8) shortcut gate({bias}) }}\n"


@pytest.mark.parametrize(
    ("init", "bias", "mean"), [("he", -6, 0.99354), ("he", -3, 0.90864), ("he", 0, 0.5), ("zero", -6, 0.99753)]
)
def test_one_gate(init: str, bias: float, mean: float) -> None:
    (unit,) = distinct_units(build(GATE.format(init=init, bias=bias)))
    gain = factors(shortcut_gain(unit))
    assert gain[0] == pytest.approx(mean, abs=5e-6)
    if (init, bias) == ("he", 0):
        assert gain[1:] == pytest.approx((0.318, 0.392), abs=5e-4)
    if init == "zero":
        assert gain[1:] == pytest.approx((mean**2, mean**2), rel=1e-4)


def test_zero_gates_over_54_units() -> None:
    text = GATE.format(init="zero", bias=-6).replace("stage u", "stage 54 * u")
    assert factors(paths(build(text))[-1].gain)[0] == pytest.approx(0.8749, abs=5e-5)


@pytest.mark.parametrize(("relus", "chance"), [(0, 1.0), (1, 0.5), (2, 0.375), (54, 0.0766), (333, 0.031)])
def test_relus_close_the_path_polynomially(relus: int, chance: float) -> None:
    assert Path("x", relus=relus).open == pytest.approx(chance, rel=0.01)
    if relus > 10:
        assert Path("x", relus=relus).open == pytest.approx(1 / math.sqrt(math.pi * relus), rel=0.02)


def test_the_chance_that_relus_leave_the_path_open_by_simulation() -> None:
    steps = np.random.default_rng(0).standard_normal((20_000, 54))
    stays = (np.cumsum(steps, axis=1) > 0).all(axis=1)
    expected = Path("x", relus=54).open
    assert stays.mean() == pytest.approx(expected, abs=5 * math.sqrt(expected / 20_000))


@pytest.mark.parametrize("name", ["resnet1001", "preact1001"])
def test_projections_are_counted_and_left_out(name: str) -> None:
    path = whole("resnet164", name)
    assert (path.units, path.projections) == (333, 3)
    assert path.gain == Gain()
    assert path.relus == (333 if name == "resnet1001" else 0)


def test_norms_behind_the_addition_have_no_closed_form() -> None:
    path = whole("resnet110", "bn_after_add110")
    assert (path.norms, path.relus, path.open) == (54, 0, 1.0)


def test_a_thousand_units_do_not_underflow() -> None:
    path = whole("resnet110", "scale_half", {"n": 1000})
    assert path.gain is not None
    assert path.gain.forward == pytest.approx(3000 * math.log10(0.25))


def test_paths_in_units_stand_by_themselves() -> None:
    found = {path.section: path for path in paths(build(SPECS / "ror.resnet", "ror3_110"))}
    assert list(found) == ["stage1", "stage1 root", "stage1 root level", "network"]
    assert [found[name].units for name in found] == [1, 3, 51, 1]
    assert found["stage1 root level"].relus == 48


def test_copies_that_differ_are_multiplied() -> None:
    text = """resnet 1
network n { input 8 stage 3 * u }
unit u { branch linear(8) shortcut scale(1 / (index + 2)) }
"""
    assert factors(paths(build(text))[-1].gain)[0] == pytest.approx(1 / 24)


def test_no_closed_form_is_said() -> None:
    text = "resnet 1\nnetwork n { input 8 stage u }\nunit u { branch linear(8) shortcut tanh }\n"
    assert paths(build(text))[-1].gain is None


@pytest.mark.parametrize("shortcut", ["tanh", "relu -> bn", "partial(0.5) -> linear(8)"])
def test_what_has_no_closed_form(shortcut: str) -> None:
    text = f"resnet 1\nnetwork n {{ input 8 stage u }}\nunit u {{ branch linear(8) shortcut {shortcut} }}\n"
    assert paths(build(text))[-1].gain is None


def test_repetition_of_units_in_units_is_counted() -> None:
    units = """
unit level(n, factor = 1) { branch n * i shortcut scale(factor) }
unit i { branch linear(8) shortcut scale(0.5) }
"""
    same = {p.section: p for p in paths(build(f"resnet 1\nnetwork n {{ input 8 stage 3 * level(4) }}{units}"))}
    apart = "resnet 1\nnetwork n { input 8 stage level(4, 0.9) -> level(4, 0.8) -> level(4, 0.7) }"
    differ = {p.section: p for p in paths(build(apart + units))}
    assert same["stage1 level"] == differ["stage1 level"]
    assert same["stage1 level"].units == 12
    assert factors(same["stage1 level"].gain)[0] == pytest.approx(0.5**12)


def test_what_follows_the_addition_and_stands_between_units() -> None:
    text = """resnet 1
network n { input 8 stem linear(8) stage 2 * u -> tanh -> 2 * u stage linear(8) -> u head tanh }
unit u { branch linear(8) shortcut identity after scale(0.5) }
"""
    first, second, network = paths(build(text))
    assert factors(network.gain)[0] == pytest.approx(0.5**5)
    assert (first.between, second.between, network.between) == (1, 0, 2)


def test_a_plain_network_has_no_additions() -> None:
    assert whole("resnet110", "plain110").relus == 0


WIDTH, BATCH, SEEDS = 256, 64, 24


@pytest.mark.parametrize(
    "shortcut",
    [
        "scale(0.7)",
        "gate(-1)",
        "gate(0, init = xavier)",
        "gate(2, init = normal(0.05))",
        "gate(-1, init = zero)",
        "gate(0, init = normal(1.25))",
        "dropout(0.3)",
        "drop_path(0.3, rescale = false)",
        "linear(256, bias = false)",
        "linear(256, bias = false, init = xavier)",
        "linear(256, bias = false, init = orthogonal(0.5))",
        "linear(256, bias = false) -> bn",
        "scale(0.5) -> dropout(0.2)",
        "relu",
        "scale(2) -> bn",
        "scale(0.01) -> bn",
        "linear(256, bias = false, init = zero) -> bn",
    ],
)
def test_gains_by_simulation(shortcut: str) -> None:
    """Regression of the output on the input, and second moments of output and gradient, over seeds."""
    text = f"""resnet 1
network n {{ input {WIDTH} stage u }}
unit u {{ branch linear({WIDTH}, bias = false, init = zero) shortcut {shortcut} }}
"""
    (unit,) = distinct_units(build(text))
    measured: list[list[float]] = []
    for seed in range(SEEDS):
        module = resdsl.load(text, seed=seed).double().train()
        torch.manual_seed(seed)
        x = torch.randn(BATCH, WIDTH, dtype=torch.float64, requires_grad=True)
        y = module(x)
        sent = torch.randn_like(y)
        y.backward(sent)
        assert x.grad is not None
        moment = x.detach().square().mean()
        mean = (x.detach() * y.detach()).mean() / moment
        measured.append(
            [
                float(mean),
                float(y.detach().square().mean() / moment),
                float(x.grad.square().mean() / sent.square().mean()),
            ]
        )
    expected = factors(shortcut_gain(unit))
    for values, prediction in zip(np.array(measured).T, expected, strict=True):
        error = values.std(ddof=1) / math.sqrt(SEEDS)
        # Batch statistics and 256 features instead of infinitely many: half a per cent, up to two for a norm's gradient.
        slack = (0.02 if "bn" in shortcut else 0.005) * max(prediction, 0.1)
        assert values.mean() == pytest.approx(prediction, abs=5 * error + slack)


@pytest.mark.parametrize("shortcut", ["identity", "linear(64, bias = false)", "scale(0.5)"])
def test_what_a_shortcut_reads_is_part_of_the_path(shortcut: str) -> None:
    text = f"""resnet 1
network n {{ input 64 stage u }}
unit u {{ branch layernorm -> relu -> linear(64, bias = false, init = zero) shortcut {shortcut} from activated }}
"""
    (unit,) = distinct_units(build(text))
    found = []
    for seed in range(SEEDS):
        x = torch.randn(256, 64, generator=torch.Generator().manual_seed(seed))
        y = resdsl.load(text, seed=seed)(x).detach()
        found.append([float((x * y).mean() / x.square().mean()), float(y.square().mean() / x.square().mean())])
    predicted = factors(shortcut_gain(unit))
    assert np.mean(found, axis=0) == pytest.approx(predicted[:2], abs=0.02 * max(1, predicted[1]))


def test_a_convolution_by_simulation() -> None:
    text = "resnet 1\nnetwork n { input 64x12x12 stage u }\nunit u { branch conv(1x1, 64, init = zero) shortcut conv(1x1) }\n"
    (unit,) = distinct_units(build(text))
    assert factors(shortcut_gain(unit)) == pytest.approx((0, 2, 2))
    moments = []
    for seed in range(SEEDS):
        x = torch.randn(4, 64, 12, 12, generator=torch.Generator().manual_seed(seed))
        moments.append(float(resdsl.load(text, seed=seed)(x).detach().square().mean() / x.square().mean()))
    assert np.mean(moments) == pytest.approx(2, abs=5 * np.std(moments) / math.sqrt(SEEDS))


def test_relus_on_shortcuts_close_the_path_as_those_behind_additions_do() -> None:
    unit = "unit u { branch linear(64, bias = false) -> layernorm shortcut relu }"
    text = f"resnet 1\n{unit}\nnetwork n {{ input 64 stage 54 * u }}\n"
    path = paths(build(text))[-1]
    assert path.gain == Gain()
    assert path.relus == 54
    found: list[float] = []
    for seed in range(4):
        x = torch.randn(256, 64, generator=torch.Generator().manual_seed(seed))
        is_open = torch.ones_like(x, dtype=torch.bool)
        for unit_module in resdsl.load(text, seed=seed).stage1:
            is_open &= x > 0
            x = unit_module(x).detach()
        found.append(float(is_open.double().mean()))
    assert np.mean(found) == pytest.approx(path.open, rel=0.12)
    assert 1e-3 * float(np.mean(found)) > 0.5**54, "and not as a product"


@pytest.mark.parametrize(
    ("shortcut", "units"),
    [
        ("scale(0.9)", 20),
        ("scale(1.1) -> dropout(0.1)", 12),
        ("gate(-3)", 12),
        ("linear(bias = false, init = xavier)", 8),
        ("linear(bias = false)", 8),
        ("linear(bias = false) -> layernorm", 12),
        ("layernorm -> linear(bias = false)", 12),
    ],
)
def test_stacks_by_simulation(shortcut: str, units: int) -> None:
    """Second moment, and the regression on the input, through many units whose branches add nothing.

    What a gate reads has a second moment of 1 in every unit, as branches would keep it.
    """
    width, seeds = 512, 12
    unit = f"unit u {{ branch linear({width}, bias = false, init = zero) shortcut {shortcut} }}"
    text = f"resnet 1\n{unit}\nnetwork n {{ input {width} stage {units} * u }}\n"
    gain = paths(build(text))[-1].gain
    assert gain is not None
    measured: list[tuple[float, float]] = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        x = torch.randn(64, width, dtype=torch.float64)
        y = x
        for unit_module in resdsl.load(text, seed=seed).double().train().stage1:
            size = y.square().mean().sqrt() if "gate" in shortcut else 1.0
            y = unit_module(y / size).detach() * size
        moment = float(x.square().mean())
        measured.append((float((x * y).mean()) / moment, float(y.square().mean()) / moment))
    mean, forward = np.mean(measured, axis=0)
    error = np.std(measured, axis=0, ddof=1) / math.sqrt(seeds)
    assert forward == pytest.approx(10**gain.forward, rel=0.03, abs=5 * float(error[1]))
    assert mean == pytest.approx(10**gain.mean, rel=0.03, abs=5 * float(error[0]) + 0.01)


def test_convolutions_typically_lose_what_they_gain_on_average() -> None:
    """He's second moment doubles in each, a mean of few large values: the logarithm grows by psi(C / 2) + ln(4 / C) a unit."""
    width, units, seeds = 16, 20, 200
    unit = f"unit u {{ branch linear({width}, bias = false, init = zero) shortcut linear(bias = false) }}"
    text = f"resnet 1\n{unit}\nnetwork n {{ input {width} stage {units} * u }}\n"
    gain = paths(build(text))[-1].gain
    assert gain is not None
    assert gain.forward == pytest.approx(units * math.log10(2))
    found: list[float] = []
    for seed in range(seeds):
        x = torch.randn(1, width, generator=torch.Generator().manual_seed(seed))
        y = resdsl.load(text, seed=seed)(x).detach()
        found.append(math.log(float(y.square().sum() / x.square().sum())))
    typical = units * (float(torch.special.digamma(torch.tensor(width / 2))) + math.log(4 / width))
    error = np.std(found, ddof=1) / math.sqrt(seeds)
    assert np.mean(found) == pytest.approx(typical, abs=5 * float(error))
    assert typical < units * math.log(2) - 1
