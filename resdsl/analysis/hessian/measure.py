"""The curvature of a network's squared loss: the whole spectrum of small ones; both ends, and estimates between, of large ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from resdsl.analysis.given import WeightsSource, weights_of
from resdsl.analysis.hessian.exact import exact_hessian, hessian_product
from resdsl.analysis.hessian.interior import Interior, interior
from resdsl.analysis.hessian.lanczos import ends
from resdsl.analysis.hessian.network_loss import NetworkLoss, network_loss
from resdsl.analysis.hessian.quadrature import LARGEST, STEPS
from resdsl.analysis.hessian.regression import Data, Regression, regression
from resdsl.analysis.hessian.remarks import remarks
from resdsl.analysis.hessian.result import Curvature, Method, Prediction
from resdsl.analysis.hessian.spectrum import Spectrum, spectrum
from resdsl.diagnostics import fail
from resdsl.network.network import Network
from resdsl.theory.n_shortcut import NShortcut, n_shortcut
from resdsl.theory.theorem2 import applies, at_zero

Progress = Callable[[int, int | None], None]
"""Is told how much is done, rows of the Hessian or products with it, and of how many; None where that is not known."""
EXACT_UP_TO = 5_000
"""Parameters of which all eigenvalues are computed: 200 MB, and minutes."""


def measure_curvature(
    network: Network, weights: WeightsSource, data: Data, *, seed: int = 0, progress: Progress | None = None
) -> Curvature:
    """Of the network at these weights, by default those of its initialisation from `seed`; beside it what Theorem 2 predicts.

    data: `digits` or (inputs (m, *input), targets (m, *output)). Raises SpecError for networks with dropout or stochastic depth,
    without parameters or with more than 13 million, data of another shape, NaN or infinity in weights, data or loss, and missing libraries.
    """
    samples = regression(network, data)
    arrays, origin = weights_of(network, weights, seed)
    kind = n_shortcut(network)
    loss = network_loss(network, arrays, samples, kind)
    size = len(loss.start)
    if size > LARGEST:
        message = f"{network.name} has {size:,} parameters, and {STEPS} vectors of their length take {size * STEPS * 8 / 2**30:,.1f} GiB"
        raise fail("too-many-parameters", message, help=f"curvature is measured of up to {LARGEST:,}")
    value, gradient = float(loss(loss.start)), loss.gradient()
    if not np.isfinite(value) or not torch.isfinite(gradient).all():
        message = f"the loss of {network.name} at these weights, or its gradient, is beyond float64"
        raise fail("not-finite", message, help="smaller weights: `init xavier(gain = 0.1)`, or norms")
    method = Method.EXACT if size <= EXACT_UP_TO else Method.LANCZOS
    eigenvalues, found, estimates = _all(loss, progress) if method is Method.EXACT else _parts(loss, seed, progress)
    prediction = None if kind is None else _prediction(kind, samples, here=not loss.start.any())
    return Curvature(
        network.name,
        size,
        len(samples.inputs),
        samples.name,
        origin,
        seed,
        method,
        value,
        float(gradient.norm()),
        eigenvalues,
        found,
        estimates,
        prediction,
        remarks(network, kind, found, estimates, prediction),
    )


def _all(loss: NetworkLoss, progress: Progress | None) -> tuple[NDArray[np.float64], Spectrum, None]:
    hessian = exact_hessian(loss, loss.start, rows=loss.rows(), progress=progress).numpy()
    eigenvalues = np.linalg.eigvalsh(_finite(hessian))
    return eigenvalues, spectrum(eigenvalues), None


def _parts(
    loss: NetworkLoss, seed: int, progress: Progress | None
) -> tuple[NDArray[np.float64], Spectrum, Interior | None]:
    """The ends are found, what lies between is estimated; unless all of it is 0."""
    product, size, done = hessian_product(loss, loss.start), len(loss.start), 0

    def counted(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, None)
        return _finite(product(torch.from_numpy(vector)).numpy())

    eigenvalues = np.array(ends(counted, size, seed))
    if not eigenvalues.any():
        return eigenvalues, spectrum(np.zeros(size)), None
    largest = float(np.abs(eigenvalues).max())
    found = Spectrum(largest, None, None, None, None, None, None)
    return eigenvalues, found, interior(counted, size, largest, seed)


def _finite(derivatives: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(derivatives).all():
        raise fail(
            "not-finite", "second derivatives are beyond float64 at these weights", help="smaller weights, or norms"
        )
    return derivatives


def _prediction(kind: NShortcut, samples: Regression, *, here: bool) -> Prediction | None:
    if not applies(kind):
        return None
    found = at_zero(kind, samples.inputs, samples.targets)
    return Prediction(found, here, None if found.eigenvalues is None else spectrum(found.eigenvalues))
