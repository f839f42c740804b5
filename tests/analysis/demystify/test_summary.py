"""Means, best rates and exponents, by hand."""

from __future__ import annotations

import math

import pytest

from resdsl.analysis.demystify.points import Ends
from resdsl.analysis.demystify.summary import best_rate, known, mean, slope


def ends(*losses: float | None) -> Ends:
    return Ends(losses, losses)


def test_mean_and_its_error() -> None:
    found = mean([1.0, 2.0, 6.0])
    assert found.mean == 3.0
    assert found.error == pytest.approx(math.sqrt(7 / 3))  # the variance is (4 + 1 + 9) / 2
    assert math.isnan(mean([5.0]).error)
    assert math.isnan(mean([]).mean)


def test_the_best_rate_is_that_of_the_mean_where_no_run_diverged() -> None:
    assert best_rate([ends(0.5, 0.4, 0.1), ends(0.5, 0.4, None)]) == 1
    assert best_rate([ends(0.1, 0.4), ends(0.9, 0.4)]) == 1
    assert best_rate([ends(0.0, 0.0)]) == 0
    assert best_rate([ends(None, 1.0), ends(1.0, None)]) is None


def test_what_is_known() -> None:
    assert known([1.0, None, 0.0]) == [1.0, 0.0]


def test_exponents() -> None:
    assert slope([1, 4, 16], [3.0, 1.5, 0.75]) == pytest.approx(-0.5)
