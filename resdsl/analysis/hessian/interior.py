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
SURE = 3
"""Errors that ranges and bounds allow for."""
WIDEST = 0.2
"""Of the bounds of a share that is estimated at all."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """error: one standard error, of the chance of the random probes and, as root of summed squares, what the last quarter of the steps
    changed. The probes' is not below what eigenvalues that are all resolved would have: that of ten values alone is too small by half at times.
    """

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Between:
    """Where a number lies, but for a chance of a few in a thousand. Where the eigenvalues have a gap at the percentile, anything in the gap
    is as good as anything else, so a value with a standard error would say more than is known.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Interior:
    """ESTIMATES of what only all eigenvalues would tell exactly, by stochastic Lanczos quadrature.

    percentile10: of |eigenvalue|. condition: the largest |eigenvalue| over it. index: the share of eigenvalues below 0. None where the
    quadrature does not resolve it: bounds of the percentile that are further apart than it is large, of the index than 0.2.
    zeros: the share of eigenvalues that cannot be told from 0, at most 1e-8 of the largest. percentile10_below: an upper bound of the
    percentile that holds but for the probes' chance, with three of their standard errors.
    """

    percentile10: Between | None
    condition: Between | None
    index: Estimate | None
    zeros: Estimate
    percentile10_below: float


def interior(product: Product, size: int, largest: float, seed: int) -> Interior:
    """Of a symmetric matrix (size, size) other than 0, from v -> A v; `largest`: its largest |eigenvalue|.

    At most 800 products, ten probes of 80 steps; 80 vectors (size,) are kept at once.
    """
    runs = probed(product, size, seed)
    seen, earlier = [run.quadrature(STEPS) for run in runs], [run.quadrature(EARLIER) for run in runs]
    percentile, high = _percentile(seen, earlier, size), _bounds(seen, size)[1]
    return Interior(
        percentile,
        None if percentile is None else Between(largest / percentile.high, largest / percentile.low),
        _index(seen, earlier, size),
        _estimate([_zeros(one) for one in seen], [_zeros(one) for one in earlier], size),
        high,
    )


def _estimate(found: Sequence[float], before: Sequence[float], size: int) -> Estimate:
    """Of a share: the mean over the probes."""
    value = float(np.mean(found))
    return Estimate(value, float(np.hypot(_error(np.array(found), size), value - np.mean(before))))


def _error(shares: Floats, size: int) -> Floats:
    """The standard error of a mean share over the probes, which are the first axis.

    The part of a random direction in k of p dimensions is beta distributed, with the variance 2 a (1 - a) / (p + 2), a = k / p.
    """
    mean = np.clip(shares.mean(axis=0), 0, 1)
    known = np.sqrt(2 * mean * (1 - mean) / (size + 2))
    return np.maximum(shares.std(axis=0, ddof=1), known) / np.sqrt(PROBES)


def _percentile(seen: Sequence[Quadrature], earlier: Sequence[Quadrature], size: int) -> Between | None:
    """Where the mean share, SURE errors up or down, reaches a tenth; and as many times what the last quarter of the steps changed."""
    sizes, mean, error = _mean_shares(seen, size)
    low, middle, high = (_reached(sizes, mean + errors * error) for errors in (SURE, 0, -SURE))
    before = _reached(*_mean_shares(earlier, size)[:2])
    changed = SURE * abs(middle - before)
    least, most = _bounds(seen, size)
    return Between(low - changed, high + changed) if low > changed and most - least <= middle else None


def _mean_shares(runs: Sequence[Quadrature], size: int) -> tuple[Floats, Floats, Floats]:
    """n sizes, the shares there (2n,), and their errors."""
    sizes = np.unique(np.concatenate([np.abs(one.nodes) for one in runs]))
    shares = np.array([_shares(one, sizes) for one in runs])
    return sizes, shares.mean(axis=0), _error(shares, size)


def _shares(one: Quadrature, sizes: Floats) -> Floats:
    """Of eigenvalues with an absolute value below each of the n sizes, and up to it: (2n,). They jump at settled nodes."""
    until = one.below(sizes, through=False) - one.below(-sizes, through=True)
    through = one.below(sizes, through=True) - one.below(-sizes, through=False)
    return np.column_stack((until, through)).ravel()


def _reached(sizes: Floats, shares: Floats) -> float:
    """Where the shares (2n,) of n sizes reach a tenth."""
    growing = np.maximum.accumulate(np.concatenate([[0.0], shares]))
    return float(np.interp(PERCENTILE / 100, growing, np.concatenate([[0.0], np.repeat(sizes, 2)])))


def _bounds(seen: Sequence[Quadrature], size: int) -> tuple[float, float]:
    """Of the percentile: where the upper and where the lower bound of the share reaches a tenth."""
    sizes = np.unique(np.concatenate([[0.0], *(np.abs(one.nodes) for one in seen)]))
    least = np.array(
        [one.at_least_below(sizes, through=True) - one.at_most_below(-sizes, through=False) for one in seen]
    )
    most = np.array(
        [one.at_most_below(sizes, through=True) - one.at_least_below(-sizes, through=False) for one in seen]
    )
    first = most.mean(axis=0) + SURE * _error(most, size) >= PERCENTILE / 100
    last = least.mean(axis=0) - SURE * _error(least, size) >= PERCENTILE / 100
    return float(sizes[first.argmax()]), float(sizes[last.argmax()])


def _index(seen: Sequence[Quadrature], earlier: Sequence[Quadrature], size: int) -> Estimate | None:
    zero = np.zeros(1)
    least = np.concatenate([one.at_least_below(zero, through=False) for one in seen])
    most = np.concatenate([one.at_most_below(zero, through=False) for one in seen])
    width = most.mean() - least.mean() + SURE * (_error(most, size) + _error(least, size))
    if width > WIDEST:
        return None
    found, before = ([float(one.below(zero, through=False)[0]) for one in ones] for ones in (seen, earlier))
    return _estimate(found, before, size)


def _zeros(one: Quadrature) -> float:
    return float(one.weights[one.nodes == 0].sum())
