"""Which rules are asked for: words, and which of two that meet wins."""

from __future__ import annotations

import re

import pytest

from resdsl.diagnostics import SpecError
from resdsl.linter.select import selection
from resdsl.linter.table import BY_NAME, RULES

EVERY = [rule.code for rule in RULES]


def chosen(select: str | None, ignore: str = "") -> list[str]:
    made = selection(select.split() if select is not None else None, ignore.split(), RULES)
    return [rule.code for rule in RULES if made.has(rule)]


def group(*beginnings: str) -> list[str]:
    return [code for code in EVERY if code.startswith(beginnings)]


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        (None, "", EVERY),
        ("ALL", "", EVERY),
        ("", "", []),
        ("SC001", "", ["SC001"]),
        ("shortcut-scale", "", ["SC001"]),
        ("shortcut-scale HY004", "", ["SC001", "HY004"]),
        ("SC", "", group("SC")),
        ("S", "", group("S")),
        ("SC00", "", group("SC00")),
        ("SC SU002", "", [*group("SC"), "SU002"]),
        ("unused", "", ["HY001", "HY002", "HY003", "HY004", "SU002"]),
        ("unused-", "", ["HY001", "HY002", "HY003", "HY004", "SU002"]),
        (None, "SC", [code for code in EVERY if code[:2] != "SC"]),
        (None, "shortcut-scale", [code for code in EVERY if code != "SC001"]),
        (None, "ALL", []),
        ("ALL", "ALL", []),
        ("SC", "SC001", [code for code in group("SC") if code != "SC001"]),
        ("SC001", "SC", ["SC001"]),
        ("SC001", "ALL", ["SC001"]),
        ("SC001", "SC001", []),
        ("SC001", "shortcut-scale", []),
        ("shortcut-scale", "SC001", []),
        ("SC", "SC", []),
        ("S", "SC", group("SU")),
        ("SC00", "S", group("SC00")),
        ("ALL", "S SC001", [code for code in EVERY if code[0] != "S"]),
        ("SC", "S", group("SC")),
        ("SC", "S SC001", [code for code in group("SC") if code != "SC001"]),
        ("SC001 SC", "SC0", ["SC001"]),
    ],
)
def test_selection(select: str | None, ignore: str, expected: list[str]) -> None:
    assert chosen(select, ignore) == expected


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("shortcut-scal", "shortcut-scale"),
        ("unused-lets", "unused-let"),
        ("sc001", "SC001"),
        ("SC0011", "SC001"),
        ("unusd-let", "unused-let"),
    ],
)
def test_words_that_name_no_rule(word: str, meant: str) -> None:
    for arguments in ((["ALL", word], []), (None, [word])):
        with pytest.raises(SpecError) as caught:
            selection(*arguments, RULES)
        (diagnostic,) = caught.value.diagnostics
        assert diagnostic.code == "unknown-rule"
        assert repr(word) in diagnostic.message
        assert diagnostic.help == f"did you mean `{meant}`?"


@pytest.mark.parametrize("word", ["", "-", "all", "unus", "xyzzy"])
def test_words_that_are_like_no_rule(word: str) -> None:
    with pytest.raises(SpecError, match=re.escape(f"there is no rule {word!r}")):
        selection([word], [], RULES)


def test_each_name_and_code_selects_its_rule_alone() -> None:
    for word, rule in BY_NAME.items():
        assert chosen(word) == [rule.code], "also where another's name begins as this one"
        assert chosen(None, word) == [code for code in EVERY if code != rule.code]
