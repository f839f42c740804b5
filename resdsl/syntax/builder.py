"""Lark's trees to nodes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NoReturn, TypeAlias, cast

from lark import Token, Tree

from resdsl.diagnostics import SpecError, fail
from resdsl.source import Source, Span
from resdsl.syntax import nodes

MAX_NESTING = 100
MAX_INTEGER_DIGITS = 18

_Tree: TypeAlias = Tree[Token]
_Child: TypeAlias = _Tree | Token | None
"""What stands in lark's trees: None for an optional part that is not there."""

ParsePart: TypeAlias = Callable[[str, Source, int], nodes.Expression]
"""Parses an expression that stands inside a text: what, and in which source at which offset."""


class Builder:
    """Turns lark's tree of one source into nodes."""

    def __init__(self, source: Source, offset: int, parse_part: ParsePart) -> None:
        self.source = source
        self.offset = offset
        self.parse_part = parse_part

    def span(self, tree: _Tree) -> Span:
        return Span(self.source, self.offset + tree.meta.start_pos, self.offset + tree.meta.end_pos)

    def token_span(self, token: Token) -> Span:
        start = token.start_pos or 0
        return Span(self.source, self.offset + start, self.offset + (token.end_pos or start))

    def file(self, tree: _Tree, comments: list[Token]) -> nodes.File:
        self.check_depth(tree)
        children = _parts(tree)
        items = tuple(self.item(child) for child in children[2:] if isinstance(child, Tree))
        kept = tuple(nodes.Comment(str(token).rstrip(), self.token_span(token)) for token in comments)
        return nodes.File(int(_token(children[1])), items, kept, self.source)

    def top_expression(self, tree: _Tree) -> nodes.Expression:
        self.check_depth(tree)
        return self.expression(tree)

    def check_depth(self, root: _Tree) -> None:
        pending = [(root, 0)]
        while pending:
            tree, depth = pending.pop()
            if depth > MAX_NESTING:
                too_deep(self.span(tree))
            pending += [(child, depth + 1) for child in _parts(tree) if isinstance(child, Tree)]

    def item(self, tree: _Tree) -> nodes.Item:
        children = _parts(tree)
        match tree.data:
            case "import":
                return nodes.Import(str(_token(children[1]))[1:-1], self.span(tree))
            case "let":
                return self.let(tree)
            case "unit":
                doc, _, name, parameters, *body = children
                return nodes.Unit(
                    self.name(name), self.parameters(parameters), _doc(doc), self.body(body), self.span(tree)
                )
            case "network":
                doc, _, name, parameters, *body = children
                return nodes.Network(
                    self.name(name), self.parameters(parameters), _doc(doc), self.body(body), self.span(tree)
                )
            case "alias":
                doc, _, name, parameters, value = children
                return nodes.Alias(
                    self.name(name), self.parameters(parameters), _doc(doc), self.expression(value), self.span(tree)
                )
            case other:
                raise AssertionError(f"the grammar has an item {other} that the builder lacks")

    def name(self, child: _Child) -> nodes.Name:
        token = _token(child)
        return nodes.Name(str(token), self.token_span(token))

    def parameters(self, child: _Child) -> tuple[nodes.Parameter, ...]:
        if child is None:
            return ()
        result: list[nodes.Parameter] = []
        for parameter in _parts(_tree(child)):
            if parameter is None:
                continue
            tree = _tree(parameter)
            name, default = _parts(tree)
            value = None if default is None else self.expression(default)
            result.append(nodes.Parameter(str(_token(name)), value, self.span(tree)))
        return tuple(result)

    def body(self, children: list[_Child]) -> tuple[nodes.BodyItem, ...]:
        return tuple(self.body_item(_tree(child)) for child in children)

    def body_item(self, tree: _Tree) -> nodes.BodyItem:
        match tree.data:
            case "let":
                return self.let(tree)
            case "assert":
                _, test, message = _parts(tree)
                return nodes.Assert(self.expression(test), self.message(_token(message)), self.span(tree))
            case kind:
                children = _parts(tree)
                tap = self.expression(children[3]) if len(children) > 3 and children[3] is not None else None
                return nodes.Clause(nodes.ClauseKind(kind), self.expression(children[1]), tap, self.span(tree))

    def let(self, tree: _Tree) -> nodes.Let:
        _, name, value = _parts(tree)
        return nodes.Let(str(_token(name)), self.expression(value), self.span(tree))

    def message(self, token: Token) -> tuple[str | nodes.Expression, ...]:
        start = (token.start_pos or 0) + 1
        parts: list[str | nodes.Expression] = []
        for index, part in enumerate(re.split(r"\{([^{}]*)\}", str(token)[1:-1])):
            if index % 2 == 0:
                if part:
                    parts.append(part)
                start += len(part)
                continue
            try:
                parts.append(self.parse_part(part, self.source, start + 1))
            except SpecError:
                span = Span(self.source, start, start + len(part) + 2)
                raise fail("syntax", f"`{{{part}}}` in a message holds no value", span) from None
            start += len(part) + 2
        return tuple(parts)

    def arguments(self, children: list[_Child]) -> tuple[nodes.Argument, ...]:
        result: list[nodes.Argument] = []
        for child in children:
            if child is None:
                continue
            tree = _tree(child)
            name, value = _parts(tree)
            keyword = None if name is None else str(_token(name))
            if keyword is None and result and result[-1].name is not None:
                raise fail(
                    "argument-order", "a positional argument stands behind a named one", self.span(tree),
                    help="put positional arguments first, or name this one",
                )  # fmt: skip
            result.append(nodes.Argument(keyword, self.expression(value), self.span(tree)))
        return tuple(result)

    def expression(self, child: _Child) -> nodes.Expression:
        tree = _tree(child)
        span = self.span(tree)
        children = _parts(tree)
        match tree.data:
            case "integer":
                text = str(children[0])
                if len(text) > MAX_INTEGER_DIGITS:
                    raise fail("number-too-large", f"{text[:12]}… has more than {MAX_INTEGER_DIGITS} digits", span)
                return nodes.Integer(int(text), span)
            case "float":
                value = float(str(children[0]))
                if not math.isfinite(value):
                    raise fail("number-too-large", f"{children[0]} is too large for a float", span)
                return nodes.Float(value, span)
            case "size":
                parts = str(children[0]).split("x")
                if any(len(part) > MAX_INTEGER_DIGITS for part in parts):
                    raise fail("number-too-large", f"a number has more than {MAX_INTEGER_DIGITS} digits", span)
                return nodes.Size(tuple(int(part) for part in parts), span)
            case "true" | "false" as word:
                return nodes.Boolean(word == "true", span)
            case "name":
                return nodes.Name(str(children[0]), span)
            case "attribute":
                return nodes.Attribute(self.expression(children[0]), str(children[1]), span)
            case "call":
                return nodes.Call(self.name(children[0]), self.arguments(list(children[1:])), span)
            case "sign":
                return nodes.Unary(nodes.UnaryOperator(str(children[0])), self.expression(children[1]), span)
            case "negation":
                return nodes.Unary(nodes.UnaryOperator.NOT, self.expression(children[0]), span)
            case "conditional":
                then, test, otherwise = (self.expression(part) for part in children)
                return nodes.Conditional(test, then, otherwise, span)
            case "chain":
                return nodes.Chain(tuple(self.expression(link) for link in children), span)
            case "overridden":
                overrides = tuple(self.override(_tree(part)) for part in children[1:])
                return nodes.Overridden(self.expression(children[0]), overrides, span)
            case "conjunction" | "disjunction" | "power" as rule:
                operator = {
                    "conjunction": nodes.BinaryOperator.AND,
                    "disjunction": nodes.BinaryOperator.OR,
                    "power": nodes.BinaryOperator.POWER,
                }[rule]
                return nodes.Binary(operator, self.expression(children[0]), self.expression(children[1]), span)
            case "sum" | "product" | "comparison":
                operator = nodes.BinaryOperator(str(children[1]))
                return nodes.Binary(operator, self.expression(children[0]), self.expression(children[2]), span)
            case other:
                raise AssertionError(f"the grammar has an expression {other} that the builder lacks")

    def override(self, tree: _Tree) -> nodes.Override:
        word, *arguments = _parts(tree)
        return nodes.Override(str(word) == "first", self.arguments(list(arguments)), self.span(tree))


def too_deep(span: Span) -> NoReturn:
    help = "name parts of it with `let`"
    raise fail("nesting-too-deep", f"this is nested more than {MAX_NESTING} deep", span, help=help)


def _parts(tree: _Tree) -> list[_Child]:
    return cast("list[_Child]", tree.children)


def _tree(child: _Child) -> _Tree:
    assert isinstance(child, Tree)
    return child


def _token(child: _Child) -> Token:
    assert isinstance(child, Token)
    return child


def _doc(child: _Child) -> str:
    if child is None:
        return ""
    lines = str(child)[3:-3].strip().splitlines()
    return "\n".join(line.strip() for line in lines)
