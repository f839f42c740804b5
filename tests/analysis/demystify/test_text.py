"""Tables and JSON of what does not exist."""

from __future__ import annotations

import json
import math

import pytest

from resdsl.analysis.demystify.data import read_data
from resdsl.analysis.demystify.finding import Cell, Finding, Plan
from resdsl.analysis.demystify.nets import XAVIER
from resdsl.analysis.demystify.panel import Line, Panel
from resdsl.analysis.demystify.text import cell, document, plain

FOUND = Finding(
    "what to see",
    ("network", "value"),
    (("Xavier", math.nan), ("orthogonal", 12.5), ("zero", None)),
    ("a remark.",),
    (Panel([Line(XAVIER, [2, 4], [math.inf, 1.0], [math.nan, 0.5])], "depth", "value"),),
)
PLAN = Plan("a subject", lambda sizes: [], lambda sizes, data, results: FOUND)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (math.nan, "–"), (1 / 3, "0.3333"), (123456.0, "1.235e+05"), (7, "7"), ("a", "a")]
)
def test_cells(value: Cell, text: str) -> None:
    assert cell(value) == text


def test_a_table() -> None:
    lines = plain(4, PLAN, read_data("digits", None), FOUND).splitlines()
    assert lines[0] == "Figure 4 of Li et al. 2016, Demystifying ResNet: a subject; digits"
    assert lines[3:7] == ["network     value", "Xavier          –", "orthogonal   12.5", "zero            –"]
    assert lines[-1] == "a remark."


def test_json_has_null_for_what_does_not_exist() -> None:
    said = json.loads(document(4, PLAN, read_data("digits", None), FOUND), parse_constant=pytest.fail)
    assert said["rows"] == [["Xavier", None], ["orthogonal", 12.5], ["zero", None]]
    (panel,) = said["panels"]
    assert panel["lines"] == [{"name": "Xavier", "at": [2, 4], "values": [None, 1.0], "errors": [None, 0.5]}]
