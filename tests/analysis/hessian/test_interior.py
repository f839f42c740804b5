"""Estimates against all eigenvalues of the same matrices, of 1,000 to 3,000 rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from resdsl import build
from resdsl.analysis.digits_pca import digits_images
from resdsl.analysis.hessian import measure as curved
from resdsl.analysis.hessian.interior import Estimate, Interior, interior
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
    _close(found.percentile10, exact.percentile10, within=0.05)
    _close(found.condition, exact.condition, within=0.05)
    _close(found.index, exact.index, within=0.02)
    assert found.zeros == Estimate(0.0, 0.0)


def test_one_layer_with_a_large_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest is 43 times the percentile: what the last steps change is most of the error."""
    exact, found = _both(monkeypatch, _network(n=1, units=16, start="zero"), "digits")
    _close(found.percentile10, exact.percentile10, within=0.05)
    _close(found.condition, exact.condition, within=0.05)
    _close(found.index, exact.index, within=0.02)


@pytest.mark.slow
def test_activations(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    samples = generator.standard_normal((60, 10)), generator.standard_normal((60, 10))
    network = _network(units=5, placement="at(mid = tanh)", start="xavier(gain = 0.3)")
    exact, found = _both(monkeypatch, network, samples)
    _close(found.percentile10, exact.percentile10, within=0.05)
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


def test_a_seed_gives_the_same_estimate_again_and_another_another() -> None:
    eigenvalues = torch.linspace(-1, 1, 400, dtype=torch.float64).numpy()
    first, again, other = (interior(lambda vector: eigenvalues * vector, 400, 1.0, seed) for seed in (0, 0, 1))
    assert first == again != other
