"""Every rule: its page, its fixtures, its suppression, its fix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import resdsl
from resdsl.diagnostics import Diagnostic, Severity
from resdsl.linter.fix import fix_source
from resdsl.linter.rule import Mends, Rule
from resdsl.linter.run import lint_source
from resdsl.linter.select import Selection
from resdsl.linter.table import GROUPS, RULES
from resdsl.source import Source
from resdsl.spec import Options
from tests.conftest import Golden

FIXTURES = Path(__file__).parent / "fixtures"
EVERY_RULE = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
EVERY_FIX = pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.mends is not Mends.NOTHING], ids=lambda rule: rule.name
)


def fixture(rule: Rule, name: str) -> Path:
    return FIXTURES / rule.name / f"{name}.resnet"


def lint(text: str, path: Path | None, *rules: Rule) -> list[Diagnostic]:
    """What these rules find in a text that checks."""
    source = Source(path.name if path else "<text>", text)
    found = lint_source(source, path, Selection(tuple(rule.code for rule in rules)), Options())
    assert all(diagnostic.name for diagnostic in found), [diagnostic.render() for diagnostic in found]
    return found


def sections(rule: Rule) -> dict[str, str]:
    """The parts of a rule's page by heading."""
    parts = re.split(r"^## (.*)$", rule.page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def block(rule: Rule, heading: str) -> str:
    match = re.search(r"```resnet\n(.*?)```", sections(rule)[heading], re.DOTALL)
    assert match, f"{rule.name} has no spec under {heading}"
    return match.group(1)


def test_codes_and_names_are_told_apart() -> None:
    words = [word for rule in RULES for word in (rule.code, rule.name)]
    assert len(set(words)) == len(words)
    for rule in RULES:
        assert re.fullmatch(r"[A-Z]{2}\d{3}", rule.code)
        assert rule.code[:2] in GROUPS
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.name)


def test_the_table_is_in_order() -> None:
    groups = list(GROUPS)
    assert [rule.code for rule in RULES] == sorted(
        (rule.code for rule in RULES), key=lambda code: (groups.index(code[:2]), code)
    )


@EVERY_RULE
def test_page(rule: Rule) -> None:
    found = sections(rule)
    assert re.fullmatch(r"[A-Z][^\n]*\.", rule.summary)
    assert (
        {"Severity", "Example", "Use instead"}
        <= set(found)
        <= {"Evidence", "Severity", "Example", "Use instead", "Fix"}
    )
    assert ("Fix" in found) is (rule.mends is not Mends.NOTHING)
    assert rule.code[:2] in ("HY", "SU") or re.search(r"\b(19|20)\d\d\b", found["Evidence"]), (
        "evidence names its source"
    )
    assert lint(block(rule, "Example"), None, *needed(rule)), "the example does not fire"
    instead = lint(block(rule, "Use instead"), None, *RULES)
    assert told(rule, instead) == []
    assert [diagnostic.render() for diagnostic in instead if diagnostic.severity is not Severity.NOTE] == []


def needed(rule: Rule) -> tuple[Rule, ...]:
    """The rules that must run for this one to speak: those about suppressions judge what the others have found."""
    return RULES if rule.code.startswith("SU") else (rule,)


def told(rule: Rule, found: list[Diagnostic]) -> list[str]:
    return [diagnostic.render() for diagnostic in found if diagnostic.name == rule.name]


@EVERY_RULE
def test_fires(rule: Rule, golden: Golden) -> None:
    path = fixture(rule, "fires")
    found = told(rule, lint(path.read_text(), path, *needed(rule)))
    assert found
    golden(f"lint/{rule.name}.txt", "\n\n".join(found) + "\n")


@EVERY_RULE
def test_nearly_fires(rule: Rule) -> None:
    path = fixture(rule, "nearly")
    assert told(rule, lint(path.read_text(), path, *needed(rule))) == []


@EVERY_RULE
def test_suppression(rule: Rule) -> None:
    path = fixture(rule, "fires")
    text = path.read_text()
    found = [diagnostic for diagnostic in lint(text, path, *needed(rule)) if diagnostic.name == rule.name]
    lines = text.splitlines(keepends=True)
    for number in sorted({diagnostic.span.location().line for diagnostic in found if diagnostic.span}, reverse=True):
        lines.insert(number - 1, f"# resdsl: allow {rule.name} (a test)\n")
    allowed = "".join(lines)
    assert told(rule, lint(allowed, path, *needed(rule))) == []
    everything = lint(allowed, path, *RULES)
    assert [d.render() for d in everything if d.name == "unused-suppression" and rule.name in d.message] == []
    above = f"# resdsl: allow-file {rule.code} (a test)\n{text}"
    assert told(rule, lint(above, path, *needed(rule))) == []


@EVERY_FIX
def test_fix(rule: Rule, golden: Golden) -> None:
    path = fixture(rule, "fires")
    text = path.read_text()
    selection = Selection(tuple(each.code for each in needed(rule)))
    fixed = fix_source(Source(path.name, text), path, selection, Options(), unsafe=rule.mends is Mends.UNSAFE)
    assert fixed.applied
    assert fixed.text != text
    golden(f"lint/{rule.name}.fixed.resnet", fixed.text)
    assert [d.render() for d in told_with_fix(rule, fixed.remaining)] == [], "the fix has not converged"
    assert [d.render() for d in resdsl.check(fixed.text if "import" not in text else path)] == []
    assert comments(text) - comments(fixed.text) <= removed(rule, text)
    again = fix_source(Source(path.name, fixed.text), path, selection, Options(), unsafe=rule.mends is Mends.UNSAFE)
    assert (again.text, again.applied) == (fixed.text, 0)
    if rule.mends is Mends.UNSAFE:
        careful = fix_source(Source(path.name, text), path, selection, Options(), unsafe=False)
        assert (careful.text, careful.applied) == (text, 0)


def told_with_fix(rule: Rule, found: list[Diagnostic]) -> list[Diagnostic]:
    return [diagnostic for diagnostic in found if diagnostic.name == rule.name and diagnostic.fix is not None]


def comments(text: str) -> set[str]:
    return {comment.text for comment in resdsl.parse(text).comments}


def removed(rule: Rule, text: str) -> set[str]:
    """The comments that a fix may take away: suppressions, by the rules about them."""
    return (
        {comment for comment in comments(text) if "resdsl: allow" in comment} if rule.code.startswith("SU") else set()
    )
