"""Text to tree: with builder.py, the only importer of lark.

Several syntax errors are found in one run: after an error the clause that holds it is blanked out, offsets unchanged,
and the rest is read again.
"""

from __future__ import annotations

import json
import re
from functools import cache
from operator import itemgetter
from typing import Any
from zlib import crc32

from lark import Lark, Token, Tree
from lark import __version__ as lark_version
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from resdsl._packaged import packaged
from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.source import Source, Span
from resdsl.syntax import mistakes, nodes
from resdsl.syntax.builder import MAX_NESTING, Builder, too_deep

LANGUAGE_VERSION = 1
GRAMMAR_OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "contextual",
    "start": ["file", "expression"],
    "propagate_positions": True,
    "maybe_placeholders": True,
}
MAX_SOURCE_BYTES = 256 * 1024
MAX_SYNTAX_ERRORS = 10
MAX_RECOVERY_CHARACTERS = 32 * 1024
"""Above this length only the first syntax error is reported: each further one reads the text once more."""

_SYNC = re.compile(
    rf"^[ \t]*(?:(?:{'|'.join(mistakes.CLAUSE_WORDS)})\b|\}}|(?:unit|network|import)\b|\"\"\")", re.MULTILINE
)
"""Where a clause, a declaration or the end of one begins a line."""
_GOES_ON = re.compile(r"(?:[-+*/%<>=,]|\b(?:if|else|and|or|not|from))[ \t\r]*(?:#[^\n]*)?\Z")
_CARRIES_ON = re.compile(r"\s*(?:[-+*/%<>=,)]|(?:if|else|and|or|first|last|from)\b)")
"""A line that goes on in the next, and a line that carries the one before it on."""


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
            tree = _parse(text, "file", comments)
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
        return Builder(source, 0, _parse_part).file(tree, comments)
    raise SpecError(diagnostics)


def parse_expression(source: Source, within: tuple[Source, int] | None = None) -> nodes.Expression:
    """The tree of one expression, as in `-p shortcut='scale(0.5)'`. Raises SpecError.

    within: the source and offset where the text stands, if it is a part of another.
    """
    _check_size(source)
    _check_brackets(source)
    try:
        tree = _parse(source.text, "expression", [])
    except UnexpectedInput as error:
        raise SpecError([_syntax_error(error, source)[0]]) from None
    standing_in, offset = within or (source, 0)
    return Builder(standing_in, offset, _parse_part).top_expression(tree)


def _parse_part(text: str, source: Source, offset: int) -> nodes.Expression:
    return parse_expression(Source(source.name, text), within=(source, offset))


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
    return (packaged("grammars") / name).read_text(encoding="utf-8")


@cache
def _cached_lark() -> tuple[Lark, list[list[Token]]]:
    sink: list[list[Token]] = [[]]

    def keep(token: Token) -> Token:
        sink[0].append(token)
        return token

    callbacks = {"COMMENT": keep}
    tables = prepared_tables()
    if tables is None:
        lark: Any = Lark(grammar_text(), **GRAMMAR_OPTIONS, lexer_callbacks=callbacks)
    else:
        load: Any = Lark._load_from_dict  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]
        lark = load(*tables, lexer_callbacks=callbacks)
    _pass_on(lark.parser.parser.parser.callbacks)
    return lark, sink


def _pass_on(callbacks: dict[Any, Any]) -> None:
    """Lets rules that only pass on their one child do just that: lark would also copy positions, a quarter of all time."""
    for rule in callbacks:
        child = getattr(rule, "expansion", ())
        if len(child) == 1 and not child[0].is_term and rule.options.expand1 and rule.alias is None:
            callbacks[rule] = itemgetter(0)


def _parse(text: str, start: str, comments: list[Token]) -> Tree[Token]:
    """Lark's tree; comments that it skips are appended to `comments`."""
    lark, sink = _cached_lark()
    sink[0] = comments
    parser: Any = lark  # lark's own signature has unknown parts
    return parser.parse(text, start=start)


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
            too_deep(Span(source, match.start(), match.end()))


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


def _line_end(text: str, begin: int, position: int) -> int:
    """Where the line that begins at `begin` ends, behind `position`; brackets and operators carry it on to the next."""
    depth = 0
    while begin < len(text):
        end = text.find("\n", begin)
        end = len(text) if end < 0 else end
        brackets = [match.group() for match in mistakes.BRACKETS.finditer(text, begin, end)]
        depth += sum(bracket in "({" for bracket in brackets) - sum(bracket in ")}" for bracket in brackets)
        if (
            end >= position
            and depth <= 0
            and not _GOES_ON.search(text, begin, end)
            and not _CARRIES_ON.match(text, end)
        ):
            return end
        begin = end + 1
    return len(text)


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
    end = min(end, _line_end(text, begin, position))
    return text[:begin] + re.sub(r"[^\n]", " ", text[begin:end]) + text[end:]


def _syntax_error(error: UnexpectedInput, source: Source) -> tuple[Diagnostic, int, int]:
    """The diagnostic, where the error is, and where the clause ends or goes wrong that must be dropped for it."""
    details: Any = error  # lark does not type these
    if isinstance(error, UnexpectedCharacters):
        position: int = details.pos_in_stream or 0
        return mistakes.stray_character(source, position), position, position
    end = len(source.text)
    if isinstance(error, UnexpectedEOF):
        return mistakes.early_end(source, set(details.expected)), end, end
    assert isinstance(error, UnexpectedToken)
    token: Token = details.token
    expected: set[str] = set(details.accepts or details.expected)
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
