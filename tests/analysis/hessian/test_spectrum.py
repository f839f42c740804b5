from __future__ import annotations

import numpy as np
import pytest

from resdsl.analysis.hessian.spectrum import Spectrum, spectrum


def test_of_eleven_eigenvalues() -> None:
    """1 to 11 with signs: the 10th percentile of 11 values is the second smallest."""
    found = spectrum(np.array([-11.0, 10, 9, -8, 7, 6, 5, 4, 3, -2, 1]))
    assert found == Spectrum(11.0, 2.0, 1.0, condition=5.5, exact_condition=11.0, index=3 / 11, zeros=0)


def test_zeros_are_not_divided_by_and_not_negative() -> None:
    """Three of four are 0, but for rounding: 1e-16 of the largest; only the one of -2 is negative."""
    found = spectrum(np.array([-2.0, 0.0, 2e-16, -2e-16]))
    assert found == Spectrum(2.0, 0.0, 0.0, condition=None, exact_condition=None, index=0.25, zeros=3)


def test_a_zero_below_the_percentile_leaves_the_reported_condition() -> None:
    found = spectrum(np.concatenate([[0.0], np.arange(1.0, 31.0)]))
    assert found.percentile10 == 3.0
    assert found.condition == 10.0
    assert found.exact_condition is None


def test_small_but_not_zero_is_kept() -> None:
    found = spectrum(np.array([1.0, 1e-12]))
    assert found.zeros == 0
    assert found.exact_condition == pytest.approx(1e12)


def test_all_zero() -> None:
    assert spectrum(np.zeros(5)) == Spectrum(0.0, 0.0, 0.0, None, None, index=0.0, zeros=5)


@pytest.mark.parametrize("eigenvalues", [[], [1.0, np.nan], [np.inf, 1.0]])
def test_refuses_what_is_no_spectrum(eigenvalues: list[float]) -> None:
    with pytest.raises(ValueError, match="finite, and at least one"):
        spectrum(np.array(eigenvalues))
