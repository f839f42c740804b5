"""The Poisson-binomial distribution of path lengths, against the sum over all choices of shortcut or branch."""

from __future__ import annotations

import itertools
import math
from functools import reduce

import numpy as np
import pytest
from numpy.typing import NDArray

from resdsl.theory.path_lengths import START, Energies


def after(units: list[tuple[float, float]]) -> Energies:
    """Through units whose shortcut and branch hand back these energies."""
    return reduce(lambda found, unit: found.times(unit[0]).plus(found.longer().times(unit[1])), units, START)


def enumerated(units: list[tuple[float, float]]) -> NDArray[np.float64]:
    """The energy of each of the 2^n paths, by how many branches it takes."""
    found = np.zeros(len(units) + 1)
    for choice in itertools.product((0, 1), repeat=len(units)):
        found[sum(choice)] += math.prod(unit[taken] for unit, taken in zip(units, choice, strict=True))
    return found


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_every_choice_of_shortcut_or_branch(n: int) -> None:
    draw = np.random.default_rng(n)
    units = [(float(s), float(a)) for s, a in draw.uniform(0.1, 3, (n, 2))]
    expected = enumerated(units)
    found = after(units)
    assert found.shares == pytest.approx(expected / expected.sum(), rel=1e-12)
    assert found.log10 == pytest.approx(math.log10(expected.sum()), rel=1e-12)


def test_independent_units_are_a_poisson_binomial_distribution() -> None:
    """Its mean is the sum of the chances a / (s + a), its variance that of each added up."""
    units = [(1.0, 0.3), (0.5, 2.0), (1.0, 1.0), (4.0, 0.1)]
    chances = np.array([a / (s + a) for s, a in units])
    shares = after(units).shares
    lengths = np.arange(len(shares))
    assert shares @ lengths == pytest.approx(chances.sum())
    assert shares @ (lengths - chances.sum()) ** 2 == pytest.approx((chances * (1 - chances)).sum())


def test_equal_units_are_a_binomial_distribution() -> None:
    shares = after([(1.0, 0.25)] * 54).shares
    expected = [math.comb(54, k) * 0.2**k * 0.8 ** (54 - k) for k in range(55)]
    assert shares == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("gain", [1e-4, 1e4])
def test_a_thousand_units_do_not_leave_the_range_of_floats(gain: float) -> None:
    found = after([(gain, gain)] * 1000)
    assert found.shares.sum() == pytest.approx(1)
    assert found.shares @ np.arange(1001) == pytest.approx(500)
    assert found.log10 == pytest.approx(1000 * math.log10(2 * gain))


def test_units_that_cut_a_path() -> None:
    assert after([(0.0, 0.5)] * 3).shares == pytest.approx([0, 0, 0, 1])
    assert after([(0.5, 0.0)] * 3).shares[0] == 1
    nothing = after([(1.0, 1.0), (0.0, 0.0), (1.0, 1.0)])
    assert (nothing.log10, nothing.shares.any()) == (-math.inf, False)
