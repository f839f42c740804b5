"""Rows of signals, thinned in deep networks, and the numbers from end to end."""

from __future__ import annotations

import math

import numpy as np

from resdsl.analysis.report.ends import ends
from resdsl.analysis.report.text import COLUMNS, ENDS, end_cells, left_out, plain, plain_ends, rows, shown
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


def test_networks_side_by_side() -> None:
    named = [("cut", made_up(factor=0.0)), ("odd", made_up(factor=-0.5))]
    cells = [dict(zip(ENDS, line, strict=True)) for line in end_cells(named)]
    assert (cells[0]["direct term"], cells[0]["closed form"]) == ("0", "0")
    assert (cells[1]["direct term"], cells[1]["closed form"]) == ("9.8e-04", "–")
    assert plain_ends("Two", named).startswith("Two\n\nnetwork  ")
