"""What counts as less, and as having arrived."""

from __future__ import annotations

import math

import pytest

from resdsl.analysis.demystify.nets import SHORTCUT2, SHORTCUT3_LARGER
from resdsl.analysis.demystify.summary import Mean
from resdsl.analysis.demystify.verdict import clearly_below, listed, near, number, spoken


@pytest.mark.parametrize(
    ("one", "other", "below"),
    [
        (Mean(1.0, 0.3), Mean(2.0, 0.4), False),  # sqrt(0.09 + 0.16) = 0.5, twice which is the difference
        (Mean(1.0, 0.3), Mean(2.01, 0.4), True),
        (Mean(2.01, 0.4), Mean(1.0, 0.3), False),
        (Mean(1.0, math.nan), Mean(9.0, 0.1), False),
        (Mean(1.0, 0.1), Mean(math.nan, math.nan), False),
    ],
)
def test_two_errors_of_the_difference(one: Mean, other: Mean, below: bool) -> None:
    assert clearly_below(one, other) is below


def test_near_the_least_loss() -> None:
    assert [near(loss, 2.0) for loss in (1.0, 2.0, 2.019, 2.021, math.nan)] == [True, True, True, False, False]


def test_words() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "a", "c"]) == "a, b and c"
    assert listed([]) == ""
    assert (spoken(SHORTCUT2), spoken(SHORTCUT3_LARGER)) == ("2-shortcut", "3-shortcut (larger start)")
    assert (number(0.25, ".1f"), number(math.nan, ".1f")) == ("0.2", "no finite value")
