"""Values at common losses, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from resdsl.analysis.demystify.course import EXCESS, at_losses, condition, logs
from resdsl.analysis.demystify.points import Course

LEAST = 0.25


def course(*excesses: float) -> Course:
    n = len(excesses)
    return Course(
        rate=0.1,
        epochs=tuple(range(n)),
        losses=tuple(LEAST + excess for excess in excesses),
        gradients=(1.0,) * n,
        largest=(3.0,) * n,
        percentile10=(0.5,) * (n - 1) + (None,),
        index=(0.5,) * n,
    )


def test_between_two_epochs_in_the_logarithm() -> None:
    """A value that is the logarithm of the excess is found again at each excess that the run passed."""
    run = course(1.0, 0.1, 0.001)
    found = at_losses([run], [np.log([1.0, 0.1, 0.001])], LEAST)
    inside = (EXCESS <= 1) & (EXCESS >= 0.001)
    np.testing.assert_allclose(found[inside], np.log(EXCESS[inside]), rtol=1e-9)
    assert np.isnan(found[~inside]).all()


def test_a_loss_that_rose_again_counts_where_it_was_reached_first() -> None:
    rising, falling = course(1.0, 0.1, 0.5, 0.01), course(1.0, 0.1, 0.01)
    np.testing.assert_array_equal(
        at_losses([rising], [np.array([1.0, 2.0, 77.0, 3.0])], LEAST),
        at_losses([falling], [np.array([1.0, 2.0, 3.0])], LEAST),
    )


def test_the_mean_of_runs_where_all_of_them_came() -> None:
    long, short = course(1.0, 0.0001), course(1.0, 0.1)
    found = at_losses([long, short], [np.full(2, 1.0), np.full(2, 3.0)], LEAST)
    assert found[(EXCESS <= 1) & (EXCESS > 0.1)] == pytest.approx(2.0)
    assert np.isnan(found[EXCESS < 0.1]).all()


def test_conditions_and_logarithms() -> None:
    run = course(1.0, 0.1)
    assert (condition(run, 0), condition(run, -1)) == (6.0, math.inf)
    found = logs([100.0, None, 0.0])
    assert found[0] == 2.0
    assert np.isnan(found[1:]).all()
