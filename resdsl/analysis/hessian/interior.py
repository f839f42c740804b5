"""What lies inside the spectrum of a large matrix, as estimates: from random vectors, with what these leave open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from resdsl.analysis.hessian.lanczos import Product
from resdsl.analysis.hessian.quadrature import PROBES, STEPS, Floats, Quadrature, probed
from resdsl.analysis.hessian.spectrum import PERCENTILE

EARLIER = STEPS * 3 // 4
"""Steps after which the same is estimated: what the rest changes is part of the error."""
SURE = 2
"""Standard errors over the probes: what bounds allow for."""
WIDEST = 0.2
"""Of the bounds of a share that is estimated at all."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """error: one standard error, of the chance of the random probes and, as root of summed squares, what the last quarter of the steps
    changed. With ten probes it is itself uncertain by a quarter.
    """

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Interior:
    """ESTIMATES of what only all eigenvalues would tell exactly, by stochastic Lanczos quadrature.

    percentile10: of |eigenvalue|. condition: the largest |eigenvalue| over it. index: the share of eigenvalues below 0. None where the
    quadrature does not resolve it: bounds of the percentile that are further apart than it is large, of the index than 0.2.
    zeros: the share of eigenvalues that cannot be told from 0, at most 1e-8 of the largest. percentile10_below: an upper bound of the
    percentile that holds but for the probes' chance, with two of their standard errors.
    """

    percentile10: Estimate | None
    condition: Estimate | None
    index: Estimate | None
    zeros: Estimate
    percentile10_below: float


def interior(product: Product, size: int, largest: float, seed: int) -> Interior:
    """Of a symmetric matrix (size, size) other than 0, from v -> A v; `largest`: its largest |eigenvalue|.

    At most 800 products, ten probes of 80 steps; 80 vectors (size,) are kept at once.
    """
    runs = probed(product, size, seed)
    seen, earlier = [run.quadrature(STEPS) for run in runs], [run.quadrature(EARLIER) for run in runs]
    low, high = _bounds(seen)
    percentile = _estimate(
        [_percentile(one) for one in seen], [_percentile(one) for one in earlier], _uncertainty(seen)
    )
    resolved = percentile.value > 0 and high - low <= percentile.value
    factor = largest / percentile.value if resolved else 0.0
    return Interior(
        percentile if resolved else None,
        Estimate(factor, factor * percentile.error / percentile.value) if resolved else None,
        _index(seen, earlier),
        _estimate([_zeros(one) for one in seen], [_zeros(one) for one in earlier]),
        high,
    )


def _estimate(found: Sequence[float], before: Sequence[float], least: float = 0.0) -> Estimate:
    """The mean; `least`: of the spread."""
    value = float(np.mean(found))
    spread = max(float(_spread(np.array(found))), least)
    return Estimate(value, float(np.hypot(spread, value - np.mean(before))))


def _spread(values: Floats) -> Floats:
    """The standard error of the mean over the probes, which are the first axis."""
    return values.std(axis=0, ddof=1) / np.sqrt(PROBES)


def _percentile(one: Quadrature) -> float:
    sizes = np.unique(np.abs(one.nodes))
    return _reached(sizes, _shares(one, sizes))


def _shares(one: Quadrature, sizes: Floats) -> Floats:
    """Of eigenvalues with an absolute value below each of the n sizes, and up to it: (2n,). They jump at settled nodes."""
    until = one.below(sizes, through=False) - one.below(-sizes, through=True)
    through = one.below(sizes, through=True) - one.below(-sizes, through=False)
    return np.column_stack((until, through)).ravel()


def _reached(sizes: Floats, shares: Floats) -> float:
    """Where the shares (2n,) of n sizes reach a tenth."""
    growing = np.maximum.accumulate(np.concatenate([[0.0], shares]))
    return float(np.interp(PERCENTILE / 100, growing, np.concatenate([[0.0], np.repeat(sizes, 2)])))


def _uncertainty(seen: Sequence[Quadrature]) -> float:
    """A standard error of the percentile, from that of the shares. Where these jump at a tenth, few probes may lie on the other side
    of the jump, and the spread of their percentiles is too small.
    """
    sizes = np.unique(np.concatenate([np.abs(one.nodes) for one in seen]))
    shares = np.array([_shares(one, sizes) for one in seen])
    mean, error = shares.mean(axis=0), _spread(shares)
    return (_reached(sizes, mean - SURE * error) - _reached(sizes, mean + SURE * error)) / (2 * SURE)


def _bounds(seen: Sequence[Quadrature]) -> tuple[float, float]:
    """Of the percentile: where the upper and where the lower bound of the share reaches a tenth."""
    sizes = np.unique(np.concatenate([[0.0], *(np.abs(one.nodes) for one in seen)]))
    least = np.array(
        [one.at_least_below(sizes, through=True) - one.at_most_below(-sizes, through=False) for one in seen]
    )
    most = np.array(
        [one.at_most_below(sizes, through=True) - one.at_least_below(-sizes, through=False) for one in seen]
    )
    first = most.mean(axis=0) + SURE * _spread(most) >= PERCENTILE / 100
    last = least.mean(axis=0) - SURE * _spread(least) >= PERCENTILE / 100
    return float(sizes[first.argmax()]), float(sizes[last.argmax()])


def _index(seen: Sequence[Quadrature], earlier: Sequence[Quadrature]) -> Estimate | None:
    zero = np.zeros(1)
    least = np.concatenate([one.at_least_below(zero, through=False) for one in seen])
    most = np.concatenate([one.at_most_below(zero, through=False) for one in seen])
    width = most.mean() - least.mean() + SURE * (_spread(most) + _spread(least))
    if width > WIDEST:
        return None
    return _estimate(*([float(one.below(zero, through=False)[0]) for one in ones] for ones in (seen, earlier)))


def _zeros(one: Quadrature) -> float:
    return float(one.weights[one.nodes == 0].sum())
