"""What the numbers of a curvature do not say by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.analysis.hessian.interior import Estimate, Interior
from resdsl.analysis.hessian.network_loss import has
from resdsl.analysis.hessian.quadrature import PROBES, STEPS
from resdsl.analysis.hessian.result import Prediction
from resdsl.analysis.hessian.spectrum import Spectrum
from resdsl.network import operators as op
from resdsl.network.network import Network
from resdsl.theory.activation import Activation
from resdsl.theory.n_shortcut import NShortcut
from resdsl.theory.theorem2 import AtZero


def remarks(
    network: Network, kind: NShortcut | None, found: Spectrum, estimates: Interior | None, prediction: Prediction | None
) -> tuple[str, ...]:
    return tuple(_remarks(network, kind, found, estimates, prediction))


def _remarks(
    network: Network, kind: NShortcut | None, found: Spectrum, estimates: Interior | None, prediction: Prediction | None
) -> Iterator[str]:
    if found.largest == 0:
        yield "The Hessian is zero: to second order the loss is flat, or straight, and there is no condition number."
    elif estimates is not None:
        yield from _of_estimates(estimates, found.largest)
    elif found.zeros:
        yield f"{found.zeros:,} eigenvalues cannot be told from 0, and nothing is divided by them."
    if prediction is not None:
        yield from _of_prediction(prediction)
    elif kind is not None:
        yield "Theorem 2 does not apply: sigmoid is 0.5 at 0, so zero weights do not leave the input as it is."
    if has(network, op.Relu):
        yield "ReLU has no second derivative at its kink, and there counts as flat; elsewhere the Hessian is that of the linear piece."
    if has(network, op.BatchNorm):
        yield "Batch norms use the statistics of all samples at once, and the Hessian includes how these change."


def _of_estimates(estimates: Interior, largest: float) -> Iterator[str]:
    """Why there is no number is said here, and nowhere else."""
    yield (
        f"What is about is estimated from {PROBES} random probes of {STEPS} Lanczos steps; the error is the standard error over the probes, "
        "and what the last quarter of the steps changed, and a range allows for three of both. The smallest eigenvalue is not known."
    )
    if estimates.zeros.value:
        yield f"{_percent(estimates.zeros)} of the eigenvalues cannot be told from 0, and nothing is divided by them."
    if estimates.percentile10 is None and estimates.percentile10_below == 0:
        yield "The 10th percentile is one of these, so there is no condition number."
    elif estimates.percentile10 is None:
        yield (
            f"The 10th percentile is too near 0 to be resolved: it is below about {estimates.percentile10_below:.2g}, so that the condition number is "
            f"above about {largest / estimates.percentile10_below:.2g}."
        )
    if estimates.index is None:
        yield "The share of eigenvalues below 0 is not resolved: too many are nearer to 0 than the steps tell apart."


def _percent(share: Estimate) -> str:
    return f"About {100 * share.value:.2g} % (standard error {100 * share.error:.1g})"


def _of_prediction(prediction: Prediction) -> Iterator[str]:
    found, kind = prediction.at_zero, prediction.at_zero.kind
    if not prediction.here:
        yield "The prediction is for zero weights, the measurement for those given."
    if found.slope == 0 and kind.n < 3:
        where = "behind the layers" if kind.post is Activation.RELU else "between the layers"
        yield f"relu'(0) counts as 0 and ReLU stands {where}, so c is 0: at exactly zero the Hessian vanishes. Probe near it, at 0.01 x Xavier."
    elif found.rank == 0 and kind.n < 3:
        left = "gradient" if kind.n == 1 else "Hessian"
        yield f"M is zero, as it is where the targets are the inputs: at zero weights the {left} vanishes."
    else:
        yield _of_layers(found)


def _of_layers(found: AtZero) -> str:
    kind = found.kind
    match kind.n:
        case 1:
            return "With one layer to a unit zero is not stationary: each unit's gradient is c M, and the condition number grows with depth."
        case 2 if found.rank < kind.width:
            return f"M has rank {found.rank} of {kind.width}: at zero the other {kind.width - found.rank} of {kind.width} eigenvalues are 0, and no condition number divides by them."
        case 2:
            return "With two layers to a unit zero is a strict saddle: eigenvalues are plus and minus c times the singular values of M, at any depth."
        case n:
            hessian = "eps" if n == 3 else f"eps^{n - 2}"
            return (
                f"With {n} layers to a unit zero is flat: for weights of size eps the loss changes as eps^{n}, the gradient as eps^{n - 1} and the Hessian "
                f"as {hessian}. Near zero the size of the largest eigenvalue says more than a condition number."
            )
