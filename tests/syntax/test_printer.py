"""The printed text reads back as the same tree, and has no parenthesis that could go."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resdsl.diagnostics import SpecError
from resdsl.source import Source, Span
from resdsl.syntax import nodes
from resdsl.syntax.nodes import BinaryOperator, ClauseKind, UnaryOperator
from resdsl.syntax.parser import parse_expression, parse_file
from resdsl.syntax.printer import print_expression, print_file

SPECS = sorted((Path(__file__).parents[2] / "specs").rglob("*.resnet"))
SOURCE = Source("<test>", "")
SPAN = Span(SOURCE, 0, 0)


def expression(text: str) -> nodes.Expression:
    return parse_expression(Source("<test>", text))


def file(text: str) -> nodes.File:
    return parse_file(Source("<test>", text))


def name(text: str) -> nodes.Name:
    return nodes.Name(text, SPAN)


def without_a_pair(text: str) -> list[str]:
    """The text without one pair of its parentheses, those of calls kept; once for each pair."""
    shorter: list[str] = []
    opened: list[int] = []
    for place, character in enumerate(text):
        if character == "(":
            opened.append(place)
        elif character == ")":
            start = opened.pop()
            if start == 0 or not re.match(r"\w", text[start - 1]):
                shorter.append(text[:start] + text[start + 1 : place] + text[place + 1 :])
    return shorter


def check(tree: nodes.Expression) -> None:
    text = print_expression(tree)
    assert expression(text) == tree, text
    for shorter in without_a_pair(text):
        try:
            other = expression(shorter)
        except SpecError:
            continue
        assert other != tree, f"{text} could be {shorter}"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_read_back(path: Path) -> None:
    tree = file(path.read_text(encoding="utf-8"))
    text = print_file(tree)
    assert file(text) == tree
    assert print_file(file(text)) == text


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("1", "1"),
        ("007", "7"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("1E3", "1000.0"),
        ("1e16", "1e+16"),
        ("1e-5", "1e-05"),
        ("0.1", "0.1"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("3x3", "3x3"),
        ("3x032x32", "3x32x32"),
        ("true", "true"),
        ("(x)", "x"),
        ("((x -> y))", "x -> y"),
        ("f( )", "f()"),
        ("f(1,a=2,)", "f(1, a = 2)"),
        ("f((a -> b), c = (d -> e))", "f(a -> b, c = d -> e)"),
        ("(a->b)->c", "(a -> b) -> c"),
        ("a->(b->c)", "a -> (b -> c)"),
        ("(3).post", "(3).post"),
        ("(3.5).post", "3.5.post"),
        ("(1e-5).post", "1e-05.post"),
        ("(3x3).post", "3x3.post"),
        ("f(x).post.e5", "f(x).post.e5"),
        ("(-x).post", "(-x).post"),
        ("-x.post", "-x.post"),
        ("- - -x", "---x"),
        ("a - -b", "a - -b"),
        ("a - (b - c)", "a - (b - c)"),
        ("(a - b) - c", "a - b - c"),
        ("a * (b / c)", "a * (b / c)"),
        ("(a // b) % c", "a // b % c"),
        ("(a + b) * c", "(a + b) * c"),
        ("a + (b * c)", "a + b * c"),
        ("(-a) * b", "-a * b"),
        ("-(a * b)", "-(a * b)"),
        ("a * (-b)", "a * -b"),
        ("(-a) ** b", "(-a) ** b"),
        ("-(a ** b)", "-a ** b"),
        ("a ** (-b)", "a ** -b"),
        ("(a ** b) ** c", "(a ** b) ** c"),
        ("a ** (b ** c)", "a ** b ** c"),
        ("(a == b) == c", "(a == b) == c"),
        ("(a < b) and (c < d)", "a < b and c < d"),
        ("not (a == b)", "not a == b"),
        ("(not a) == b", "(not a) == b"),
        ("not (not a)", "not not a"),
        ("not (a and b)", "not (a and b)"),
        ("(not a) and b", "not a and b"),
        ("a and (b and c)", "a and (b and c)"),
        ("a or (b and c)", "a or b and c"),
        ("(a or b) and c", "(a or b) and c"),
        ("a if b else (c if d else e)", "a if b else c if d else e"),
        ("(a if b else c) if d else e", "(a if b else c) if d else e"),
        ("a if (b if c else d) else e", "a if (b if c else d) else e"),
        ("(a if b else c) + d", "(a if b else c) + d"),
        ("(a -> b) if c else d", "(a -> b) if c else d"),
        ("a if b else (c -> d)", "a if b else (c -> d)"),
        ("(3 * u) first(stride=2)last( )", "3 * u first(stride = 2) last()"),
        ("(a if b else c) first(x)", "a if b else c first(x)"),
        ("a if b else (c first(x))", "a if b else (c first(x))"),
        ("((3*u) first(x)) last(y)", "(3 * u first(x)) last(y)"),
        ("3 * (u first(x))", "3 * (u first(x))"),
        ("(2 * u first(x)) -> v", "2 * u first(x) -> v"),
        ("first first(first) -> last", "first first(first) -> last"),
        ("first(2) last(3)", "first(2) last(3)"),
    ],
)
def test_expressions(written: str, printed: str) -> None:
    tree = expression(written)
    assert print_expression(tree) == printed
    check(tree)


Form = Callable[[nodes.Expression], nodes.Expression]
X, Y = name("x"), name("y")

INNER: dict[str, nodes.Expression] = {
    "integer": nodes.Integer(3, SPAN),
    "float": nodes.Float(0.5, SPAN),
    "size": nodes.Size((3, 3), SPAN),
    "boolean": nodes.Boolean(True, SPAN),
    "name": X,
    "call": nodes.Call(X, (), SPAN),
    "attribute": nodes.Attribute(X, "post", SPAN),
    **{f"unary {operator.value}": nodes.Unary(operator, X, SPAN) for operator in UnaryOperator},
    **{operator.value: nodes.Binary(operator, X, Y, SPAN) for operator in BinaryOperator},
    "conditional": nodes.Conditional(X, Y, X, SPAN),
    "chain": nodes.Chain((X, Y), SPAN),
    "overridden": nodes.Overridden(X, (nodes.Override(True, (), SPAN),), SPAN),
}


def _arguments(inner: nodes.Expression) -> tuple[nodes.Argument, ...]:
    return nodes.Argument(None, inner, SPAN), nodes.Argument("a", inner, SPAN)


def _left(operator: BinaryOperator) -> Form:
    return lambda inner: nodes.Binary(operator, inner, Y, SPAN)


def _right(operator: BinaryOperator) -> Form:
    return lambda inner: nodes.Binary(operator, X, inner, SPAN)


def _unary(operator: UnaryOperator) -> Form:
    return lambda inner: nodes.Unary(operator, inner, SPAN)


OUTER: dict[str, Form] = {
    **{f"left of {operator.value}": _left(operator) for operator in BinaryOperator},
    **{f"right of {operator.value}": _right(operator) for operator in BinaryOperator},
    **{f"under {operator.value}": _unary(operator) for operator in UnaryOperator},
    "attribute of": lambda inner: nodes.Attribute(inner, "post", SPAN),
    "argument": lambda inner: nodes.Call(X, _arguments(inner), SPAN),
    "then": lambda inner: nodes.Conditional(X, inner, Y, SPAN),
    "test": lambda inner: nodes.Conditional(inner, X, Y, SPAN),
    "otherwise": lambda inner: nodes.Conditional(X, Y, inner, SPAN),
    "first link": lambda inner: nodes.Chain((inner, Y), SPAN),
    "middle link": lambda inner: nodes.Chain((X, inner, Y), SPAN),
    "last link": lambda inner: nodes.Chain((X, inner), SPAN),
    "repetition": lambda inner: nodes.Overridden(inner, (nodes.Override(False, (), SPAN),), SPAN),
    "override": lambda inner: nodes.Overridden(X, (nodes.Override(True, _arguments(inner), SPAN),), SPAN),
}


@pytest.mark.parametrize("outer", OUTER)
def test_every_form_in_every_place(outer: str) -> None:
    for inner in INNER.values():
        check(OUTER[outer](inner))


FORMATTED = '''\
resnet 1

import "units/basic.resnet"

let n = 3

"""One line."""
network a {
    input 3x32x32
    stem  conv(3x3, 16)
    let m = n
    stage m * basic(16) first(tap = activated)
    assert n > 0, "{n} is {n if true else 1} {n > 0 -> 1} {"
    assert true, ""
}

"""
Two
lines, the second with "quotes".
"""
network b(x, y = 1) = a

"""
"Quoted"
"""
unit basic(
    width, stride = 1, placement = post, shortcut = identity, tap = input, first = true, second = false,
    last = placement.post -> placement.after,
) {
    placement  placement
    branch     conv(3x3, width, stride) -> bn -> relu -> conv(3x3, width) -> bn -> relu -> conv(3x3, width)
               -> bn
    shortcut   shortcut from tap
    projection pad -> shortcut -> shortcut -> shortcut -> shortcut -> shortcut -> shortcut -> shortcut
               -> shortcut from tap -> tap
}

unit empty {
}
'''


def test_layout() -> None:
    tree = file(FORMATTED)
    assert print_file(tree) == FORMATTED


def test_comments_are_dropped() -> None:
    assert print_file(file("resnet 1 # one\n# two\nlet a = 1 # three\n")) == "resnet 1\n\nlet a = 1\n"


NAMES = st.sampled_from(
    ["x", "y", "width", "x3", "e5", "a_", "if_", "aB9", "input", "first", "last", "from", "unit", "let", "shortcut"]
)
LETTERS = st.characters(exclude_categories=["Cs", "Cc"])
ATOMS: st.SearchStrategy[nodes.Expression] = st.one_of(
    st.integers(0, 10**18 - 1).map(lambda value: nodes.Integer(value, SPAN)),
    st.floats(0, allow_nan=False, allow_infinity=False).map(lambda value: nodes.Float(abs(value), SPAN)),
    st.booleans().map(lambda value: nodes.Boolean(value, SPAN)),
    st.lists(st.integers(0, 10**18 - 1), min_size=2, max_size=3).map(lambda values: nodes.Size(tuple(values), SPAN)),
    NAMES.map(name),
)


def arguments(values: st.SearchStrategy[nodes.Expression]) -> st.SearchStrategy[tuple[nodes.Argument, ...]]:
    positional = st.builds(nodes.Argument, st.none(), values, st.just(SPAN))
    named = st.builds(nodes.Argument, NAMES, values, st.just(SPAN))
    return st.tuples(st.lists(positional, max_size=2), st.lists(named, max_size=2)).map(
        lambda both: (*both[0], *both[1])
    )


def compound(inner: st.SearchStrategy[nodes.Expression]) -> st.SearchStrategy[nodes.Expression]:
    span = st.just(SPAN)
    overrides = st.lists(st.builds(nodes.Override, st.booleans(), arguments(inner), span), min_size=1, max_size=2)
    return st.one_of(
        st.builds(nodes.Attribute, inner, NAMES, span),
        st.builds(nodes.Call, NAMES.map(name), arguments(inner), span),
        st.builds(nodes.Unary, st.sampled_from(UnaryOperator), inner, span),
        st.builds(nodes.Binary, st.sampled_from(BinaryOperator), inner, inner, span),
        st.builds(nodes.Conditional, inner, inner, inner, span),
        st.builds(nodes.Chain, st.lists(inner, min_size=2, max_size=4).map(tuple), span),
        st.builds(nodes.Overridden, inner, overrides.map(tuple), span),
    )


EXPRESSIONS = st.recursive(ATOMS, compound, max_leaves=12)


@given(EXPRESSIONS)
@settings(max_examples=150, deadline=None)
def test_any_expression_reads_back(tree: nodes.Expression) -> None:
    check(tree)


def _message(parts: list[str | nodes.Expression]) -> tuple[str | nodes.Expression, ...]:
    """As the parser gives it: no empty text, no text behind a text, no value in a text."""
    message: list[str | nodes.Expression] = []
    for part in parts:
        if not isinstance(part, str):
            message.append(part)
        elif part and not (message and isinstance(message[-1], str)):
            message.append(re.sub(r"\{([^{}]*)\}", r"\1", part))
    return tuple(message)


def _doc(text: str) -> str:
    return "\n".join(line.strip() for line in text.replace('"""', "").strip().splitlines())


SMALL = st.recursive(ATOMS, compound, max_leaves=4)
TEXTS = st.text(LETTERS.filter(lambda letter: letter != '"'), max_size=8)
MESSAGES = st.lists(st.one_of(st.text("a {}#'", max_size=5), TEXTS, SMALL), max_size=5).map(_message)
DOCS = st.text(st.one_of(LETTERS, st.sampled_from('"\n #\\')), max_size=12).map(_doc)
LETS = st.builds(nodes.Let, NAMES, SMALL, st.just(SPAN))
PARAMETERS = st.lists(st.builds(nodes.Parameter, NAMES, st.none() | SMALL, st.just(SPAN)), max_size=12).map(tuple)


def bodies(kinds: list[ClauseKind]) -> st.SearchStrategy[tuple[nodes.BodyItem, ...]]:
    asserts = st.builds(nodes.Assert, SMALL, MESSAGES, st.just(SPAN))
    clauses = st.builds(nodes.Clause, st.sampled_from(kinds), EXPRESSIONS, st.none(), st.just(SPAN))
    items: list[st.SearchStrategy[nodes.BodyItem]] = [asserts, clauses, LETS]
    if ClauseKind.SHORTCUT in kinds:
        tapped = [ClauseKind.SHORTCUT, ClauseKind.PROJECTION]
        items.append(st.builds(nodes.Clause, st.sampled_from(tapped), SMALL, SMALL, st.just(SPAN)))
    return st.lists(st.one_of(items), max_size=4).map(tuple)


COMMON = [ClauseKind.NORM, ClauseKind.ACT, ClauseKind.INIT]
UNIT = [*COMMON, ClauseKind.PLACEMENT, ClauseKind.BRANCH, ClauseKind.SHORTCUT, ClauseKind.PROJECTION, ClauseKind.AFTER]
NETWORK = [*COMMON, ClauseKind.INPUT, ClauseKind.STEM, ClauseKind.STAGE, ClauseKind.HEAD]
ITEMS: st.SearchStrategy[nodes.Item] = st.one_of(
    st.builds(nodes.Import, TEXTS, st.just(SPAN)),
    st.builds(nodes.Unit, NAMES.map(name), PARAMETERS, DOCS, bodies(UNIT), st.just(SPAN)),
    st.builds(nodes.Network, NAMES.map(name), PARAMETERS, DOCS, bodies(NETWORK), st.just(SPAN)),
    st.builds(nodes.Alias, NAMES.map(name), PARAMETERS, DOCS, SMALL, st.just(SPAN)),
    LETS,
)
FILES = st.lists(ITEMS, max_size=3).map(lambda items: nodes.File(1, tuple(items), (), SOURCE))


@given(FILES)
@settings(max_examples=60, deadline=None)
def test_any_file_reads_back(tree: nodes.File) -> None:
    text = print_file(tree)
    assert file(text) == tree, text
