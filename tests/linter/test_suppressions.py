"""Suppressions: which lines a comment speaks of, what it names, and what the rules about them say."""

from __future__ import annotations

from pathlib import Path

import pytest

import resdsl
from resdsl.linter.fix import fix_source
from resdsl.linter.run import lint_source, lint_spec
from resdsl.linter.select import Selection
from resdsl.linter.suppressions import other_words, suppressions
from resdsl.source import Source
from resdsl.spec import Options
from resdsl.syntax.parser import parse_file

UNIT = """\
unit u(width) {
    placement pre
    branch    conv(3x3, width)
    shortcut  scale(0.5)
}
"""
NETWORK = """\
network small {
    input 3x8x8
    stage conv(3x3, 4) -> 20 * u(4)
    head  bn -> relu -> avgpool -> linear(10)
}
"""
FILE = f"resnet 1\n{UNIT}{NETWORK}"
LINE = "    shortcut  scale(0.5)\n"
ALL = ("SC001", "HY", "SU")


def found(text: str, *rules: str) -> list[str]:
    """The names of the rules that find something, by place."""
    diagnostics = lint_source(Source("a.resnet", text), None, Selection(rules or ALL), Options())
    assert all(diagnostic.name for diagnostic in diagnostics), [diagnostic.render() for diagnostic in diagnostics]
    return [diagnostic.name for diagnostic in diagnostics]


def allowed(comment: str) -> list[tuple[str, str]]:
    """The rules and reasons in a comment."""
    return [(each.rule, each.reason) for each in suppressions(parse_file(Source("a", f"resnet 1\n{comment}\n")))]


# What a comment says.


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("# resdsl: allow shortcut-scale (why)", [("shortcut-scale", "why")]),
        ("#resdsl:allow SC001", [("SC001", "")]),
        ("# resdsl: allow SC001, HY004 ,unused-unit   other", [(r, "") for r in ("SC001", "HY004", "unused-unit", "other")]),
        ("# resdsl: allow SC001,HY004(why (not) (or ((so)))) more", [("SC001", "why (not) (or ((so)))"), ("HY004", "why (not) (or ((so)))")]),
        ("# resdsl: allow a (see #12) # resdsl: allow b (c)", [("a", "see #12"), ("b", "c")]),
        ("# resdsl: allow a # note (no reason)", [("a", "")]),
        ("# a note # resdsl: allow a (b)# c", [("a", "b")]),
        ("# resdsl: allow a ( )", [("a", "")]),
        ("# resdsl: allow a (b", [("a", "")]),
        ("# resdsl: allow", [("", "")]),
        ("# resdsl: allow (why)", [("", "why")]),
        ("# resdsl: allow-file a (b)", [("a", "b")]),
        ("# resdsl: allow-all a", []),
        ("# resdsl: allowed a", []),
        ("#RESDSL: allow SC001 # Resdsl: Allow a (b)", [("SC001", ""), ("a", "b")]),
        ("# resdsl: ALLOW-File a", [("a", "")]),
        ("# resdsl allow a", []),
        ("resnet_1 # resdsl", []),
    ],
)  # fmt: skip
def test_what_a_comment_allows(comment: str, expected: list[tuple[str, str]]) -> None:
    comment = comment if comment.startswith("#") else "# not"
    assert allowed(comment) == expected


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("# resdsl: alow a", ["alow"]),
        ("# resdsl: allow-all a (b)", ["allow-all"]),
        ("# resdsl: noqa # resdsl:ignore(x)", ["noqa", "ignore"]),
        ("# resdsl:", ["# resdsl:"]),
        ("#resdsl:  (why)", ["#resdsl:  "]),
        ("# resdsl:    allow a # resdsl:allow-file b", []),
        ("# resdsl show prints it", []),
        ("# Resdsl: Alow a # RESDSL: Allow b", ["Alow"]),
    ],
)
def test_what_is_no_suppression(comment: str, words: list[str]) -> None:
    assert [span.text for span in other_words(parse_file(Source("a", f"resnet 1\n{comment}\n")))] == words


def test_brackets_that_do_not_match_are_read_in_time() -> None:
    assert allowed("# resdsl: allow a " + "(" * 3000) == [("a", "")]
    assert allowed("# resdsl: allow a " + "((a)" * 3000) == [("a", "")]


# Which line it speaks of.


@pytest.mark.parametrize(
    "there",
    [
        "    shortcut  scale(0.5)  # resdsl: allow shortcut-scale (why)\n",
        "    shortcut  scale(0.5)  # a note # resdsl: allow SC001 (why) # another\n",
        f"    # resdsl: allow shortcut-scale (why)\n{LINE}",
        f"# resdsl: allow shortcut-scale (why)\n{LINE}",
        f"    # resdsl: allow shortcut-scale (why)\n\n    # a note\n    \n    # another\n{LINE}",
        f"    # resdsl: allow unused-let (why)\n    # resdsl: allow shortcut-scale (why)\n    let a = 1 {LINE}",
        f"    # resdsl: allow shortcut-scale (why)\n    # resdsl: allow unused-let (why)\n    let a = 1 {LINE}",
        f"    # resdsl: allow shortcut-scale, unused-let (why)\n    let a = 1 {LINE}",
        f"    # resdsl: allow unused-let (why)\n    let a = 1 {LINE[:-1]} # resdsl: allow SC001 (why)\n",
    ],
)
def test_the_line_that_is_meant(there: str) -> None:
    assert found(FILE.replace(LINE, there)) == []
    assert found(FILE.replace(LINE, there).replace("\n", "\r\n")) == []


@pytest.mark.parametrize(
    "elsewhere",
    [
        f"{LINE}    # resdsl: allow shortcut-scale (why)\n",
        f"    # resdsl: allow shortcut-scale (why)\n    norm bn\n{LINE}",
        f"    norm bn  # resdsl: allow shortcut-scale (why)\n{LINE}",
        "    shortcut  # resdsl: allow shortcut-scale (why)\n    scale(0.5)\n",
    ],
)
def test_a_comment_that_means_another_line(elsewhere: str) -> None:
    assert sorted(found(FILE.replace(LINE, elsewhere))) == ["shortcut-scale", "unused-suppression"]


@pytest.mark.parametrize(
    "there",
    [
        "    shortcut  scale(\n        0.5)  # resdsl: allow shortcut-scale (why)\n",
        "    shortcut  scale(  # resdsl: allow shortcut-scale (why)\n        0.5\n    )\n",
        "    shortcut  scale(\n        0.5  # resdsl: allow shortcut-scale (why)\n    )\n",
        "    # resdsl: allow shortcut-scale (why)\n    shortcut  scale(\n        0.5\n    )\n",
    ],
)
def test_any_line_of_what_is_found(there: str) -> None:
    assert found(FILE.replace(LINE, there)) == []
    assert found(FILE.replace(LINE, f"    norm bn  # resdsl: allow SC001 (why)\n{there}")) == ["unused-suppression"]


@pytest.mark.parametrize(
    ("comment", "mended"),
    [
        ("# resdsl: allow SC002, shortcut-gat (old), keep me", "  # keep me"),
        ("# a note # resdsl: allow SC002 (old); keep me.", "  # a note # keep me."),
        ("# resdsl: allow SC002 (old).", ""),
        ("# resdsl: allow SC002 (old), # keep me", "  # keep me"),
        ("# resdsl: allow SC002 (old) - keep me", "  # keep me"),
        ("# resdsl: allow SC002 (old)", ""),
        ("# resdsl: allow SC002, SC001 (old), keep me", "  # resdsl: allow SC002 (old), keep me"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_suppression_goes_without_litter(comment: str, mended: str, ending: str) -> None:
    text, expected = (
        FILE.replace("scale(0.5)", f"identity{each}").replace("\n", ending) for each in (f"  {comment}", mended)
    )
    rules = ("SC001", "SU") if "SC001" in comment else ("SC", "SU")
    assert fix_source(Source("a", text), None, Selection(rules), Options(), unsafe=False).text == expected


def test_a_whole_file() -> None:
    comment = "# resdsl: allow-file shortcut-scale, HY004 (why)\n"
    text = FILE.replace(LINE, f"    let a = 1\n{LINE}")
    assert found(f"{comment}{text}") == []
    assert found(f"{text}{comment}") == []
    assert found(text) == ["unused-let", "shortcut-scale"]


def test_a_comment_in_an_imported_file(tmp_path: Path) -> None:
    (tmp_path / "u.resnet").write_text(f"resnet 1\n{UNIT}")
    (tmp_path / "a.resnet").write_text(f'resnet 1\nimport "u.resnet"\n{NETWORK}')

    def told(name: str) -> list[str]:
        return [diagnostic.name for diagnostic in lint_spec(tmp_path / name, Selection(ALL))]

    assert told("a.resnet") == ["shortcut-scale"]
    assert told("u.resnet") == []
    allowing = UNIT.replace(LINE, f"    # resdsl: allow shortcut-scale (an ablation)\n{LINE}")
    (tmp_path / "u.resnet").write_text(f"resnet 1\n{allowing}")
    assert told("a.resnet") == told("u.resnet") == [], "the author of the unit has said why"
    (tmp_path / "u.resnet").write_text(f"resnet 1\n# resdsl: allow-file SC001 (ablations)\n{UNIT}")
    assert told("a.resnet") == told("u.resnet") == []
    (tmp_path / "u.resnet").write_text(f"resnet 1\n{UNIT}")
    line = "    stage conv(3x3, 4) -> 20 * u(4)\n"
    using = NETWORK.replace(line, f"{line[:-1]}  # resdsl: allow shortcut-scale (we know)\n")
    (tmp_path / "a.resnet").write_text(f'resnet 1\nimport "u.resnet"\n{using}')
    assert told("a.resnet") == [], "so can who uses it"
    (tmp_path / "a.resnet").write_text(f'resnet 1\n# resdsl: allow-file SC001 (we know)\nimport "u.resnet"\n{NETWORK}')
    assert told("a.resnet") == []


def test_a_comment_in_an_imported_file_is_judged_there_alone(tmp_path: Path) -> None:
    unit = UNIT.replace(LINE, f"{LINE}    # resdsl: alow SC001\n").replace("pre", "pre  # resdsl: allow SC001")
    (tmp_path / "u.resnet").write_text(f"resnet 1\n{unit}")
    (tmp_path / "a.resnet").write_text(f'resnet 1\nimport "u.resnet"\n{NETWORK}')
    assert [diagnostic.name for diagnostic in lint_spec(tmp_path / "a.resnet", Selection(ALL))] == ["shortcut-scale"]


# The rules about them.


@pytest.mark.parametrize(
    ("comment", "name"),
    [
        ("# resdsl: allow SC001, no-such-rule (why)", "unknown-suppression"),
        ("# resdsl: allow SC001 (why) # resdsl: ignore", "unknown-suppression"),
        ("# resdsl: allow SC001 (why) # resdsl: allow", "unknown-suppression"),
        ("# resdsl: allow SC001, HY004 (why)", "unused-suppression"),
        ("# resdsl: allow SC001", "unexplained-suppression"),
    ],
)
def test_what_is_said_about_suppressions_can_be_allowed(comment: str, name: str) -> None:
    behind = FILE.replace(LINE, f"{LINE[:-1]}  {comment}\n")
    above = FILE.replace(LINE, f"    {comment}\n{LINE}")
    assert found(behind) == found(above) == [name]
    on_top = f"    # resdsl: allow {name} (a test)\n"
    assert found(behind.replace("    shortcut", f"{on_top}    shortcut")) == []
    assert found(above.replace("    # resdsl", f"{on_top}    # resdsl", 1)) == []
    assert found(f"# resdsl: allow-file {name} (a test)\n{behind}") == []
    assert found(behind.replace(comment, f"{comment} # resdsl: allow {name} (a test)")) == [], "in the same line"
    assert found(above.replace(comment, f"{comment} # resdsl: allow {name} (a test)")) == []


def test_a_suppression_is_judged_where_its_rule_has_looked() -> None:
    text = FILE.replace(LINE, "    shortcut  identity  # resdsl: allow shortcut-scale, HY004 (why)\n")
    assert found(text) == ["unused-suppression", "unused-suppression"]
    assert found(text, "HY", "SU") == ["unused-suppression"], "deselected rules have not looked"
    library = text.replace(NETWORK, "")
    assert found(library) == ["unused-suppression"], "no network, so only rules about the text have looked"
    open_ended = text.replace("small {", "small(n) {").replace("20 *", "n *")
    assert found(open_ended, "SC001", "HY004", "SU") == ["unused-suppression"]
    assert found(f"{text}{UNIT.replace('unit u', 'unit v')}") == ["unused-suppression"] * 2 + ["unused-unit"]
    unused = text.replace(UNIT.split("{")[0], "unit v(width) ").replace("resnet 1\n", f"resnet 1\n{UNIT}")
    assert found(unused, "SC001", "HY004", "SU") == ["shortcut-scale", "unused-suppression"], "in a unit that is unused"
    above = unused.replace("unit v", "# resdsl: allow shortcut-scale (why)\nunit v")
    assert found(above, "SC001", "HY004", "SU") == ["shortcut-scale", "unused-suppression"]


def test_a_suppression_that_another_makes_unused_is_used() -> None:
    text = FILE.replace(LINE, f"    # resdsl: allow shortcut-scale (one)\n{LINE[:-1]}  # resdsl: allow SC001 (two)\n")
    assert found(f"# resdsl: allow-file SC001 (three)\n{text}") == []


@pytest.mark.parametrize("line", ["let half = scale(0.5)", "shortcut half"])
def test_the_author_of_an_imported_unit_allows_at_the_value_or_at_its_use(tmp_path: Path, line: str) -> None:
    unit = "resnet 1\nlet half = scale(0.5)\nunit u {\n    branch conv(3x3, 4) -> conv(3x3, 4)\n    shortcut half\n}\n"
    network = tmp_path / "network.resnet"
    network.write_text('resnet 1\nimport "unit.resnet"\nnetwork n { input 4x8x8 stage 9 * u }\n')
    (tmp_path / "unit.resnet").write_text(unit)
    assert [each.name for each in resdsl.lint(network, "SC")] == ["shortcut-scale"]
    (tmp_path / "unit.resnet").write_text(unit.replace(line, f"{line}  # resdsl: allow shortcut-scale (meant)"))
    assert resdsl.lint(network, "SC") == []
