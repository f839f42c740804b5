"""Text to tree. The only importer of lark.

Several syntax errors are found in one run: after an error the clause that holds it is blanked out, offsets unchanged,
and the rest is read again.
"""

from __future__ import annotations

import json
import math
import re
from functools import cache
from importlib import resources
from typing import Any, NoReturn, TypeAlias
from zlib import crc32

from lark import Lark, Token, Tree
from lark import __version__ as lark_version
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.source import Source, Span
from resdsl.syntax import mistakes, nodes

LANGUAGE_VERSION = 1
GRAMMAR_OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "contextual",
    "start": ["file", "expression"],
    "propagate_positions": True,
    "maybe_placeholders": True,
}
MAX_SOURCE_BYTES = 256 * 1024
MAX_NESTING = 100
MAX_SYNTAX_ERRORS = 10
MAX_RECOVERY_CHARACTERS = 32 * 1024
"""Above this length only the first syntax error is reported: each further one reads the text once more."""
MAX_INTEGER_DIGITS = 18

_SYNC = re.compile(
    rf"^[ \t]*(?:(?:{'|'.join(mistakes.CLAUSE_WORDS)})\b|\}}|(?:unit|network|import)\b|\"\"\")", re.MULTILINE
)
"""Where a clause, a declaration or the end of one begins a line."""


def parse_file(source: Source) -> nodes.File:
    """The tree of a whole file.

    Raises SpecError with all syntax errors found, or for a source that is too large, too deeply nested or of another
    language version.
    """
    _check_size(source)
    _check_brackets(source)
    _check_header(source)
    diagnostics: list[Diagnostic] = []
    text = source.text
    last_error = -1
    while len(diagnostics) < MAX_SYNTAX_ERRORS:
        comments: list[Token] = []
        try:
            tree = _lark(comments).parse(text, start="file")
        except UnexpectedInput as error:
            diagnostic, position, reached = _syntax_error(error, source)
            if position <= last_error or (diagnostics and position == len(text)):
                break  # an early end may only be missing what was dropped
            diagnostics.append(diagnostic)
            last_error = position
            blanked = _blank_clause(text, reached) if len(text) <= MAX_RECOVERY_CHARACTERS else None
            if blanked is None:
                break
            text = blanked
            continue
        if diagnostics:
            break
        return _Builder(source).file(tree, comments)
    raise SpecError(diagnostics)


def parse_expression(source: Source, within: tuple[Source, int] | None = None) -> nodes.Expression:
    """The tree of one expression, as in `-p shortcut='scale(0.5)'`. Raises SpecError.

    within: the source and offset where the text stands, if it is a part of another.
    """
    _check_size(source)
    _check_brackets(source)
    try:
        tree = _lark([]).parse(source.text, start="expression")
    except UnexpectedInput as error:
        raise SpecError([_syntax_error(error, source)[0]]) from None
    return _Builder(*(within or (source, 0))).top_expression(tree)


def grammar_text() -> str:
    return _packaged("resnet.lark")


def grammar_digest(grammar: str) -> str:
    """Tables of another digest are not used."""
    return f"{crc32(grammar.encode()):08x}"


def prepared_tables() -> tuple[dict[str, Any], dict[int, Any]] | None:
    """What tools/make_tables.py wrote, as lark takes it; None if it is of another grammar or another lark.

    To compute the tables takes a tenth of a second, more than all the rest of a start.
    """
    tables = json.loads(_packaged("tables.json"))
    if (tables["grammar"], tables["lark"]) != (grammar_digest(grammar_text()), lark_version):
        return None
    parser = tables["data"]["parser"]["parser"]
    parser["tokens"] = _by_number(parser["tokens"])
    parser["states"] = {int(state): _by_number(actions) for state, actions in parser["states"].items()}
    return tables["data"], _by_number(tables["memo"])


def _by_number(table: dict[str, Any]) -> dict[int, Any]:
    """JSON's keys are texts."""
    return {int(key): value for key, value in table.items()}


def _packaged(name: str) -> str:
    return resources.files("resdsl.grammars").joinpath(name).read_text(encoding="utf-8")


@cache
def _cached_lark() -> tuple[Lark, list[list[Token]]]:
    sink: list[list[Token]] = [[]]

    def keep(token: Token) -> Token:
        sink[0].append(token)
        return token

    callbacks = {"COMMENT": keep}
    tables = prepared_tables()
    if tables is None:
        return Lark(grammar_text(), **GRAMMAR_OPTIONS, lexer_callbacks=callbacks), sink
    load: Any = Lark._load_from_dict  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]
    return load(*tables, lexer_callbacks=callbacks), sink


def _lark(comments: list[Token]) -> Lark:
    """The parser; comments that it skips are appended to `comments`."""
    lark, sink = _cached_lark()
    sink[0] = comments
    return lark


def _check_size(source: Source) -> None:
    size = len(source.text.encode("utf-8", "surrogatepass"))
    if size > MAX_SOURCE_BYTES:
        raise fail(
            "source-too-large",
            f"{source.name} has {size:,} bytes; a source may have {MAX_SOURCE_BYTES:,}",
            help="say repeated units with `n * unit(…)`, or split the file with `import`",
        )


def _check_brackets(source: Source) -> None:
    depth = 0
    for match in mistakes.BRACKETS.finditer(source.text):
        bracket = match.group()
        if bracket in "({":
            depth += 1
        elif bracket in ")}":
            depth -= 1
        if depth > MAX_NESTING:
            _too_deep(Span(source, match.start(), match.end()))


def _too_deep(span: Span) -> NoReturn:
    raise fail(
        "nesting-too-deep", f"this is nested more than {MAX_NESTING} deep", span, help="name parts of it with `let`"
    )


def _check_header(source: Source) -> None:
    text = source.text
    before = re.match(r"(?:\s|#[^\n]*)*", text)
    start = before.end() if before else 0
    header = re.compile(r"resnet\b[ \t]*([\w.]*)").match(text, start)
    if header is None or not header.group(1):
        word = re.compile(r"\w*").match(text, start)
        raise fail(
            "missing-version",
            f"{source.name} does not begin with its language version",
            Span(source, start, max(word.end() if word else 0, min(start + 1, len(text)))),
            help=f"write `resnet {LANGUAGE_VERSION}` on the first line",
        )
    version = header.group(1)
    if version != str(LANGUAGE_VERSION):
        newer = f"; a newer one may read {version}" if version[0].isdigit() else ""
        raise fail(
            "wrong-version",
            f"language version {version[:12]} is not known to this resdsl",
            Span(source, header.start(1), header.end(1)),
            help=f"this resdsl reads `resnet {LANGUAGE_VERSION}`{newer}",
        )


def _blank_clause(text: str, position: int) -> str | None:
    """The text with the clause around `position` replaced by blanks; None if it cannot be told what to drop."""
    line_start = text.rfind("\n", 0, position) + 1
    starts = [match.start() for match in _SYNC.finditer(text)]
    if text[line_start:position].strip() == "":
        begin = line_start
    else:
        begin = max((start for start in starts if start <= position), default=-1)
    if begin < 0 or re.match(r"[ \t]*(\}|unit\b|network\b|\"\"\")", text[begin:]):
        return None
    end = min((start for start in starts if start > max(position, begin)), default=len(text))
    return text[:begin] + re.sub(r"[^\n]", " ", text[begin:end]) + text[end:]


def _syntax_error(error: UnexpectedInput, source: Source) -> tuple[Diagnostic, int, int]:
    """The diagnostic, where the error is, and where the clause ends or goes wrong that must be dropped for it."""
    if isinstance(error, UnexpectedCharacters):
        position = error.pos_in_stream or 0
        return mistakes.stray_character(source, position), position, position
    end = len(source.text)
    if isinstance(error, UnexpectedEOF):
        return mistakes.early_end(source, set(error.expected)), end, end
    assert isinstance(error, UnexpectedToken)
    token, expected = error.token, set(error.accepts or error.expected)
    if token.type == "$END":
        return mistakes.early_end(source, expected), end, end
    start = token.start_pos or 0
    diagnostic = mistakes.unexpected(source, start, max(token.end_pos or 0, start + 1), token.type, expected)
    assert diagnostic.span is not None
    line_start = source.text.rfind("\n", 0, start) + 1
    follows_unfinished = not mistakes.clauses_of(expected)[0] and _SYNC.match(source.text, line_start)
    if diagnostic.span.start < start or (follows_unfinished and not source.text[line_start:start].strip()):
        return diagnostic, start, len(source.text[: diagnostic.span.start].rstrip()) - 1
    return diagnostic, start, start


_Child: TypeAlias = Tree[Token] | Token | None
"""What stands in lark's trees: None for an optional part that is not there."""


class _Builder:
    """Turns lark's tree of one source into nodes."""

    def __init__(self, source: Source, offset: int = 0) -> None:
        self.source = source
        self.offset = offset

    def span(self, tree: Tree[Token]) -> Span:
        return Span(self.source, self.offset + tree.meta.start_pos, self.offset + tree.meta.end_pos)

    def token_span(self, token: Token) -> Span:
        start = token.start_pos or 0
        return Span(self.source, self.offset + start, self.offset + (token.end_pos or start))

    def file(self, tree: Tree[Token], comments: list[Token]) -> nodes.File:
        self.check_depth(tree)
        children = tree.children
        items = tuple(self.item(child) for child in children[2:] if isinstance(child, Tree))
        kept = tuple(nodes.Comment(str(token).rstrip(), self.token_span(token)) for token in comments)
        return nodes.File(int(_token(children[1])), items, kept, self.source)

    def top_expression(self, tree: Tree[Token]) -> nodes.Expression:
        self.check_depth(tree)
        return self.expression(tree)

    def check_depth(self, root: Tree[Token]) -> None:
        pending = [(root, 0)]
        while pending:
            tree, depth = pending.pop()
            if depth > MAX_NESTING:
                _too_deep(self.span(tree))
            pending += [(child, depth + 1) for child in tree.children if isinstance(child, Tree)]

    def item(self, tree: Tree[Token]) -> nodes.Item:
        children = tree.children
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
        for parameter in _tree(child).children:
            if parameter is None:
                continue
            tree = _tree(parameter)
            name, default = tree.children
            value = None if default is None else self.expression(default)
            result.append(nodes.Parameter(str(_token(name)), value, self.span(tree)))
        return tuple(result)

    def body(self, children: list[_Child]) -> tuple[nodes.BodyItem, ...]:
        return tuple(self.body_item(_tree(child)) for child in children)

    def body_item(self, tree: Tree[Token]) -> nodes.BodyItem:
        match tree.data:
            case "let":
                return self.let(tree)
            case "assert":
                _, test, message = tree.children
                return nodes.Assert(self.expression(test), self.message(_token(message)), self.span(tree))
            case kind:
                children = tree.children
                tap = self.expression(children[3]) if len(children) > 3 and children[3] is not None else None
                return nodes.Clause(nodes.ClauseKind(kind), self.expression(children[1]), tap, self.span(tree))

    def let(self, tree: Tree[Token]) -> nodes.Let:
        _, name, value = tree.children
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
                parts.append(parse_expression(Source(self.source.name, part), within=(self.source, start + 1)))
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
            name, value = tree.children
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
        children = tree.children
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

    def override(self, tree: Tree[Token]) -> nodes.Override:
        word, *arguments = tree.children
        return nodes.Override(str(word) == "first", self.arguments(list(arguments)), self.span(tree))


def _tree(child: _Child) -> Tree[Token]:
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
