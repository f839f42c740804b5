"""Lines of several networks can be told apart."""

from __future__ import annotations

import pytest

from resdsl.analysis.report.comparison import subjects_of
from resdsl.analysis.report.looks import COLOURS, looks

TABLE1 = [subject.name for subject in subjects_of("table1")]


def test_up_to_seven_have_a_colour_each() -> None:
    assert len({look.colour for look in looks([f"gate_{i}" for i in range(7)])}) == 7


@pytest.mark.parametrize("names", [TABLE1, [f"n{i}" for i in range(35)], [str(i) for i in range(8)]])
def test_of_one_colour_lines_differ(names: list[str]) -> None:
    found = looks(names)
    assert len({(look.colour, look.line) for look in found}) == len(names)
    nearest = [(a, b) for a in found for b in found if a is not b and a.colour == b.colour]
    assert all(a.line != b.line and a.marker != b.marker for a, b in nearest) or len(names) > 11


def test_relatives_share_a_colour() -> None:
    colours = dict(zip(TABLE1, (look.colour for look in looks(TABLE1)), strict=True))
    assert len(set(colours.values())) == len(COLOURS)
    assert len({colours[f"gate_exclusive{end}"] for end in ("", "_5", "_7")}) == 1
    assert colours["scale_half"] == colours["scale_half_frozen"]
    assert list(colours.values()).count(colours["resnet"]) == 1


def test_the_first_is_the_thickest_and_above_all() -> None:
    first, *others = looks(TABLE1)
    assert first.width > max(look.width for look in others)
    assert first.above > max(look.above for look in others)
