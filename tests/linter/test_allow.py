"""Writing suppressions: where the comment goes, what it says, and that nothing is found any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdsl.diagnostics import Severity
from resdsl.linter.allow import add_allow
from resdsl.linter.run import lint_source
from resdsl.linter.select import Selection
from resdsl.source import Source
from resdsl.spec import Options
from resdsl.syntax.parser import parse_file

FIXTURES = Path(__file__).parent / "fixtures"
UNIT = """\
resnet 1

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
RULES = ("SC001", "AD001", "HY", "SU")


def allow(text: str, reason: str = "why", rules: tuple[str, ...] = RULES, path: Path | None = None) -> tuple[str, int]:
    """The text with what is found allowed, which is then no longer found, and how many findings that were."""
    allowed, count = add_allow(Source("a.resnet", text), path, Selection(rules), Options(), reason)
    assert parse_file(Source("a", allowed)) == parse_file(Source("a", text))
    left = lint_source(Source("a.resnet", allowed), path, Selection(rules), Options())
    assert [d.render() for d in left if d.severity is not Severity.NOTE and d.code[:2] != "SU"] == []
    assert add_allow(Source("a.resnet", allowed), path, Selection(rules), Options(), reason) == (allowed, 0)
    return allowed, count


def test_a_comment_above_the_line() -> None:
    text, count = allow(UNIT + NETWORK)
    line = "    shortcut  scale(0.5)\n"
    assert text == (UNIT + NETWORK).replace(line, f"    # resdsl: allow shortcut-scale (why)\n{line}")
    assert count == 1


def test_all_findings_of_a_line_in_one_comment() -> None:
    text = UNIT.replace("(width)", "(width, p, q)", 1) + NETWORK.replace("u(4)", "u(4, 1, 2)")
    text = (
        text.replace("\n\nunit", " unit")
        .replace("{\n    placement", "{ placement", 1)
        .replace("shortcut", "let a = 1 shortcut")
    )
    allowed, count = allow(text)
    assert allowed.splitlines()[0] == "# resdsl: allow unused-parameter (why)"
    assert "    # resdsl: allow unused-let, shortcut-scale (why)\n    let a = 1 shortcut  scale(0.5)\n" in allowed
    assert count == 4


def test_a_comment_that_is_there_gets_the_names() -> None:
    behind = (
        UNIT.replace("scale(0.5)", "scale(0.5) let a = 1  # note # resdsl: allow shortcut-scale (one) # end") + NETWORK
    )
    allowed, count = allow(behind, "two")
    assert "scale(0.5) let a = 1  # note # resdsl: allow shortcut-scale, unused-let (one; two) # end\n" in allowed
    assert count == 1
    above = UNIT.replace("    shortcut", "    # resdsl: allow HY004\n    # a note\n\n    let a = 1 shortcut") + NETWORK
    assert "    # resdsl: allow HY004, shortcut-scale (why)\n    # a note\n" in allow(above)[0]
    assert "    # resdsl: allow HY004, shortcut-scale\n    # a note\n" in allow(above, "")[0]
    said = above.replace("HY004", "HY004 (why)")
    assert "    # resdsl: allow HY004, shortcut-scale (why)\n    # a note\n" in allow(said)[0]


def test_the_last_of_several_comments_gets_the_names() -> None:
    above = "    # resdsl: allow HY004 (one)\n    # resdsl: allow HY001 (two)\n    let a = 1 shortcut"
    allowed, _ = allow(UNIT.replace("    shortcut", above) + NETWORK)
    assert "HY004 (one)\n    # resdsl: allow HY001, shortcut-scale (two; why)\n" in allowed


def test_what_says_nothing_of_the_line_is_left_alone() -> None:
    text = "# resdsl: allow-file unused-let (one)\n" + UNIT.replace(
        "    shortcut", "    # resdsl: allow (none)\n    shortcut"
    )
    assert "# resdsl: allow (none)\n    # resdsl: allow shortcut-scale (why)\n    shortcut" in allow(text + NETWORK)[0]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_line_that_begins_in_a_docstring(ending: str) -> None:
    text = UNIT + '\n"""\nA second\none. """ unit v { branch relu shortcut identity }  # one\n' + NETWORK
    allowed, count = allow(text.replace("\n", ending), rules=("HY001",))
    line = 'one. """ unit v { branch relu shortcut identity }  # one'
    assert allowed == text.replace(line, f"{line}  # resdsl: allow unused-unit (why)").replace("\n", ending)
    assert count == 1
    plain = text.replace(line, f'# " {line.removesuffix("  # one")}  ').replace("\n", ending)
    assert f"identity }}  # resdsl: allow unused-unit (why){ending}" in allow(plain, rules=("HY001",))[0]


def test_a_line_that_ends_in_another_docstring() -> None:
    text = (
        UNIT
        + '"""\nA """ unit v { branch relu shortcut none } unit w { branch relu shortcut none } """ B\n"""'
        + NETWORK
    )
    allowed, count = allow(text, rules=("HY001",))
    assert 'A """ unit \n# resdsl: allow unused-unit (why)\nv { branch relu shortcut none } unit w {' in allowed
    assert count == 2


def test_a_docstring_in_a_comment_is_none() -> None:
    text = UNIT.replace("unit", '# """\nunit').replace("    shortcut", '    # "\n    shortcut') + NETWORK
    assert '    # "\n    # resdsl: allow shortcut-scale (why)\n    shortcut' in allow(text)[0]


def test_the_first_line_and_the_last() -> None:
    text = (UNIT + NETWORK).replace("scale(0.5)", "identity let a = 3").replace("\n", " ")
    assert allow(text)[0] == f"# resdsl: allow unused-let (why)\n{text}"


@pytest.mark.parametrize(
    ("reason", "written"),
    [
        ("", ""),
        ("  ", ""),
        ("Table 1 (b), an ablation #3", " (Table 1 (b), an ablation #3)"),
        ("two\n  lines", " (two lines)"),
        ("half open (", " (half open [)"),
        (") (", " (] [)"),
        ("a # resdsl: allow b", " (a # resdsl: allow b)"),
    ],
)
def test_reasons(reason: str, written: str) -> None:
    text, _ = allow(UNIT + NETWORK, reason)
    assert f"    # resdsl: allow shortcut-scale{written}\n    shortcut" in text


def test_notes_and_suppressions_stay() -> None:
    text = (UNIT + NETWORK).replace("scale(0.5)", "identity  # resdsl: allow nothing-like-this").replace("pre", "post")
    few = text.replace("20 *", "2 *")
    found = lint_source(Source("a.resnet", few), None, Selection(RULES), Options())
    assert {diagnostic.code for diagnostic in found} == {"AD001", "SU001", "SU003"}
    assert allow(few) == (few, 0)
    assert allow(text, rules=("SU",)) == (text, 0)


def test_a_file_that_does_not_check_stays() -> None:
    for text in ("resnet 1\nlet a = b\n", UNIT + NETWORK.replace("3x8x8", "3x8")):
        assert add_allow(Source("a", text), None, Selection(), Options(), "why") == (text, 0)


@pytest.mark.parametrize(
    "path", sorted(FIXTURES.glob("*/*.resnet")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_everything_that_is_found_can_be_allowed(path: Path, ending: str) -> None:
    text = path.read_text().replace("\n", ending)
    allowed, _ = allow(text, rules=("ALL",), path=path)
    assert allowed.count("\n") == allowed.count(ending)
