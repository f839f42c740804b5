"""What is measured of a network's units, each against a computation of its own: hooks and autograd on the whole module, numpy,
enumeration of all paths."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resdsl.analysis import Signal, signal
from resdsl.analysis.parts import Cut, leaves
from resdsl.analysis.propagation import measure
from resdsl.diagnostics import SpecError
from resdsl.network.initial import initial_weights
from resdsl.network.network import Network
from resdsl.spec import build
from resdsl.targets.torch_module import torch_module
from tests.analysis.by_autograd import Seen, by_length, fixed, full, seen, walked_back

SMALL = {"n": 2, "image": (3, 8, 8)}
SEED = 3
NETWORKS = [
    "resnet110",
    "preact110",
    "scale_half_frozen",
    "gate_exclusive",
    "gate_shortcut",
    "conv_shortcut",
    "plain110",
]
NESTED = """resnet 1
unit inner(width) { branch relu -> conv(3x3, width) shortcut scale(0.7) after bn }
unit outer(width) { branch bn -> relu -> 2 * inner(width) -> conv(3x3, width) shortcut scale(0.5, branch = 0.8) after relu }
network n { input 3x6x6 stem conv(3x3, 4) stage 2 * outer(4) -> bn -> inner(4) head relu -> avgpool -> linear(3) }
"""


def random_inputs(network: Network, samples: int = 3) -> NDArray[np.float32]:
    shape = tuple(int(part) for part in str(network.input).split("x"))
    return np.random.default_rng(7).standard_normal((samples, *shape), np.float32)


def measured(network: Network, *, double: bool = True, lengths: bool = True) -> Signal:
    inputs = random_inputs(network)
    return measure(network, initial_weights(network, SEED), inputs, seed=SEED, double=double, lengths=lengths)


def direction(output: Tensor) -> Tensor:
    """The one of the measurement."""
    drawn = torch.randn(output.shape[1:], generator=torch.Generator().manual_seed(SEED))
    return drawn.to(output.dtype).expand_as(output)


def whole(network: Network, detached: tuple[str, ...] = ()) -> Seen:
    """Units as the module as a whole has them."""
    x = torch.from_numpy(random_inputs(network)).double()
    module, parts = fixed(network, x, seed=SEED)
    return seen(module, x, [cut.name for cut in leaves(parts)], detached)


def log10_norms(gradients: list[Tensor]) -> NDArray[np.float64]:
    """Of all but the last, of the last."""
    norms = np.array([float(gradient.norm()) for gradient in gradients])
    with np.errstate(divide="ignore"):
        return np.log10(norms[:-1] / norms[-1])


def small(name: str) -> Network:
    return build("std/resnet110", name, SMALL)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_signals_are_those_of_the_whole_module(name: str) -> None:
    network = small(name)
    found, by_hooks = measured(network), whole(network)
    gradients = by_hooks.gradients(direction(by_hooks.output))
    assert found.log10_gradient == pytest.approx(log10_norms(gradients), abs=1e-10)
    for unit, (x, gradient) in enumerate(zip(by_hooks.inputs, gradients[:-1], strict=True)):
        numbers = x.detach().numpy()
        assert found.stream.mean_square[unit] == pytest.approx(np.mean(numbers.mean(axis=(0, 2, 3)) ** 2), rel=1e-9)
        assert found.stream.variance[unit] == pytest.approx(np.mean(numbers.var(axis=(0, 2, 3))), rel=1e-9)
        rows = gradient.flatten(1) / gradient.flatten(1).norm(dim=1, keepdim=True)
        cosines = [float(rows[i] @ rows[j]) for i, j in itertools.combinations(range(len(rows)), 2)]
        assert found.cosine[unit] == pytest.approx(np.mean(cosines), abs=1e-10)
    end = by_hooks.end.detach().numpy()
    assert found.output.variance[-1] == pytest.approx(np.mean(end.var(axis=(0, 2, 3))), rel=1e-9)
    assert found.variance_ratio == pytest.approx(found.branch.variance / found.stream.variance)


@pytest.mark.parametrize(
    ("name", "last"),
    [("resnet110", "conv2"), ("preact110", "conv2"), ("conv_shortcut", "conv2"), ("gate_shortcut", "conv2")],
)
def test_the_direct_term_is_what_is_left_with_every_branch_detached(name: str, last: str) -> None:
    network = small(name)
    found = measured(network)
    through = whole(network, tuple(f"{unit}.{last}" for unit in found.units))
    assert found.log10_direct == pytest.approx(log10_norms(through.gradients(direction(through.output))), abs=1e-10)


def test_the_direct_term_of_scales_is_their_product() -> None:
    text = """resnet 1
unit u(factor) { branch linear(6) -> tanh shortcut scale(factor) }
network n { input 6 stage u(0.5) -> u(-2) -> u(0.1) -> u(1) head linear(2) }
"""
    found = measured(build(text))
    assert found.log10_direct == pytest.approx(np.log10([0.1, 0.2, 0.1, 1]), abs=1e-12)
    assert found.log10_expected == pytest.approx(found.log10_direct, abs=1e-12)
    for measured_gains, closed in ((found.shortcut, found.expected),):
        assert measured_gains.mean == pytest.approx([0.5, -2, 0.1, 1])
        assert closed.mean == pytest.approx([0.5, 2, 0.1, 1])
        assert measured_gains.forward == pytest.approx([0.25, 4, 0.01, 1])
        assert measured_gains.backward == pytest.approx(closed.backward)


def test_units_in_units() -> None:
    """Gradients at the inputs of inner units, too; the direct term goes through the inner shortcuts, and there through the outer ones."""
    network = build(NESTED)
    found, by_hooks = measured(network), whole(network)
    assert found.units == (*(f"stage1_outer.{i}.inner.{j}" for i in (0, 1) for j in (0, 1)), "stage1_inner.0")
    assert found.log10_gradient == pytest.approx(log10_norms(by_hooks.gradients(direction(by_hooks.output))), abs=1e-10)
    assert found.lengths is not None
    assert found.lengths.measured.sum() == pytest.approx(1)


def test_branch_and_shortcut_hand_back_the_gradient_between_them() -> None:
    """Of one unit, by two vector-Jacobian products."""
    network = build("resnet 1\nunit u { branch linear(6) -> tanh shortcut gate(1) }\nnetwork n { input 6 stage u }")
    found = measured(network)
    x = torch.from_numpy(random_inputs(network)).double()
    _, parts = fixed(network, x, seed=SEED)
    (cut,) = leaves(parts)
    x.requires_grad_()
    shortcut, branch = cut.meets(x)
    assert shortcut is not None
    sent = direction(branch)
    for output, gain in ((shortcut, found.shortcut.backward[0]), (branch, found.branch_backward[0])):
        (gradient,) = torch.autograd.grad(output, x, sent, retain_graph=True)
        assert gain == pytest.approx(float((gradient.square().sum() / sent.square().sum()).detach()))
    read, brought = x.detach(), shortcut.detach()
    assert found.shortcut.mean[0] == pytest.approx(float((brought * read).sum() / (read * read).sum()))
    assert found.shortcut.forward[0] == pytest.approx(float(brought.square().mean() / read.square().mean()))


PATHS = """resnet 1
unit u(factor) { branch bn -> tanh -> linear(5) shortcut scale(factor) }
network n { input 5 stage u(1) -> u(0.6) -> u(1.3) -> u(-0.8) -> u(1) }
"""


def paths(cuts: list[Cut], x: Tensor, sent: Tensor) -> Tensor:
    """By length, the sum over all 2^n choices of a branch or a shortcut in each unit, each path's Jacobians one after another."""
    inputs = [x]
    for cut in cuts[:-1]:
        shortcut, branch = cut.meets(inputs[-1])
        assert shortcut is not None
        inputs.append(shortcut + branch)
    rows = torch.zeros(len(cuts) + 1, *sent.shape, dtype=sent.dtype)
    for choice in itertools.product((0, 1), repeat=len(cuts)):
        gradient = sent
        for cut, taken, given in reversed(list(zip(cuts, choice, inputs, strict=True))):
            source = given.detach().clone().requires_grad_()
            output = cut.meets(source)[taken]
            assert output is not None
            (gradient,) = torch.autograd.grad(output, source, gradient)
        rows[sum(choice)] += gradient
    return rows


def test_path_lengths_are_those_of_all_paths() -> None:
    network = build(PATHS)
    x = torch.from_numpy(random_inputs(network)).double()
    _, parts = fixed(network, x, seed=SEED)
    cuts = list(leaves(parts))
    sent = direction(x)
    expected = paths(cuts, x, sent)
    _, waves = walked_back(parts, x, sent)
    assert waves.stack is not None
    torch.testing.assert_close(by_length(waves.stack, 6), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(full(waves.gradient), expected.sum(dim=0), rtol=1e-10, atol=1e-12)
    found = measured(network)
    energies = expected.square().sum(dim=(1, 2))
    assert found.lengths is not None
    assert found.lengths.measured == pytest.approx((energies / energies.sum()).numpy(), abs=1e-10)


def test_predicted_lengths_are_those_of_the_measured_gains() -> None:
    """A Poisson-binomial distribution, by its generating polynomial."""
    found = measured(build(PATHS))
    polynomial = np.ones(1)
    for shortcut, branch in zip(found.shortcut.backward, found.branch_backward, strict=True):
        polynomial = np.convolve(polynomial, [shortcut, branch])
    assert found.lengths is not None
    assert found.lengths.predicted == pytest.approx(polynomial / polynomial.sum(), rel=1e-9)
    chance = found.branch_backward / (found.branch_backward + found.shortcut.backward)
    assert found.lengths.predicted_mean == pytest.approx(chance.sum())


@pytest.mark.parametrize("name", ["resnet110", "preact110", "dropout_shortcut", "relu_before_add110"])
def test_float32_and_float64_agree(name: str) -> None:
    single, double = measured(small(name), double=False), measured(small(name))
    assert (single.precision, double.precision) == ("fp32", "fp64")
    assert single.log10_gradient == pytest.approx(double.log10_gradient, abs=1e-3)
    assert single.log10_direct == pytest.approx(double.log10_direct, abs=1e-3)
    assert single.output.variance == pytest.approx(double.output.variance, rel=1e-3)
    assert single.cosine == pytest.approx(double.cosine, abs=1e-2)
    assert single.lengths is not None
    assert double.lengths is not None
    assert single.lengths.mean == pytest.approx(double.lengths.mean, abs=1e-2)


DROPPED = """resnet 1
unit u { branch linear(50, init = zero, bias = false) shortcut dropout(0.3) -> drop_path(0.2, rescale = false) }
network n { input 50 stage 4 * u }
"""


def test_masks_are_the_same_forward_and_back() -> None:
    """Branches are zero: the output of ones is the product of the masks, and so is what comes back of ones."""
    network = build(DROPPED)
    ones = torch.ones(20, 50, dtype=torch.float64)
    _, parts = fixed(network, ones)
    output, waves = walked_back(parts, ones, ones)
    assert 0 < float((output == 0).double().mean()) < 1
    assert len(output.unique()) == 2  # 0, and 1 / 0.7^4
    torch.testing.assert_close(full(waves.gradient), output)
    torch.testing.assert_close(full(waves.direct), output)


def test_masks_in_units_in_units() -> None:
    text = """resnet 1
unit inner { branch linear(30, init = zero, bias = false) shortcut dropout(0.2) }
unit outer { branch dropout(0.1) -> 2 * inner -> dropout(0.1) shortcut dropout(0.3) after dropout(0.1) }
network n { input 30 stage dropout(0.1) -> 2 * outer }
"""
    ones = torch.ones(10, 30, dtype=torch.float64)
    _, parts = fixed(build(text), ones)
    output, waves = walked_back(parts, ones, ones)
    assert len(output.unique()) > 3
    torch.testing.assert_close(full(waves.gradient), output)


def test_masks_differ_between_units() -> None:
    """Of 3,000 numbers 0.7^4 survive four masks; one mask for all units would leave 0.7."""
    text = DROPPED.replace(" -> drop_path(0.2, rescale = false)", "").replace("50", "1000")
    ones = torch.ones(3, 1000, dtype=torch.float64)
    _, parts = fixed(build(text), ones)
    output, _ = walked_back(parts, ones, ones)
    chance = 0.7**4
    error = math.sqrt(chance * (1 - chance) / 3000)
    assert float((output > 0).double().mean()) == pytest.approx(chance, abs=4 * error)


def test_statistics_are_those_of_the_inputs() -> None:
    """A norm gives numbers of mean 0 and variance 1 in each channel of the batch, as training would."""
    network = build(
        "resnet 1\nunit u { branch conv(3x3, 4) -> bn shortcut none }\nnetwork n { input 3x6x6 stage 3 * u }"
    )
    found = measured(network)
    assert found.branch.mean_square == pytest.approx(0, abs=1e-20)
    assert found.branch.variance == pytest.approx(1, abs=1e-4)  # 1 but for eps
    x = torch.from_numpy(random_inputs(network)).double()
    module, _ = fixed(network, x, seed=SEED)
    training = torch_module(network, initial_weights(network, SEED)).double().train()
    norms = {name: part for name, part in module.named_modules() if isinstance(part, nn.BatchNorm2d)}
    for name, norm in norms.items():
        training.get_submodule(name).momentum = 1.0
        assert norm.running_mean is not None
    training(x)
    count = len(x) * 36
    for name, norm in norms.items():
        expected = training.get_submodule(name)
        torch.testing.assert_close(norm.running_mean, expected.running_mean)
        torch.testing.assert_close(norm.running_var, expected.running_var * (count - 1) / count)


def test_given_weights_come_with_their_statistics() -> None:
    network = build("resnet 1\nunit u { branch bn shortcut none }\nnetwork n { input 4x3x3 stage u }")
    weights = initial_weights(network)
    (mean,) = [name for name in weights if name.endswith("running_mean")]
    (variance,) = [name for name in weights if name.endswith("running_var")]
    given = {**weights, mean: np.full(4, 2.0, np.float32), variance: np.full(4, 25.0, np.float32)}
    inputs = random_inputs(network)
    found = signal(
        "resnet 1\nunit u { branch bn shortcut none }\nnetwork n { input 4x3x3 stage u }", weights=given, inputs=inputs
    )
    by_channel = inputs.astype(np.float64)
    assert found.weights == "arrays"
    assert found.branch.variance[0] == pytest.approx(np.mean(by_channel.var(axis=(0, 2, 3))) / 25, rel=1e-4)
    assert found.branch.mean_square[0] == pytest.approx(
        np.mean(((by_channel.mean(axis=(0, 2, 3)) - 2) / 5) ** 2), rel=1e-4
    )
    assert 10 ** found.log10_gradient[0] == pytest.approx(1 / 5, rel=1e-4)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_nothing_of_the_caller_moves_and_nothing_of_it_matters(context: type) -> None:
    network = small("dropout_shortcut")
    expected = measured(network, lengths=False)
    torch.manual_seed(11)
    np.random.seed(11)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    torch.set_default_dtype(torch.float64)
    try:
        with context():
            enabled = torch.is_grad_enabled()
            found = measured(network, lengths=False)
            assert torch.is_grad_enabled() == enabled
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert np.array_equal(found.log10_gradient, expected.log10_gradient)
    assert np.array_equal(found.output.variance, expected.output.variance)


LINEAR = "resnet 1\nunit u {{ branch {branch} shortcut {shortcut} }}\nnetwork n {{ init {init} input 6 stage {n} * u }}"


def test_a_gradient_far_below_float32() -> None:
    """60 units of 0.01: 1e-120, and each length's share is the binomial one."""
    text = LINEAR.format(branch="scale(0.01)", shortcut="scale(0.01)", init="he", n=60)
    found = measured(build(text), double=False)
    assert found.log10_direct == pytest.approx(-2 * np.arange(60, 0, -1), abs=1e-3)
    assert found.log10_gradient == pytest.approx((math.log10(2) - 2) * np.arange(60, 0, -1), abs=1e-3)
    assert found.lengths is not None
    ways = np.array(
        [float(math.comb(60, k)) ** 2 for k in range(61)]
    )  # paths of a length are alike, and add up in phase
    assert found.lengths.measured == pytest.approx((ways / ways.sum())[: len(found.lengths.measured)], abs=2e-6)
    assert found.lengths.mean == pytest.approx(30)


def test_a_gradient_without_shortcuts_far_below_float32() -> None:
    text = LINEAR.format(branch="scale(0.01)", shortcut="none", init="he", n=60)
    found = measured(build(text), double=False)
    assert found.log10_gradient[0] == pytest.approx(-120, abs=1e-3)
    assert found.log10_direct[0] == -math.inf
    assert found.lengths is not None
    assert (found.lengths.mean, found.lengths.measured.sum()) == (60, 1)


def test_growth_far_above_float32() -> None:
    """The gradient doubles in each of 333 units, 2^333 = 1.7e100; the signal is kept out of it by weights that it does not see."""
    text = "resnet 1\nunit u { branch tanh -> scale(1) shortcut identity }\nnetwork n { input 6 stage 333 * u }"
    network = build(text)
    zeros = np.zeros((2, 6), np.float32)
    found = measure(network, initial_weights(network), zeros)
    assert found.log10_gradient == pytest.approx(math.log10(2) * np.arange(333, 0, -1), abs=1e-3)
    assert found.log10_direct == pytest.approx(0, abs=1e-3)
    assert found.lengths is not None
    assert found.lengths.mean == pytest.approx(333 / 2, abs=1e-2)
    assert found.lengths.predicted_mean == pytest.approx(333 / 2, abs=1e-6)


def test_overflow_names_the_unit_where_it_begins() -> None:
    """10^30 in float32, whose range ends at 3.4e38: the second unit's result is infinite."""
    text = LINEAR.format(branch="scale(1e30)", shortcut="identity", init="he", n=4)
    with pytest.raises(SpecError, match=r"not finite from stage1\.1 on"):
        measured(build(text), double=False)
    assert np.isfinite(measured(build(text)).output.variance).all()


def test_an_infinite_branch_is_said_where_what_follows_hides_it() -> None:
    text = "resnet 1\nunit u { branch scale(1e30) -> scale(1e30) shortcut identity after tanh }\nnetwork n { input 6 stage 2 * u }"
    with pytest.raises(SpecError, match=r"not finite from stage1\.0 on"):
        measured(build(text), double=False)


def test_nan_names_the_unit_where_it_begins_and_in_weights_the_tensor() -> None:
    network = small("resnet110")
    weights = dict(initial_weights(network))
    weights["stage2.1.conv2.weight"] = np.full_like(weights["stage2.1.conv2.weight"], np.nan)
    with pytest.raises(SpecError, match=r"not finite from stage2\.1 on"):
        measure(network, weights, random_inputs(network))
    with pytest.raises(SpecError, match=r"stage2\.1\.conv2\.weight .* NaN"):
        signal("std/resnet110", "resnet110", SMALL, weights=weights)


def test_inputs_of_another_shape_or_not_finite_are_refused() -> None:
    with pytest.raises(SpecError):
        signal("std/resnet110", "resnet110", SMALL, inputs=np.zeros((2, 3, 9, 9), np.float32))
    with pytest.raises(SpecError):
        signal("std/resnet110", "resnet110", SMALL, inputs=np.full((2, 3, 8, 8), np.inf, np.float32))


def test_a_network_without_units_is_refused() -> None:
    with pytest.raises(SpecError, match="plain has no units"):
        signal("resnet 1\nnetwork plain { input 4 stem linear(4) head relu }")


def test_progress_counts_units_forward_and_back() -> None:
    told: list[tuple[int, int]] = []
    signal("std/resnet110", "resnet110", SMALL, samples=2, progress=lambda done, all_: told.append((done, all_)))
    assert told == [(done, 12) for done in range(1, 13)]


def test_a_head_that_starts_at_zero_gives_way_to_a_direction_of_the_stream() -> None:
    text = "resnet 1\nunit u { branch linear(6) shortcut scale(0.5) }\nnetwork n { input 6 stage 2 * u head linear(3, init = zero) }"
    found = measured(build(text))
    assert found.log10_direct == pytest.approx(np.log10([0.25, 0.5]), abs=1e-12)


def test_seeds_beyond_what_pytorch_takes() -> None:
    """Two of them, and each its own."""
    text = (
        "resnet 1\nunit u { branch linear(6) shortcut dropout(0.5) }\nnetwork n { input 6 stage 2 * u head linear(3) }"
    )
    found = [signal(text, seed=seed, samples=3).log10_gradient for seed in (2**64, 2**64 + 1, 2**64)]
    assert np.isfinite(found[0]).all()
    assert np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1])


def test_a_gradient_of_zero_has_no_path_lengths() -> None:
    text = "resnet 1\nunit u { branch linear(4) -> scale(0) shortcut scale(0) }\nnetwork n { input 4 stage 2 * u }"
    found = measured(build(text))
    assert found.lengths is not None
    assert np.isnan([found.lengths.mean, found.lengths.predicted_mean]).all()
    assert np.isnan(found.lengths.measured).all()
    assert "No gradient reaches the first unit, so it has no path lengths." in found.remarks
    assert (found.log10_gradient == -math.inf).all()


def test_one_sample_has_no_cosine() -> None:
    network = small("resnet110")
    found = measure(network, initial_weights(network), random_inputs(network, 1), lengths=False)
    assert np.isnan(found.cosine).all()
    assert found.lengths is None


def test_nothing_that_is_measured_depends_on_lengths() -> None:
    with_, without = measured(small("resnet110")), measured(small("resnet110"), lengths=False)
    assert np.array_equal(with_.log10_gradient, without.log10_gradient)
