"""The table of networks beside each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from resdsl.analysis.report.comparison_text import PAPER, PAPER_REMARK, cells, columns, heading, plain, remarks
from resdsl.analysis.report.sentences import UNKNOWN
from resdsl.analysis.report.text import DASH
from resdsl.train.reproduce.tables import FAIL
from tests.analysis.made_up import made_up

NAMED = [("cut", made_up(factor=0.0)), ("odd", made_up(factor=-0.5))]


def test_networks_side_by_side() -> None:
    first, second = (dict(zip(columns({}), line, strict=True)) for line in cells(NAMED, {}))
    assert (first["direct term"], first["closed form"], first["in a stage"]) == ("0", "0", "0")
    assert (second["direct term"], second["closed form"]) == ("9.8e-04", UNKNOWN)
    assert second["in a stage"] == "0.12"  # 0.5 ** 3, of four units the last three
    assert plain("Two", NAMED, {}).startswith("Two\n\nnetwork  ")
    assert PAPER not in plain("Two", NAMED, {})


def test_what_all_share_is_said_once_and_the_rest_of_each() -> None:
    assert heading(NAMED) == "2 networks, weights initial, 4 samples of 3x8x8, seed 0, fp64"
    other = replace(made_up(), samples=1, input="7", precision="fp32")
    assert heading([*NAMED, ("b", other)]) == (
        "3 networks, weights initial, 4 samples of 3x8x8 (cut, odd) and 1 sample of 7 (b), seed 0, fp64 (cut, odd) and fp32 (b)"
    )


def test_a_remark_is_said_once_of_all_that_it_is_of() -> None:
    named = [(name, made_up(remarks=said)) for name, said in (("a", ("X.", "Y.")), ("b", ()), ("c", ("X.",)))]
    assert remarks(named, {})[-2:] == ["a, c: X.", "a: Y."]


def test_errors_of_the_paper_stand_in_the_last_column() -> None:
    named = [*NAMED, ("clean", made_up(factor=1.0))]
    lines = plain("Three", named, {"cut": FAIL, "clean": 6.6}).splitlines()
    assert lines[2].endswith(PAPER)
    assert [line.split()[-1] for line in lines[3:6]] == ["fail", UNKNOWN, "6.60"]
    assert PAPER_REMARK in lines


def test_every_dash_is_explained() -> None:
    clean = made_up(factor=1.0)
    assert DASH not in remarks([("clean", clean)], {})
    assert DASH in remarks([("clean", replace(clean, cosine=np.full(10, np.nan)))], {})
    assert DASH in remarks([("clean", replace(clean, lengths=None))], {})
    assert DASH in remarks(NAMED, {"cut": FAIL})
