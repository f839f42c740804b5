"""Titles and remarks follow the numbers: the opposite result has the opposite words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resdsl.analysis.demystify import best_losses, figure2, figure3, figure4, figure5, figure6, figure7
from resdsl.analysis.demystify.data import Data, read_data
from resdsl.analysis.demystify.nets import (
    NETS,
    ORTHOGONAL,
    SHORTCUT1,
    SHORTCUT2,
    SHORTCUT3,
    SHORTCUT3_LARGER,
    XAVIER,
    Net,
)
from resdsl.analysis.demystify.points import Course
from tests.analysis.demystify.made_up import SIZES, initial, parted, trained, watched

ARRIVED, FAR = 0.2767, 1.0
"""Losses of digits: the least of linear maps is 0.27664."""


@pytest.fixture(scope="module")
def data() -> Data:
    return read_data("digits", None)


def norms(*falling: Net) -> dict[Net, tuple[float, float]]:
    """Half as large at twice the depth: an exponent of -1 for 1-shortcuts and 2-shortcuts, as that many units they have."""
    return dict.fromkeys(falling, (2.0, 1.0))


def test_norms_that_fall_and_norms_that_do_not(data: Data) -> None:
    all_fall = trained({}, norms=norms(SHORTCUT1, SHORTCUT2, SHORTCUT3_LARGER))
    found = figure2.found(SIZES, data, all_fall)
    assert found.title == "The deeper a residual network, the smaller its trained weights"
    assert "2-shortcut: a = -1.00, and -1/n = -0.50; norms fall faster than 1/sqrt(R)." in found.remarks
    found = figure2.found(SIZES, data, trained({}, norms=norms(SHORTCUT2)))
    assert found.title == (
        "With depth trained weights get smaller in 2-shortcut networks, and not in 1-shortcut and 3-shortcut (larger start)"
    )
    assert "1-shortcut: a = 0.00, and -1/n = -1.00; norms do not change with depth." in found.remarks
    found = figure2.found(SIZES, data, trained({}, norms={SHORTCUT1: (1.0, 2.0), SHORTCUT2: (4.0, 4 * 0.5**0.5)}))
    assert "1-shortcut: a = 1.00, and -1/n = -1.00; norms grow with depth." in found.remarks
    assert "2-shortcut: a = -0.50, and -1/n = -0.50; norms fall about as 1/sqrt(R)." in found.remarks
    found = figure2.found(SIZES, data, trained({}))
    assert (
        found.title == "Trained weights get no smaller with depth: 1-shortcut, 2-shortcut and 3-shortcut (larger start)"
    )


def test_the_least_test_error_is_whose_it_is(data: Data) -> None:
    for net in (SHORTCUT1, SHORTCUT2, XAVIER):
        found = figure3.found(SIZES, data, parted({net: 0.1}))
        assert found.title == f"Of networks with 12 layers, {net.name} ones have the least test error, 10.1 %"
    tied = figure3.found(SIZES, data, parted({SHORTCUT1: 0.1, SHORTCUT2: 0.101}))
    assert tied.title.endswith("1-shortcut and 2-shortcut have the least test errors, and cannot be told apart")
    alike = figure3.found(SIZES, data, parted(dict.fromkeys(NETS, 0.3)))
    assert "cannot be told apart" in alike.title
    assert "none gets fewer than 90 %" in figure3.found(SIZES, data, parted({})).title
    assert "none trains" in figure3.found(SIZES, data, parted(dict.fromkeys(NETS, None))).title


@pytest.mark.parametrize(
    ("small", "larger", "follows", "end"),
    [
        (0.5, 0.1, False, "The larger start helps."),
        (0.1, 0.5, False, "That a larger start helps does not show."),
        (0.9, 0.8, True, "The larger start helps."),
        (0.9, 0.9, True, "That a larger start helps does not show."),
    ],
)
def test_three_layers_and_their_error(data: Data, small: float, larger: float, follows: bool, end: str) -> None:
    remark = figure3.found(SIZES, data, parted({SHORTCUT3: small, SHORTCUT3_LARGER: larger})).remarks[1]
    assert remark.startswith("What does not follow: that 3-shortcuts cannot be trained.") is not follows
    assert remark.endswith(end)
    assert f"{100.5 * small:.1f} from 0.01 x Xavier and {100.5 * larger:.1f} from 0.3" in remark


def test_three_layers_that_diverge(data: Data) -> None:
    remark = figure3.found(SIZES, data, parted({SHORTCUT3: None})).remarks[1]
    assert "no finite value from 0.01 x Xavier" in remark
    assert remark.endswith("That a larger start helps does not show.")


def test_other_coordinates_are_said_where_they_are_other(data: Data) -> None:
    words = "other coordinates than those of the other figures"
    assert words in figure3.found(SIZES, data, parted({})).remarks[-1]
    same = replace(data, train=data.samples)
    assert not any(words in remark for remark in figure3.found(SIZES, same, parted({})).remarks)


def test_condition_numbers_at_the_start(data: Data) -> None:
    flat = figure4.found(SIZES, data, initial({SHORTCUT2: (1.46, 1.47)}))
    assert flat.title.endswith("depth does not change the condition number: 1.46 to 1.47")
    steep = figure4.found(SIZES, data, initial({SHORTCUT2: (1.5, 300.0)}))
    assert steep.title.endswith("condition numbers go from 1.5 to 300 over the depths")
    unknown = figure4.found(SIZES, data, initial({SHORTCUT2: (1.5, None)}))
    assert unknown.title == "Condition numbers before training by depth"


COURSE = Course(
    rate=0.5,
    epochs=(0, 10, 100),
    losses=(5.0, 1.0, ARRIVED),
    gradients=(0.1, 1.0, 0.01),
    largest=(1.0, 1.0, 1.0),
    percentile10=(0.5, 0.1, 0.001),
    index=(0.5, 0.48, 0.47),
)


def test_condition_numbers_that_meet(data: Data) -> None:
    found = figure5.found(SIZES, data, watched({}, COURSE))
    assert found.remarks[0].startswith(
        "After 100 epochs the condition numbers are within a factor of 1.0, from 1.0e+03"
    )
    assert "10 or more in all networks." in found.remarks[1]


def test_condition_numbers_that_do_not(data: Data) -> None:
    steady = replace(COURSE, percentile10=(0.5, 0.5, 0.5))
    found = figure5.found(SIZES, data, watched({SHORTCUT1: steady}, COURSE))
    assert found.remarks[0].startswith("Does not reproduce in 100 epochs")
    assert "in Xavier, orthogonal, 2-shortcut and 3-shortcut networks, and not in 1-shortcut." in found.remarks[1]
    found = figure5.found(SIZES, data, watched({}, steady))
    assert found.remarks[1] == "The 10th percentile falls by a factor of 10 in none of the networks."
    found = figure5.found(SIZES, data, watched({}, replace(COURSE, percentile10=(0.5, 0.1, None))))
    assert found.remarks[0].startswith("Not all condition numbers exist")


def test_the_index_at_the_start(data: Data) -> None:
    half = figure6.found(SIZES, data, watched({}, COURSE))
    assert half.title == "2-shortcut networks start at a saddle, with half of its directions downwards, at depth 4"
    other = figure6.found(SIZES, data, watched({SHORTCUT2: replace(COURSE, index=(0.3, 0.2, 0.1))}, COURSE))
    assert other.title == "2-shortcut networks start with an index of 0.30, at depth 4"


def test_only_networks_at_the_least_loss_say_what_the_index_is_there(data: Data) -> None:
    far = replace(COURSE, losses=(5.6, 5.5, 5.5), index=(0.5, 0.5, 0.2))
    remark = figure6.found(SIZES, data, watched({}, far)).remarks[1]
    assert "No network ends within 1 % of the least loss" in remark
    assert "leads down" not in remark
    remark = figure6.found(SIZES, data, watched({ORTHOGONAL: COURSE}, far)).remarks[1]
    assert "is 0.20 to 0.47. Those that end within 1 % of the least loss (orthogonal) have 0.47 to 0.47." in remark
    assert "does not tell how far" in remark
    convex = replace(COURSE, index=(0.5, 0.2, 0.01))
    remark = figure6.found(SIZES, data, watched({}, convex)).remarks[1]
    assert remark.endswith("have 0.01 to 0.01: hardly a direction leads down.")


def test_when_gradients_are_largest(data: Data) -> None:
    late = replace(COURSE, gradients=(0.1, 0.2, 0.3))
    found = figure7.found(SIZES, data, watched({SHORTCUT3: late}, COURSE))
    assert found.title.startswith(
        "Gradients of 2-shortcut networks are largest at epoch 10 of 100, of 3-shortcut ones at 100"
    )
    assert found.remarks[1:] == ("The gradient is largest at the end in 3-shortcut networks: their training ends before it falls.",)  # fmt: skip
    found = figure7.found(SIZES, data, watched({SHORTCUT2: late}, COURSE))
    assert "2-shortcut networks are largest at epoch 100 of 100, of 3-shortcut ones at 10" in found.title
    assert figure7.found(SIZES, data, watched({}, COURSE)).remarks[1:] == ()


def test_who_reaches_the_least_loss(data: Data) -> None:
    found = best_losses.linear_found(SIZES, data, trained({SHORTCUT2: (FAR, ARRIVED)}, spread=0))
    assert found.title == (
        "Linear networks at depth 8: 2-shortcut end within 0.1 % of the least loss, 0.2766, Xavier at 1.0000"
    )
    found = best_losses.linear_found(SIZES, data, trained({XAVIER: (FAR, ARRIVED), ORTHOGONAL: (FAR, 0.28)}, spread=0))
    assert found.title.startswith("Linear networks at depth 8: Xavier end within")
    found = best_losses.linear_found(SIZES, data, trained({}))
    assert found.title == "Linear networks at depth 8: none ends within 0.1 % of the least loss, 0.2766"
    found = best_losses.linear_found(SIZES, data, trained(dict.fromkeys(NETS, (FAR, ARRIVED)), spread=0))
    assert found.title == "Linear networks at depth 8: all end within 0.1 % of the least loss, 0.2766"


def test_whom_depth_helps(data: Data) -> None:
    found = best_losses.mid_found(SIZES, data, trained({SHORTCUT2: (0.5, 0.1), XAVIER: (0.1, 0.5)}))
    assert found.title == "ReLU in mid position, depth 4 to 8: losses fall for 2-shortcut, rise for Xavier"
    assert found.remarks[1].endswith(": orthogonal, 3-shortcut and 3-shortcut (larger start).")
    found = best_losses.mid_found(SIZES, data, trained({SHORTCUT2: (0.1, 0.5), XAVIER: (0.5, 0.1)}))
    assert found.title == "ReLU in mid position, depth 4 to 8: losses fall for Xavier, rise for 2-shortcut"
    noisy = trained({SHORTCUT2: (0.5, 0.1), XAVIER: (0.1, 0.5)}, spread=2)
    assert best_losses.mid_found(SIZES, data, noisy).title.endswith("do not change by more than 2 standard errors")


@pytest.mark.parametrize(
    ("small", "larger", "follows", "end"),
    [
        (5.5243, 5.1753, True, "does not bring them near the least loss of linear maps."),
        (4.3, 0.18, False, "What holds those from 0.01 x Xavier back is their start."),
        (ARRIVED, 0.2, False, "From both starts that is at most 1 % above the least loss of linear maps."),
        (0.2, 4.3, False, "That a larger start helps does not show."),
        (5.1753, 5.5243, True, "That a larger start helps does not show."),
    ],
)
def test_three_layers_and_their_loss(data: Data, small: float, larger: float, follows: bool, end: str) -> None:
    results = trained({SHORTCUT3: (FAR, small), SHORTCUT3_LARGER: (FAR, larger)}, spread=0.001)
    for remarks in (
        best_losses.linear_found(SIZES, data, results).remarks,
        best_losses.mid_found(SIZES, data, results).remarks,
    ):
        assert remarks[-1].startswith("Does not follow") is not follows
        assert remarks[-1].endswith(end)
