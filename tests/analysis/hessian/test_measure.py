"""Curvature of the networks of specs, against PyTorch's derivatives of functions written here, and against Theorem 2."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from resdsl import build
from resdsl.analysis.hessian import measure as curved
from resdsl.analysis.hessian.measure import measure_curvature
from resdsl.analysis.hessian.result import Curvature, Method
from resdsl.diagnostics import SpecError
from resdsl.network.initial import initial_weights
from resdsl.network.network import Network

Floats = NDArray[np.float64]
PER_UNIT = "stage1.{}.linear{}.weight"

NORMS = """resnet 1
unit u { branch conv(3x3, 2) -> bn -> relu -> conv(3x3, 2)
shortcut identity }
network norms { input 1x4x4
stem conv(3x3, 2)
stage u
head avgpool -> linear(3) }
"""


def _network(n: int = 2, units: int = 2, width: int = 4, placement: str = "at()", start: str = "zero") -> Network:
    parameters = {"n": n, "units": units, "width": width, "placement": placement, "start": start}
    return build("std/n_shortcut", "shortcut2", parameters)


def _samples(width: int = 4, samples: int = 40) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(5)
    return generator.standard_normal((samples, width)), generator.standard_normal((samples, width))


@pytest.mark.parametrize("act", ["at()", "at(mid = tanh)"])
def test_spectrum_of_a_network_that_is_not_at_zero(act: str) -> None:
    """Linear networks take a short way over fewer samples, others do not; both are the Hessian of the function as written here."""
    network, (inputs, targets) = _network(placement=act, start="xavier"), _samples()
    weights = initial_weights(network, 3)
    theta = np.concatenate([weights[PER_UNIT.format(unit, layer)].ravel() for unit in (0, 1) for layer in (1, 2)])
    x, y = torch.from_numpy(inputs), torch.from_numpy(targets)

    def loss(flat: torch.Tensor) -> torch.Tensor:
        stream = x
        for first, second in flat.view(2, 2, 4, 4):
            hidden = stream @ first.T
            stream = stream + (torch.tanh(hidden) if "tanh" in act else hidden) @ second.T
        return ((y - stream) ** 2).sum() / 80

    start = torch.from_numpy(theta.astype(np.float64))
    found = measure_curvature(network, None, (inputs, targets), seed=3)
    assert found.method is Method.EXACT
    assert found.loss == pytest.approx(float(loss(start)), rel=1e-12)
    gradient = torch.autograd.functional.jacobian(loss, start)
    assert found.gradient_norm == pytest.approx(float(gradient.norm()), rel=1e-12)
    expected = np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, start).numpy())
    np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-12 * np.abs(expected).max())
    assert found.prediction is not None
    assert not found.prediction.here
    assert "The prediction is for zero weights, the measurement for those given." in found.remarks


@pytest.mark.parametrize("act", ["at()", "at(pre = relu, mid = tanh, post = gelu)"])
def test_condition_for_two_layers_is_the_same_at_every_depth(act: str) -> None:
    samples = _samples()
    found = [measure_curvature(_network(units=units, placement=act), None, samples) for units in (2, 4, 8, 16, 32)]
    for one in found:
        assert one.prediction is not None
        assert one.prediction.here
        assert one.spectrum.exact_condition == pytest.approx(found[0].spectrum.exact_condition, rel=1e-10)
        assert one.spectrum.condition == pytest.approx(found[0].spectrum.condition, rel=1e-10)
        assert one.spectrum.index == 0.5
        assert one.prediction.spectrum is not None
        assert one.spectrum.exact_condition == pytest.approx(one.prediction.spectrum.exact_condition, rel=1e-10)


def test_digits() -> None:
    found = measure_curvature(_network(width=10), None, "digits")
    assert (found.samples, found.data) == (1797, "digits")
    assert found.spectrum.condition == pytest.approx(1.4583, abs=5e-5)
    assert found.spectrum.exact_condition == pytest.approx(1.5245, abs=5e-5)


def test_one_layer_is_predicted_with_its_gradient() -> None:
    found = measure_curvature(_network(n=1, units=5, placement="at(pre = tanh, post = silu)"), None, _samples())
    assert found.prediction is not None
    assert found.prediction.at_zero.eigenvalues is not None
    np.testing.assert_allclose(found.eigenvalues, found.prediction.at_zero.eigenvalues, atol=1e-12)
    assert found.gradient_norm == pytest.approx(found.prediction.at_zero.gradient_norm, rel=1e-12)


def test_three_layers_are_flat() -> None:
    found = measure_curvature(_network(n=3), None, _samples())
    assert not found.eigenvalues.any()
    assert found.spectrum.condition is None
    assert any("zero is flat" in remark and "Hessian as eps." in remark for remark in found.remarks)


@pytest.mark.parametrize("width", [1, 4])
def test_targets_that_are_inputs_have_no_curvature_at_all(width: int) -> None:
    inputs, _ = _samples(width)
    found = measure_curvature(_network(width=width), None, (inputs, inputs))
    assert found.loss == 0
    assert found.spectrum.largest == 0
    assert any("M is zero" in remark for remark in found.remarks)


def test_rank_deficient_moment_is_said_and_not_divided_by() -> None:
    inputs, targets = _samples()
    turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
    project = turned[:, :3] @ turned[:, :3].T
    found = measure_curvature(_network(), None, (inputs, inputs + targets @ project))
    assert found.spectrum.zeros == 64 // 4
    assert found.spectrum.exact_condition is None
    assert any("M has rank 3 of 4" in remark for remark in found.remarks)
    assert found.prediction is not None
    assert found.prediction.spectrum is not None
    assert found.prediction.spectrum.zeros == 16


def test_relu_at_exactly_zero_and_near_it() -> None:
    samples = _samples()
    at = measure_curvature(_network(placement="at(mid = relu)"), None, samples)
    assert at.spectrum.largest == 0
    assert any("relu'(0) counts as 0" in remark for remark in at.remarks)
    near = measure_curvature(_network(placement="at(mid = relu)", start="xavier(gain = 0.01)"), None, samples)
    assert near.spectrum.largest > 0.01
    assert near.spectrum.index == pytest.approx(0.5, abs=0.05)


def test_sigmoid_has_no_prediction() -> None:
    found = measure_curvature(_network(placement="at(mid = sigmoid)"), None, _samples())
    assert found.prediction is None
    assert any("does not apply" in remark for remark in found.remarks)


@pytest.mark.parametrize("act", ["at()", "at(mid = tanh)"])
def test_lanczos_finds_the_ends_of_the_exact_spectrum(monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    network, samples = _network(placement=act, start="xavier", units=4), _samples()
    exact = measure_curvature(network, None, samples)
    monkeypatch.setattr(curved, "EXACT_UP_TO", 100)
    told: list[tuple[int, int | None]] = []
    found = measure_curvature(network, None, samples, progress=lambda done, of: told.append((done, of)))
    assert found.method is Method.LANCZOS
    ends = exact.eigenvalues[[0, -1]]
    np.testing.assert_allclose(found.eigenvalues, ends, atol=1e-6 * np.abs(ends).max())
    assert found.spectrum.condition is found.spectrum.index is None
    assert exact.estimates is None
    assert found.estimates is not None
    assert told[-1] == (len(told), None)


@pytest.mark.slow
def test_large_network_goes_to_lanczos_and_still_has_its_prediction() -> None:
    found = measure_curvature(_network(units=40, width=8), None, _samples(8))
    assert (found.parameters, found.method) == (5120, Method.LANCZOS)
    assert found.prediction is not None
    assert found.prediction.spectrum is not None
    largest = found.prediction.spectrum.largest
    np.testing.assert_allclose(found.eigenvalues, [-largest, largest], rtol=1e-6)


@pytest.mark.slow
def test_estimates_beside_theory_at_32_units() -> None:
    """Each of ten singular values has a tenth of the 6,400 eigenvalues: the percentile stands on the step from the lowest to the next."""
    found = measure_curvature(_network(units=32, width=10), None, "digits")
    assert (found.parameters, found.method) == (6400, Method.LANCZOS)
    assert found.estimates is not None
    assert found.prediction is not None
    theory, estimates = found.prediction.spectrum, found.estimates
    assert theory is not None
    assert estimates.percentile10 is not None
    assert estimates.condition is not None
    assert estimates.index is not None
    assert theory.percentile10 is not None
    assert theory.condition is not None
    assert theory.condition == pytest.approx(1.4583, abs=5e-5)
    assert estimates.condition.low - 1e-6 <= theory.condition <= estimates.condition.high + 1e-6
    assert abs(estimates.index.value - 0.5) < 4 * estimates.index.error < 0.02
    lowest, second = found.prediction.at_zero.singular_values[[-1, -2]]
    assert (estimates.percentile10.low, estimates.percentile10.high) == pytest.approx((lowest, second), rel=1e-6)
    assert lowest < theory.percentile10 < second


def test_large_flat_network_is_zero_to_lanczos() -> None:
    found = measure_curvature(_network(n=3, units=30, width=8), None, _samples(8))
    assert found.method is Method.LANCZOS
    assert (found.spectrum.largest, found.spectrum.index, found.spectrum.zeros) == (0, 0, 5760)
    assert found.estimates is None


def test_batch_norms_are_differentiated_with_the_statistics_of_all_samples() -> None:
    """The spectrum is that of the function as PyTorch's batch_norm in training computes it."""
    network, generator = build(NORMS), np.random.default_rng(0)
    inputs, targets = generator.standard_normal((6, 1, 4, 4)), generator.standard_normal((6, 3))
    weights = {name: values.astype(np.float64) for name, values in initial_weights(network).items()}
    names = [name for name in weights if "running" not in name]
    shapes = [weights[name].shape for name in names]
    start = torch.from_numpy(np.concatenate([weights[name].ravel() for name in names]))

    def loss(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([int(np.prod(shape)) for shape in shapes])
        stem, first, gain, bias, second, head, head_bias = (p.view(s) for p, s in zip(parts, shapes, strict=True))
        stream = torch.conv2d(torch.from_numpy(inputs), stem, padding=1)
        hidden = torch.conv2d(stream, first, padding=1)
        hidden = torch.relu(torch.nn.functional.batch_norm(hidden, None, None, gain, bias, training=True))
        stream = stream + torch.conv2d(hidden, second, padding=1)
        return ((torch.from_numpy(targets) - stream.mean((2, 3)) @ head.T - head_bias) ** 2).sum() / 12

    found = measure_curvature(network, None, (inputs, targets))
    expected = np.linalg.eigvalsh(torch.autograd.functional.hessian(loss, start).numpy())
    np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-11 * np.abs(expected).max())
    assert found.prediction is None
    assert any("Batch norms use the statistics of all samples" in remark for remark in found.remarks)
    with pytest.raises(SpecError, match="digits are 10 numbers or 1x8x8"):
        measure_curvature(network, None, "digits")


def test_weights_of_a_trained_network_are_taken() -> None:
    network, samples = _network(start="xavier"), _samples()
    given = {name: value * 0 for name, value in initial_weights(network).items()}
    found = measure_curvature(network, given, samples)
    assert found.weights == "arrays"
    assert found.prediction is not None
    assert found.prediction.here


def _refused(network: Network, **named: object) -> str:
    with pytest.raises(SpecError) as caught:
        measure_curvature(network, named.get("weights"), named.get("data", _samples()))  # type: ignore[arg-type]
    return str(caught.value)


def test_refuses_nan_in_weights_with_the_tensor() -> None:
    network = _network(start="xavier")
    weights = initial_weights(network)
    weights["stage1.1.linear2.weight"][0, 0] = np.nan
    assert "stage1.1.linear2.weight" in _refused(network, weights=weights)


def test_refuses_a_loss_beyond_float64() -> None:
    network = _network(units=40)
    weights = {name: np.full((4, 4), 1e30, np.float32) for name in initial_weights(network)}
    assert "beyond float64" in _refused(network, weights=weights)


@pytest.mark.parametrize("operator", ["dropout(0.5)", "drop_path(0.5)"])
def test_refuses_a_random_loss(operator: str) -> None:
    def text(operator: str) -> str:
        return (
            f"resnet 1\nunit u {{ branch linear(4) -> {operator}\nshortcut identity }}\n"
            "network random { input 4\nstage 2 * u }\n"
        )

    assert "its loss in training is random" in _refused(build(text(operator)))
    assert measure_curvature(build(text(operator.replace("0.5", "0"))), None, _samples()).parameters == 40


def test_refuses_one_sample_for_a_batch_norm_and_networks_without_parameters() -> None:
    norm = build("resnet 1\nnetwork norm { input 4\nhead linear(4) -> bn }\n")
    one = _samples(samples=1)
    assert "has no variance" in _refused(norm, data=one)
    assert "has no parameters" in _refused(build("resnet 1\nnetwork empty { input 4\nhead tanh }\n"))


def test_result_is_finite_where_it_is_known() -> None:
    found: Curvature = measure_curvature(_network(start="xavier"), None, _samples(samples=1))
    assert np.isfinite(found.eigenvalues).all()
    assert found.spectrum.zeros
    assert any("cannot be told from 0" in remark for remark in found.remarks)


def test_vectors_that_do_not_fit_into_memory_are_not_begun() -> None:
    """`big` has 3,700² parameters, 13.7 million."""
    network = build("resnet 1\nnetwork big { input 3700\nhead linear(3700, bias = false, init = zero) }\n")
    told: list[int] = []
    samples = np.zeros((1, 3700))
    with pytest.raises(SpecError) as caught:
        measure_curvature(network, None, (samples, samples), progress=lambda done, _: told.append(done))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "too-many-parameters"
    assert "13,690,000 parameters, and 80 vectors of their length take 8.2 GiB" in diagnostic.message
    assert not told
