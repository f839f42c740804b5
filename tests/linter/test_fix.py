"""Mending: rounds, overlaps, fixes that would break a file, and what a text looks like afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import resdsl
from resdsl.diagnostics import Edit, Fix, Severity
from resdsl.linter.edits import applied, overlap, removal
from resdsl.linter.fix import Fixed, fix_source
from resdsl.linter.rule import Finding, Mends, Rule
from resdsl.linter.run import build_networks, lint_source
from resdsl.linter.select import Selection
from resdsl.linter.subject import LintedFile
from resdsl.linter.table import BY_NAME
from resdsl.network.network import Network
from resdsl.semantics.evaluate import CALL_NAMES, VALUE_NAMES
from resdsl.source import Source, Span
from resdsl.spec import Options, open_source
from resdsl.syntax import nodes

FIXTURES = Path(__file__).parent / "fixtures"
FILE = """\
resnet 1

# a comment
unit u(width) {
    placement pre
    branch    conv(3x3, width)
    shortcut  identity
}

network small {
    input 3x8x8
    stem  conv(3x3, 4)
    stage 2 * u(4)
    head  avgpool -> linear(10)
}
"""


def fix(text: str, *rules: str, unsafe: bool = False, path: Path | None = None) -> Fixed:
    return fix_source(Source("a.resnet", text), path, Selection(rules or ("ALL",)), Options(), unsafe=unsafe)


def networks(text: str, path: Path | None = None) -> dict[str, Network]:
    file, errors = build_networks(open_source(Source("a.resnet", text), path), Options())
    assert errors == []
    return {linted.name: linted.network for linted in file.networks}


Replacing = Callable[[str, str, str], str]


@pytest.fixture
def replacing(monkeypatch: pytest.MonkeyPatch) -> Replacing:
    """`replacing("test-one", "pre", "post")` makes a rule that finds each `pre` and offers `post`, and adds it to the
    table. `~` before the new text makes the fix unsafe; several, as in `a|b`, are replaced by one fix, each with `new`.
    """
    table: list[Rule] = []

    def add(name: str, old: str, new: str) -> str:
        safe = not new.startswith("~")
        parts = [re.escape(part) for part in old.split("|")]

        def check(file: LintedFile) -> Iterator[Finding]:
            text = file.source.text
            for match in re.finditer(parts[0], text):
                others = [other.span() for part in parts[1:] for other in re.finditer(part, text)]
                spans = [Span(file.source, start, end) for start, end in (match.span(), *others)]
                edits = tuple(Edit(span, new.removeprefix("~")) for span in spans)
                yield Finding(Severity.WARNING, f"{old} is found", (spans[0],), fix=Fix("replace it", edits, safe))

        table.append(Rule(f"TE{len(table):03}", name, check, "A test.", Mends.SAFE))
        monkeypatch.setattr("resdsl.linter.run.RULES", tuple(table))
        return name

    return add


# Rounds.


def test_fixes_that_overlap_wait_for_the_next_round(replacing: Replacing) -> None:
    replacing("first-one", "a comment", "no comment")
    replacing("second-one", "comment\n", "remark\n")
    fixed = fix(FILE)
    assert "# no remark\n" in fixed.text
    assert fixed.rules == {"first-one": 1, "second-one": 1}
    assert fixed.remaining == []


def test_the_first_of_two_in_one_place_is_taken(replacing: Replacing) -> None:
    replacing("first-one", "# a comment", "# one")
    replacing("second-one", "# a comment", "# two")
    fixed = fix(FILE)
    assert "# one\n" in fixed.text
    assert fixed.applied == 1


def test_a_text_that_comes_back_ends_the_rounds(replacing: Replacing) -> None:
    replacing("one-way", "# a comment", "# another")
    replacing("other-way", "# another", "# a comment")
    fixed = fix(FILE)
    assert fixed.text == FILE
    assert fixed.applied == 2
    assert [diagnostic.name for diagnostic in fixed.remaining] == ["one-way"]


def test_a_fix_without_an_end_is_ended(replacing: Replacing) -> None:
    replacing("longer-and-longer", "# a", "# aa")
    assert "# aaaa" in fix(FILE).text


def test_all_edits_of_a_fix_or_none(replacing: Replacing) -> None:
    replacing("both-places", "conv(3x3, 4)|conv(3x3, width)", "conv(1x1, 4)")
    replacing("one-place", "conv(3x3, 4)", "conv(5x5, 4)")
    fixed = fix(FILE.replace("pre", "post"))
    assert fixed.applied == 0, "a safe fix may change no network"
    replacing("both-unsafe", "conv(3x3, 4)|conv(3x3, width)", "~conv(1x1, 4)")
    fixed = fix(FILE, "both-unsafe", unsafe=True)
    assert fixed.text == FILE.replace("conv(3x3, 4)", "conv(1x1, 4)").replace("conv(3x3, width)", "conv(1x1, 4)")


def test_edits_of_one_fix_that_overlap_are_refused(replacing: Replacing) -> None:
    replacing("clumsy-fix", "# a comment|a comm", "# b")
    assert fix(FILE).applied == 0


# What a fix may not do.


def test_a_fix_that_breaks_the_file_is_left_out(replacing: Replacing) -> None:
    replacing("breaking-syntax", "head  avgpool", "~haed  avgpool")
    replacing("breaking-names", "identity", "~identty")
    replacing("breaking-shapes", "conv(3x3, width)", "~conv(3x3, 2 * width)")
    replacing("good-one", "placement pre", "~placement post")
    fixed = fix(FILE, unsafe=True)
    assert fixed.text == FILE.replace("placement pre", "placement post")
    assert fixed.rules == {"good-one": 1}
    assert [(diagnostic.name, diagnostic.fix) for diagnostic in fixed.remaining] == [
        ("breaking-shapes", None),
        ("breaking-names", None),
        ("breaking-syntax", None),
    ]
    assert resdsl.check(fixed.text) == []


def test_fixes_that_break_the_file_together_are_told_apart(replacing: Replacing) -> None:
    text = FILE.replace("small {", "small(n = 2) {").replace("2 * u", "n * u")
    replacing("one-of-two", "(n = 2)", "~")
    replacing("two-of-two", "n * u", "~m * u")
    replacing("good-one", "# a comment", "# better")
    fixed = fix(text, unsafe=True)
    assert fixed.text == text.replace("# a comment", "# better")


def test_a_network_stays_one_that_can_be_built(replacing: Replacing) -> None:
    text = FILE.replace("small {", "small(n = 2) {").replace("2 * u", "n * u")
    replacing("default-lost", "n = 2", "~n")
    replacing("network-lost", "network small", "~network large")
    assert fix(text, unsafe=True).text == text


def test_a_safe_fix_that_changes_a_network_is_left_out(replacing: Replacing) -> None:
    replacing("not-safe", "placement pre", "placement post")
    replacing("good-one", "# a comment", "# better")
    fixed = fix(FILE)
    assert fixed.text == FILE.replace("# a comment", "# better")
    assert networks(fixed.text) == networks(FILE)


def test_safe_fixes_are_held_to_it_beside_unsafe_ones(replacing: Replacing) -> None:
    replacing("not-safe", "placement pre", "placement post")
    replacing("the-unsafe-one", "2 * u(4)", "~3 * u(4)")
    assert fix(FILE, unsafe=True).text == FILE.replace("2 * u(4)", "3 * u(4)")


def test_a_fix_elsewhere_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Source("b.resnet", FILE)

    def check(file: LintedFile) -> Iterator[Finding]:
        edits = (Edit(Span(elsewhere, 0, 1), "x"),)
        yield Finding(Severity.WARNING, "there", (Span(file.source, 0, 1),), fix=Fix("replace it", edits, safe=True))

    monkeypatch.setattr("resdsl.linter.run.RULES", (Rule("TE001", "there-not-here", check, "A test.", Mends.SAFE),))
    fixed = fix(FILE)
    assert (fixed.text, fixed.applied, len(fixed.remaining)) == (FILE, 0, 1)


@pytest.mark.parametrize("text", ["resnet 1\nnetwork n {\n    let a = 1\n    inptu 3\n}\n", "resnet 1\nnetwork n {\n    let a = 1\n    input 3x4\n}\n", "resnet 2\n"])  # fmt: skip
def test_a_file_that_does_not_check_stays(text: str) -> None:
    fixed = fix(text, unsafe=True)
    assert (fixed.text, fixed.applied) == (text, 0)
    assert fixed.remaining[0].name == ""


def test_unsafe_fixes_wait_to_be_asked_for() -> None:
    text = FILE.replace("identity", "scale(0.5)")
    careful = fix(text, "SC001")
    assert (careful.text, careful.applied) == (text, 0)
    assert careful.remaining[0].fix is not None
    fixed = fix(text, "SC001", unsafe=True)
    assert (fixed.text, fixed.rules) == (FILE, {"shortcut-scale": 1})


def test_a_suppression_that_names_its_rule_wrongly_is_corrected_before_it_is_too_late() -> None:
    text = FILE.replace("    input", "    let n = 3  # resdsl: allow unused-lett (kept)\n    input")
    fixed = fix(text)
    assert fixed.text == text.replace("unused-lett", "unused-let")


def test_many_fixes_in_one_file() -> None:
    lets = [f"    let a{number} = {number}  # {number}\n" for number in range(500)]
    fixed = fix(FILE.replace("    input", "".join(lets) + "    input"), "unused-let")
    assert fixed.rules == {"unused-let": 500}
    assert fixed.text == FILE.replace("    input", "".join(f"    # {number}\n" for number in range(500)) + "    input")


# What a text looks like afterwards.


def without(text: str, *parts: str) -> str:
    """The text without what stands between brackets ⟦ and ⟧; `parts` are put there instead, in order."""
    plain = text.replace("⟦", "").replace("⟧", "")
    source = Source("a", plain)
    edits: list[Edit] = []
    marks = [match.start() - number for number, match in enumerate(re.finditer("[⟦⟧]", text))]
    for number, (start, end) in enumerate(zip(marks[::2], marks[1::2], strict=True)):
        edits.append(Edit(Span(source, start, end), parts[number] if parts else ""))
    return applied(plain, edits)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n    ⟦let x = 1⟧\nb\n", "a\nb\n"),
        ("a\n    ⟦let x = 1⟧  # why\nb\n", "a\n    # why\nb\n"),
        ("a  ⟦# allow⟧\nb\n", "a\nb\n"),
        ("a  ⟦# allow⟧  # more\nb\n", "a  # more\nb\n"),
        ("a ⟦b⟧ c\n", "a c\n"),
        ("f(⟦a, ⟧b)\n", "f(b)\n"),
        ("  ⟦let x = 1⟧ ⟦let y = 2⟧ \nb\n", "b\n"),
        ("  ⟦let x = 1⟧ let z = 3 ⟦let y = 2⟧  # c\n", "  let z = 3 # c\n"),
        ("a\n\n⟦b\n\nc⟧\n\nd\n", "a\n\nd\n"),
        ("a\n\n⟦b⟧\n⟦c⟧\n\nd\n", "a\n\nd\n"),
        ("a\n⟦b⟧\n\nd\n", "a\n\nd\n"),
        ("a\n\n⟦b⟧\nd\n", "a\n\nd\n"),
        ("n {\n    ⟦b⟧\n\n    d\n", "n {\n    d\n"),
        ("⟦a⟧\n\nb\n", "b\n"),
        ("a\n\n⟦b⟧\n", "a\n"),
        ("a\n\n⟦b⟧", "a"),
        ("a\n⟦b⟧", "a"),
        ("a\n⟦b⟧\n⟦c⟧", "a"),
        ("a\n  ⟦b⟧  # c", "a\n  # c"),
        ("a\r\n    ⟦b⟧\r\nc\r\n", "a\r\nc\r\n"),
        ("a  ⟦# b⟧\r\nc", "a\r\nc"),
        ("a\r\n\r\n⟦b⟧\r\n\r\nc\r\n", "a\r\n\r\nc\r\n"),
        ("a\r\n⟦b⟧", "a"),
        ("a {⟦ b⟧}\n", "a {}\n"),
        ("\tx ⟦b⟧\n\t⟦c⟧\n\td\n", "\tx\n\td\n"),
    ],
)
def test_a_removal_leaves_no_trace(text: str, expected: str) -> None:
    assert without(text) == expected


def test_a_replacement_has_the_line_endings_of_the_file() -> None:
    assert without("a\r\n⟦⟧b\r\n", "# c\n") == "a\r\n# c\r\nb\r\n"
    assert without("a ⟦b⟧ \r\n", "c") == "a c \r\n", "only removals take blanks along"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 3), (3, 5), False),
        ((0, 3), (2, 5), True),
        ((0, 9), (2, 5), True),
        ((3, 3), (3, 3), True),
        ((3, 3), (3, 5), True),
        ((1, 3), (3, 3), True),
        ((1, 3), (4, 4), False),
    ],
)
def test_overlap(first: tuple[int, int], second: tuple[int, int], expected: bool) -> None:
    source = Source("a", "0123456789")
    one, other = (Edit(Span(source, *span), "x") for span in (first, second))
    assert overlap(one, other) is overlap(other, one) is expected


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_layout_and_comments_stay(ending: str, final: bool) -> None:
    text = FILE.replace(
        "    input", "    let a = 3  # why\n    let b = at(pre = a,  # one\n# two\n  mid = a)\n\n    input"
    )
    text += "\n# three\n# resdsl: allow unused-unit (none)"
    text = text.replace("\n", ending) + (ending if final else "")
    expected = FILE.replace("    input", "    # why\n    # one\n    # two\n\n    input") + "\n# three"
    expected = expected.replace("\n", ending) + (ending if final else "")
    assert fix(text, "HY001", "HY004", "SU002", unsafe=True).text == expected
    alone = fix(text, "HY004", "SU002")
    assert networks(alone.text) == networks(text)


def test_removal_keeps_comments_apart() -> None:
    text = 'resnet 1\n  """doc # no comment"""\n  unit u { # one\n\n branch  # two\n relu shortcut none } network n { input 3 }\n'
    tree = resdsl.parse(text)
    result = applied(text, removal(tree, tree.items[0].span))
    assert result == "resnet 1\n  # one\n  # two\n network n { input 3 }\n"


# Everything together.

WORDS = {*VALUE_NAMES, *CALL_NAMES, *(kind.value for kind in nodes.ClauseKind)}


def declared(text: str) -> list[str]:
    items = [item for item in resdsl.parse(text).items if not isinstance(item, nodes.Import)]
    return [item.name if isinstance(item, nodes.Let) else item.name.name for item in items]


PIECES = [path for path in sorted(FIXTURES.glob("*/*.resnet")) if WORDS.isdisjoint(declared(path.read_text()))]
"""Fixtures whose names can be changed: none has another meaning too."""


def renamed(path: Path, number: int) -> str:
    """The fixture without its first line, and with names of its own."""
    before, _, text = path.read_text().partition("resnet 1\n")
    for name in declared(path.read_text()):
        text = re.sub(rf"(?<![\w\"/.-]){name}\b(?![-/.])", f"{name}_{number}", text)
    return before + text


FILES = st.tuples(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4, unique=True), st.sampled_from(["\n", "\r\n"])
)


def joined(paths: list[Path], ending: str) -> str:
    """One file of several fixtures."""
    return "".join(["resnet 1\n", *map(renamed, paths, range(len(paths)))]).replace("\n", ending)


@settings(max_examples=20, deadline=None)
@given(FILES)
def test_safe_fixes_keep_networks_and_comments(file: tuple[list[Path], str]) -> None:
    text = joined(*file)
    fixed = fix(text)
    assert networks(fixed.text) == networks(text)
    assert not [diagnostic for diagnostic in fixed.remaining if diagnostic.fix and diagnostic.fix.safe]
    holds(text, fixed, unsafe=False)


@settings(max_examples=10, deadline=None)
@given(FILES)
def test_unsafe_fixes_keep_what_can_be_built_and_comments(file: tuple[list[Path], str]) -> None:
    text = joined(*file)
    fixed = fix(text, unsafe=True)
    assert networks(fixed.text).keys() == networks(text).keys()
    holds(text, fixed, unsafe=True)


MENDED = [
    path for path in PIECES if path.name == "fires.resnet" and BY_NAME[path.parent.name].mends is not Mends.NOTHING
]
BETWEEN_TOKENS = re.compile(r'"""[\s\S]*?"""|"[^"\n]*"|#[^\n]*|(?P<place>(?<=[(,])|(?<=->)|(?<=[\w)])(?= ))')


def remarked(text: str, numbers: list[int]) -> str:
    """The text with comments between its tokens, at some of the places that are left."""
    header = text.index("resnet 1\n") + 9
    places = [match.start() for match in BETWEEN_TOKENS.finditer(text, header) if match["place"] is not None]
    for place in sorted({places[number % len(places)] for number in numbers}, reverse=True):
        text = f"{text[:place]}  # remark {place}\n{text[place:]}"
    return text


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(MENDED), st.lists(st.integers(0, 2**16), min_size=1, max_size=40), st.sampled_from(["\n", "\r\n"])
)
def test_comments_anywhere_survive(path: Path, numbers: list[int], ending: str) -> None:
    text = remarked(path.read_text(), numbers).replace("\n", ending)
    if any("import" in line for line in text.splitlines() if not line.startswith("#")):
        return
    fixed = fix(text, unsafe=True)
    assert networks(fixed.text).keys() == networks(text).keys()
    holds(text, fixed, unsafe=True)


def holds(text: str, fixed: Fixed, *, unsafe: bool) -> None:
    """What every fixed file has: it checks, keeps comments and line endings, has no blanks at line ends, and stays."""
    assert resdsl.check(fixed.text) == []
    assert comments(text) - comments(fixed.text) == set()
    assert not re.search(r"[ \t]+\r?$", fixed.text, re.MULTILINE)
    assert ("\r\n" in fixed.text) is ("\r\n" in text)
    again = fix(fixed.text, unsafe=unsafe)
    assert (again.text, again.applied) == (fixed.text, 0)


def comments(text: str) -> set[str]:
    """Those that say nothing about rules."""
    found = {comment.text for comment in resdsl.parse(text).comments}
    return {comment for comment in found if "resdsl:" not in comment}


SHARED = """resnet 1

unit basic(width, placement) {
    placement placement
    branch    conv(3x3, width) -> conv(3x3, width)
    shortcut  identity
}
network a(p = post) {
    input 3x32x32
    stem  conv(3x3, 16) -> bn -> relu    # both networks have this stem
    stage 9 * basic(16, p)
    head  avgpool -> linear(10)
}
"""


@pytest.mark.parametrize(("alias", "fixed"), [("a(p = relu_before_add)", False), ("a", True)])
def test_a_stem_that_another_placement_needs_stays(alias: str, fixed: bool) -> None:
    text = f"{SHARED}network b = {alias}\n"
    selection = Selection(("AD001",))
    mended = fix_source(Source("shared.resnet", text), None, selection, Options(), unsafe=True)
    assert (mended.applied, mended.text == text) == ((1, False) if fixed else (0, True))


# What particular fixes keep.


@pytest.mark.parametrize(
    ("written", "mended"),
    [
        ("conv(1x1)  # one\n    -> bn  # two", "identity  # one\n    # two"),
        ("gate(-6,  # one\n    # two\n    branch = false)  # three", "identity  # one\n    # two\n    # three"),
        ("gate(-6,  # one\n)", "identity  # one"),
        ("conv(1x1)\n  -> bn # one", "identity # one"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_comments_in_what_is_replaced_stay(written: str, mended: str, ending: str) -> None:
    text, expected = (FILE.replace("identity", each).replace("\n", ending) for each in (written, mended))
    assert fix(text, "SC", unsafe=True).text == expected


def test_a_shortcut_with_comments_becomes_no_projection() -> None:
    text = FILE.replace("u(4)", "u(8)").replace("    shortcut  identity\n", "    shortcut  conv(1x1) from input\n")
    text = text.replace("stage 2", "stage u(8) -> 2")
    assert "projection conv(1x1) from input" in fix(text, "SC004", unsafe=True).text
    commented = text.replace("conv(1x1) from", "conv(1x1)  # kept\n        from")
    fixed = fix(commented, "SC004", unsafe=True)
    assert (fixed.text, [diagnostic.fix for diagnostic in fixed.remaining]) == (commented, [None])


STAGES = """\
resnet 1
unit u(width, placement) {
    placement  placement
    branch     conv(3x3, width) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}
network n {
    input 3x8x8
    stem  conv(3x3, 16) -> bn -> relu
    stage 9 * u(16, post)  # resdsl: allow AD001 (an ablation)
    stage 9 * u(32, post)  # the second
    stage 9 * u(64, post)
    head  avgpool -> linear(10)
}
"""
ALLOWED = "  # resdsl: allow AD001 (an ablation)"


def test_an_end_stays_whose_unit_keeps_its_placement() -> None:
    first = fix(STAGES, "AD001", unsafe=True)
    new_head = STAGES.replace("head  avg", "head  norm -> act -> avg")
    assert first.text == new_head.replace("32, post", "32, pre").replace("64, post", "64, pre")
    last = STAGES.replace(ALLOWED, "").replace("64, post)", f"64, post){ALLOWED}")
    new_stem = last.replace(" -> bn -> relu\n", "\n")
    assert fix(last, "AD001", unsafe=True).text == new_stem.replace("16, post", "16, pre").replace(
        "32, post", "32, pre"
    )
    middle = STAGES.replace(ALLOWED, "").replace("  # the second", ALLOWED)
    ends = fix(middle, "AD001", unsafe=True).text
    assert all(part in ends for part in ("conv(3x3, 16)\n", "32, post", "head  norm -> act"))
    mixed = f"{STAGES}network b = n".replace("n {", "n(p = post) {").replace("16, post", "16, p").replace(ALLOWED, "")
    assert "stem  conv(3x3, 16)\n" in fix(mixed, "AD001", unsafe=True).text, "both turn"
    kept = fix(f"{mixed}(p = relu_before_add)\n", "AD001", unsafe=True).text
    assert all(part in kept for part in ("conv(3x3, 16) -> bn -> relu\n", "n(p = post)", "32, pre"))


def test_what_stands_in_a_branch_too_is_not_replaced() -> None:
    shared = FILE.replace("unit u", "let s = scale(0.5)\nunit u").replace("identity", "s")
    chain = "let s = conv(1x1) -> bn"
    for text in (shared, shared.replace("let s = scale(0.5)", chain)):
        assert "let s = identity" in fix(text, "SC", unsafe=True).text
    in_branch = shared.replace("(3x3, width)", "(3x3, width) -> s")
    in_stem = shared.replace("(3x3, 4)", "(3x3, 4) -> s")
    chained = in_branch.replace("let s = scale(0.5)", chain)
    for text in (in_branch, in_stem, chained):
        fixed = fix(text, "SC", unsafe=True)
        assert (fixed.text, [diagnostic.fix for diagnostic in fixed.remaining]) == (text, [None] * len(fixed.remaining))
        assert fixed.remaining


def test_what_another_file_may_import_stays() -> None:
    text = FILE.replace("network small", "let spare = 3\nunit v { branch relu shortcut none }\nnetwork small")
    fixed = fix(text, "HY", unsafe=True)
    assert fixed.text == text
    assert [(each.name, each.fix, "another file imports it" in each.help) for each in fixed.remaining] == [
        ("unused-let", None, True),
        ("unused-unit", None, True),
    ]


def test_a_file_with_errors_has_nothing_to_fix() -> None:
    text = FILE.replace("    input", "    let spare = 3\n    input") + "network broken { input 3x8x8 head linear(0) }\n"
    found = lint_source(Source("a.resnet", text), None, Selection(("HY004",)), Options())
    assert [(each.name, each.fix) for each in found] == [("", None), ("unused-let", None)]
    fixed = fix(text, "HY004")
    assert (fixed.text, fixed.remaining[1].fix) == (text, None)
