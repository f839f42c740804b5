"""Estimates against all eigenvalues of the same matrices, of 1,000 to 3,000 rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from resdsl import build
from resdsl.analysis.digits_pca import digits_images, digits_pca
from resdsl.analysis.hessian import measure as curved
from resdsl.analysis.hessian.interior import Between, Estimate, Interior, interior
from resdsl.analysis.hessian.measure import measure_curvature
from resdsl.analysis.hessian.regression import Data
from resdsl.analysis.hessian.result import Method
from resdsl.analysis.hessian.spectrum import Spectrum, spectrum
from resdsl.network.network import Network
from resdsl.spec import Parameter

Floats = NDArray[np.float64]

NORMS = """resnet 1
unit u { branch conv(3x3, 5) -> bn -> relu -> conv(3x3, 5) -> bn
shortcut identity }
network norms { input 1x8x8
stem conv(3x3, 5)
stage 2 * u
head avgpool -> linear(10) }
"""


def _network(**parameters: Parameter) -> Network:
    return build("std/n_shortcut", "shortcut2", {"width": 10, "units": 8, **parameters})


def _random_samples() -> Data:
    generator = np.random.default_rng(0)
    return generator.standard_normal((100, 20)), generator.standard_normal((100, 20))


def _both(monkeypatch: pytest.MonkeyPatch, network: Network, data: Data) -> tuple[Spectrum, Interior]:
    exact = measure_curvature(network, None, data)
    assert exact.method is Method.EXACT
    monkeypatch.setattr(curved, "EXACT_UP_TO", 100)
    found = measure_curvature(network, None, data)
    assert found.method is Method.LANCZOS
    assert 1000 <= found.parameters <= 3000
    assert found.estimates is not None
    return exact.spectrum, found.estimates


def _close(estimate: Estimate | None, exact: float | None, *, within: float) -> None:
    """To four errors, and these are at most the share `within` of the value."""
    assert estimate is not None
    assert exact is not None
    assert abs(estimate.value - exact) < 4 * estimate.error
    assert estimate.error <= within * exact


def _holds(found: Between | None, exact: float | None, *, within: float) -> None:
    """And is at most the share `within` of the value wide."""
    assert found is not None
    assert exact is not None
    assert found.low * (1 - 1e-6) <= exact <= found.high * (1 + 1e-6)
    assert found.high - found.low <= within * exact


@pytest.mark.parametrize(
    ("start", "data"),
    [
        ("zero", "digits"),
        ("xavier(gain = 0.1)", "digits"),
        ("xavier(gain = 0.3)", "digits"),
        ("xavier(gain = 0.3)", None),
    ],
)
def test_two_layers(monkeypatch: pytest.MonkeyPatch, start: str, data: str | None) -> None:
    shape = {"units": 3, "width": 20} if data is None else {}
    exact, found = _both(monkeypatch, _network(start=start, **shape), data or _random_samples())
    _holds(found.percentile10, exact.percentile10, within=0.3)
    _holds(found.condition, exact.condition, within=0.3)
    _close(found.index, exact.index, within=0.02)
    assert found.zeros == Estimate(0.0, 0.0)


def test_one_layer_with_a_large_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest is 43 times the percentile: what the last steps change is most of the error."""
    exact, found = _both(monkeypatch, _network(n=1, units=16, start="zero"), "digits")
    _holds(found.percentile10, exact.percentile10, within=0.3)
    _holds(found.condition, exact.condition, within=0.3)
    _close(found.index, exact.index, within=0.02)


@pytest.mark.slow
def test_activations(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    samples = generator.standard_normal((60, 10)), generator.standard_normal((60, 10))
    network = _network(units=5, placement="at(mid = tanh)", start="xavier(gain = 0.3)")
    exact, found = _both(monkeypatch, network, samples)
    _holds(found.percentile10, exact.percentile10, within=0.3)
    _close(found.index, exact.index, within=0.03)


def test_many_zeros_are_said_and_leave_no_percentile(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 samples of 10 numbers: M has rank 8, and a fifth of the eigenvalues is 0."""
    generator = np.random.default_rng(0)
    samples = generator.standard_normal((8, 10)), generator.standard_normal((8, 10))
    exact, found = _both(monkeypatch, _network(start="zero"), samples)
    assert exact.zeros == 320
    _close(found.zeros, 0.2, within=0.05)
    _close(found.index, 0.4, within=0.03)
    assert found.percentile10 is found.condition is None
    assert found.percentile10_below == 0


def test_what_is_too_near_zero_is_not_estimated_and_the_bound_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """At Xavier's full size the condition number is 8.4e5: 80 steps would give 2,000."""
    exact, found = _both(monkeypatch, _network(start="xavier"), "digits")
    assert found.percentile10 is found.condition is found.index is None
    assert exact.percentile10 is not None
    assert exact.percentile10 < found.percentile10_below < exact.largest / 100


@pytest.mark.slow
def test_convolutions_and_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    images, targets = digits_images()
    exact, found = _both(monkeypatch, build(NORMS), (images[:8], targets[:8]))
    assert found.percentile10 is found.condition is None
    assert exact.percentile10 is not None
    assert exact.percentile10 < found.percentile10_below < exact.largest / 20


def test_the_error_is_that_of_other_seeds() -> None:
    """Thirty estimates scatter about the exact value as their errors say."""
    eigenvalues = np.random.default_rng(0).standard_normal(1000)
    exact = spectrum(eigenvalues)
    largest = exact.largest
    found = [interior(lambda vector: eigenvalues * vector, 1000, largest, seed).index for seed in range(30)]
    values = np.array([one.value for one in found if one is not None])
    errors = np.array([one.error for one in found if one is not None])
    assert len(values) == 30
    assert 0.6 < values.std(ddof=1) / np.sqrt(np.mean(errors**2)) < 1.5
    assert abs(values.mean() - np.mean(eigenvalues < 0)) < 4 * values.std(ddof=1) / np.sqrt(30)


def _two_layers_on_digits(units: int) -> Floats:
    """At zero, by Theorem 2: plus and minus the singular values of the mean of (x - y) x^T, each once for a dimension and a unit."""
    inputs, targets = digits_pca()
    values = np.linalg.svd((inputs - targets).T @ inputs / len(inputs), compute_uv=False)
    return np.repeat(np.concatenate([values, -values]), 10 * units)


@pytest.mark.parametrize("units", [8, 32])
def test_a_percentile_at_a_gap_of_the_spectrum_is_anywhere_in_the_gap(units: int) -> None:
    """With ten dimensions the lowest singular value has just a tenth of the eigenvalues, so probes find it or the next one."""
    eigenvalues = _two_layers_on_digits(units)
    exact, sizes = spectrum(eigenvalues), np.unique(np.abs(eigenvalues).round(12))
    found = [interior(lambda vector: eigenvalues * vector, len(eigenvalues), exact.largest, seed) for seed in range(20)]
    for one in found:
        _holds(one.percentile10, exact.percentile10, within=0.05)
        _holds(one.condition, exact.condition, within=0.06)
        assert one.percentile10 is not None
        assert (one.percentile10.low, one.percentile10.high) == pytest.approx((sizes[0], sizes[1]), rel=1e-6)
        assert exact.percentile10 is not None
        assert exact.percentile10 <= one.percentile10_below * (1 + 1e-6)
    indices = [one.index for one in found if one.index is not None]
    off = np.array([(one.value - 0.5) / one.error for one in indices])
    assert len(off) == 20
    assert np.abs(off).max() < 3.5
    assert 0.6 < np.sqrt(np.mean(off**2)) < 1.4


def test_ranges_of_a_spectrum_that_the_steps_do_not_resolve_hold_for_many_seeds() -> None:
    """The largest is 43 times the percentile, from which most probes are off to the same side."""
    generator = np.random.default_rng(0)
    eigenvalues = np.concatenate(
        [generator.choice([-1, 1], 1560) * (0.7 + generator.random(1560)), np.geomspace(2, 35, 40)]
    )
    exact = spectrum(eigenvalues)
    for seed in range(20):
        found = interior(lambda vector: eigenvalues * vector, len(eigenvalues), exact.largest, seed)
        _holds(found.condition, exact.condition, within=0.5)


def test_a_seed_gives_the_same_estimate_again_and_another_another() -> None:
    eigenvalues = torch.linspace(-1, 1, 400, dtype=torch.float64).numpy()
    first, again, other = (interior(lambda vector: eigenvalues * vector, 400, 1.0, seed) for seed in (0, 0, 1))
    assert first == again != other
