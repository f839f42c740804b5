"""Rows of signals, thinned in deep networks, and the numbers from end to end."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from resdsl.analysis.report.ends import ends
from resdsl.analysis.report.text import COLUMNS, DASH, left_out, plain, remarks, rows, shown
from tests.analysis.made_up import made_up


def test_a_row_of_a_unit() -> None:
    (first, *_) = rows(made_up())
    assert dict(zip(COLUMNS, first.cells, strict=True)) == {
        "unit": "stage1.0", "what": "block(8)", "mean²": "0.1", "Var(x)": "1", "Var(F)": "1", "Var(F)/Var(x)": "1",
        "gradient": "1.26",  # 10 ** 0.1
        "direct term": "9.8e-04", "closed form": "9.8e-04",  # 0.5 ** 10
        "cosine": "0.9",
    }  # fmt: skip


def test_deep_networks_are_thinned_and_it_is_said() -> None:
    signal = made_up(stages=(111, 111, 111))
    which = shown(signal)
    for start in (0, 111, 222):
        assert {start, start + 1, start + 110} <= set(which)
    assert len(which) == 21
    assert left_out(signal) == "312 units left out: `--json` has all."
    skipped = [row.skipped for row in rows(signal)]
    assert sum(skipped) == 312
    assert left_out(made_up()) == ""
    assert all(row.skipped == 0 for row in rows(made_up()))


def test_small_stages_of_a_deep_network_are_whole() -> None:
    assert shown(made_up(stages=(30, 3, 1)))[-4:] == [30, 31, 32, 33]


def test_plain_text_is_aligned() -> None:
    lines = plain(made_up(stages=(20, 20))).splitlines()
    assert lines[0] == "made_up: 40 units, weights initial, 4 samples of 3x8x8, seed 0, fp64"
    numbers = [line for line in lines[2:] if line.startswith("stage")]
    assert len({len(line) for line in numbers}) == 1
    assert any(line.startswith("…") for line in lines)


def test_ends() -> None:
    end = ends(made_up(factor=0.5))
    assert math.isclose(end.log10_growth, math.log10(11))
    assert math.isclose(end.mean_ratio, float(np.mean(1 / np.arange(1, 11))))
    assert math.isclose(end.log10_direct, 10 * math.log10(0.5))
    assert (end.mean_length, end.predicted_length, end.cosine) == (1.0, 1.0, 0.9)
    assert math.isnan(ends(made_up(lengths=False)).mean_length)


def test_every_dash_is_explained() -> None:
    """One sample has no cosine, also where all has a closed form; without a dash there is nothing to explain."""
    assert DASH not in remarks(made_up())
    assert DASH in remarks(replace(made_up(), cosine=np.full(10, np.nan)))
    assert DASH in remarks(made_up(factor=-0.5))


@pytest.mark.parametrize(("factor", "left"), [(1.0, 0.0), (0.5, 3 * math.log10(0.5)), (0.0, -math.inf)])
def test_in_the_stage_where_the_direct_term_changes_most(factor: float, left: float) -> None:
    """Of stages of 4, 3 and 3 units the first has 3 behind its first; all of a cut path is 0 in the last alone, which alone is reached."""
    end = ends(made_up(factor=factor))
    assert end.log10_direct_in_stage == pytest.approx(left)
    assert end.worst_stage == ("stage3" if factor == 0 else "stage1")


def test_units_that_change_the_shape_count_in_no_stage() -> None:
    """Projections x 0.01, elsewhere in a stage, too, beside a growth of 10 a unit in a stage of one other unit."""
    signal = made_up(stages=(4, 2), factor=1.0)
    step = np.array([-2.0, 0.0, -2.0, 0.0, -2.0, 1.0])
    mean = np.array([1.0, 1.0, np.nan, 1.0, np.nan, 1.0])
    direct = np.cumsum(step[::-1])[::-1]
    end = ends(replace(signal, log10_direct=direct, shortcut=replace(signal.shortcut, mean=mean)))
    assert (end.log10_direct, end.log10_direct_in_stage, end.worst_stage) == (-5.0, 1.0, "stage2")


def test_stages_of_one_unit_have_none_behind_it() -> None:
    end = ends(made_up(stages=(1, 1)))
    assert math.isnan(end.log10_direct_in_stage)
    assert end.worst_stage is None
    assert ends(made_up(stages=(5,))).log10_direct_in_stage == pytest.approx(4 * math.log10(0.5))
