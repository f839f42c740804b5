"""What to say about a text that is no `.resnet` file: one diagnostic for each way to go wrong.

Tokens have the names of the grammar; `expected` are those that could have stood in a place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set

from resdsl.diagnostics import Diagnostic, did_you_mean
from resdsl.source import Source, Span
from resdsl.syntax.nodes import ClauseKind

RESERVED = ("if", "else", "and", "or", "not", "true", "false")
CLAUSE_WORDS = (*(kind.value for kind in ClauseKind), "let", "assert")
ITEM_WORDS = ("import", "unit", "network", "let")

_COMMON = ("norm", "act", "init", "let", "assert")
_UNIT_CLAUSES = ("placement", "branch", "shortcut", "projection", "after", *_COMMON)
_NETWORK_CLAUSES = ("input", "stem", "stage", "head", *_COMMON)
_SYMBOLS = {"LPAR": "(", "RPAR": ")", "LBRACE": "{", "RBRACE": "}", "COMMA": ",", "EQUAL": "=", "DOT": "."}
_OTHERS = {"STRING": 'a "text"', "INT": "a whole number", "_ELSE": "`else`", "RESNET": "`resnet 1`"}
_VALUE_STARTS = {"NAME", "INT", "FLOAT", "SIZE", "LPAR", "SIGN"}
_VALUE_ENDS = {"SIGN", "FACTOR"}
"""Expected where a value may end, or go on; of what may follow, only what ends it is told."""
BRACKETS = re.compile(r"#[^\n]*|\"\"\"[\s\S]*?\"\"\"|\"[^\"\n]*\"|[({]|[)}]")
_SHOWN = 40

_INSTEAD = {
    **dict.fromkeys("→⟶⇒➔", "write `->`"),
    **dict.fromkeys("×✕", "write `x` in a size and `*` in a product"),
    **dict.fromkeys("‐‑‒–—−", "write `-`"),
    **dict.fromkeys("'‘’‚“”„«»`", 'a text stands between `"`'),
    "[": "write `(`",
    "]": "write `)`",
    ":": "a clause is its word and its value: `stem conv(3x3, 16)`; an argument is `name = value`",
    ";": "nothing stands between clauses",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=` between values",
    "^": "write `**`",
    "·": "write `*`",
    "÷": "write `/`",
    "\\": "a clause may go on in the next line as it is",
}


def open_brackets(text: str, end: int | None = None) -> list[int]:
    """Where the brackets and braces begin that are open at `end`; comments and texts are passed over."""
    opened: list[int] = []
    for match in BRACKETS.finditer(text, 0, len(text) if end is None else end):
        if match.group() in "({":
            opened.append(match.start())
        elif match.group() in ")}" and opened:
            opened.pop()
    return opened


def _unclosed(source: Source, end: int) -> tuple[str, ...]:
    """A note for the innermost bracket or brace that is open at `end`."""
    opened = open_brackets(source.text, end)
    if not opened:
        return ()
    return (f"`{source.text[opened[-1]]}` at {Span(source, opened[-1], opened[-1] + 1)} is not closed",)


def stray_character(source: Source, position: int) -> Diagnostic:
    """For a place where no token begins."""
    text, character = source.text, source.text[position]
    span = Span(source, position, position + 1)
    if text.startswith('"""', position):
        return _syntax("this docstring is not closed", Span(source, position, position + 3), help='close it with `"""`')
    if character == '"':
        return _syntax("this text is not closed", span, help='close it with `"` on the same line')
    if character in "0123456789":
        word = re.compile(r"[\w.]+").match(text, position)
        assert word is not None
        help = "numbers are 3, 0.5 and 1e-5, sizes 3x3; names begin with a letter"
        message = f"`{_short(word.group())}` is not a number or a size"
        return _syntax(message, Span(source, position, word.end()), help=help)
    if character.isalnum() or character == "_":
        start = position
        while start > 0 and re.match(r"\w", text[start - 1]):
            start -= 1
        word = re.compile(r"\w+").match(text, start)
        assert word is not None
        help = "names are letters from a to z, digits and _, and begin with a letter"
        return _syntax(f"`{_short(word.group())}` is not a name", Span(source, start, word.end()), help=help)
    shown = f"`{character}`"
    if not character.isprintable() or character.isspace() or unicodedata.combining(character):
        shown = f"the character U+{ord(character):04X} ({unicodedata.name(character, 'without a name').lower()})"
    return _syntax(f"{shown} has no meaning in a .resnet file", span, help=_INSTEAD.get(character, ""))


def early_end(source: Source, expected: Set[str]) -> Diagnostic:
    """For a text that ends where it must go on."""
    end = len(source.text.rstrip())
    notes = _unclosed(source, len(source.text)) if expected & {"RBRACE", "RPAR"} else ()
    help = "close it with `}`" if "RBRACE" in expected else ""
    message = f"the text ends too early{_wanted(expected)}"
    return _syntax(message, Span(source, max(0, end - 1), end), notes=notes, help=help)


def unexpected(source: Source, start: int, end: int, kind: str, expected: Set[str]) -> Diagnostic:
    """For a token that cannot stand where it does."""
    span = Span(source, start, end)
    word = span.text
    body, clauses = clauses_of(expected)
    if word in RESERVED and "NAME" in expected:
        return _syntax(f"`{word}` is reserved and cannot be a name", span)
    if body and (word in ("import", "unit", "network") or kind == "DOCSTRING"):
        notes = _unclosed(source, start)
        return _syntax(f"`{_short(word)}` cannot stand in a {body}", span, notes=notes, help="close it with `}`")
    if body and word in {*_UNIT_CLAUSES, *_NETWORK_CLAUSES} - {*clauses}:
        other = "network" if body == "unit" else "unit"
        return _syntax(f"`{word}` is a clause of a {other}, and this is a {body}", span, help=_listed(body, clauses))
    if body and kind == "FROM":
        return _syntax("`from` stands behind a shortcut or a projection only", span)
    if kind == "COMPARATOR" and "_AND" in expected:
        return _syntax("comparisons do not chain", span, help="join them with `and`: `a < b and b < c`")
    words = {name.lower() for name in expected if name.lower() in (*CLAUSE_WORDS, *ITEM_WORDS, "from")}
    words |= {"first", "last"} if "FIRST" in expected else set()
    label = did_you_mean(word, words) if re.fullmatch(r"\w+", word) else ""
    message, help = f"`{_short(word)}` cannot stand here{_wanted(expected)}", ""
    before = _word_before(source, start)
    if kind == "NAME" and body and not source.text[source.text.rfind("\n", 0, start) + 1 : start].strip():
        message, help = f"`{_short(word)}` is no clause of a {body}", "" if label else _listed(body, clauses)
    elif body and expected >= _VALUE_ENDS and before is not None:
        return _syntax(f"`{before.text}` cannot stand here: the clause before it is not complete", before)
    elif expected >= _VALUE_ENDS and kind == "NAME" and not label and "RPAR" not in expected:
        help = "operators are joined with `->`"
    notes: tuple[str, ...] = ()
    if "RPAR" in expected and (kind == "RBRACE" or word in (*CLAUSE_WORDS, *ITEM_WORDS)):
        notes = _unclosed(source, start)
    return _syntax(message, span, label=label, notes=notes, help=help)


def _syntax(message: str, span: Span, *, label: str = "", notes: tuple[str, ...] = (), help: str = "") -> Diagnostic:
    return Diagnostic("syntax", message, span, label, notes, help)


def clauses_of(expected: Set[str]) -> tuple[str, tuple[str, ...]]:
    """`unit` or `network`, with its clauses, where one may begin; otherwise nothing."""
    if {"STEM", "STAGE"} <= expected:
        return "network", _NETWORK_CLAUSES
    if {"BRANCH", "SHORTCUT"} <= expected:
        return "unit", _UNIT_CLAUSES
    return "", ()


def _listed(body: str, clauses: tuple[str, ...]) -> str:
    return f"a {body} has {', '.join(clauses)}"


def _word_before(source: Source, start: int) -> Span | None:
    """The word before `start`, if it begins a line as a clause does: it was read as a value there."""
    match = re.search(r"(?:^|\n)[ \t]*(\w+)\s*\Z", source.text[max(0, start - 200) : start])
    if match is None or match.group(1) not in CLAUSE_WORDS:
        return None
    offset = max(0, start - 200)
    return Span(source, offset + match.start(1), offset + match.end(1))


def _wanted(expected: Set[str]) -> str:
    """`: expected …`: what could have stood in a place; where a value may end, not how it could go on."""
    parts: list[str] = []
    left = set(expected)
    if left >= _VALUE_STARTS:
        parts.append("a value")
        left -= _VALUE_STARTS
    elif left >= _VALUE_ENDS:
        left -= {"DOT", "LPAR"}
    body, _ = clauses_of(left)
    if body:
        parts.append(f"a clause of a {body}")
    elif {"UNIT", "NETWORK"} <= left:
        parts.append("import, unit, network or let" if "IMPORT" in left else "unit or network")
    if "NAME" in left:
        parts.append("a name")
    parts += [words for name, words in _OTHERS.items() if name in left]
    parts += [f"`{symbol}`" for name, symbol in _SYMBOLS.items() if name in left]
    if "$END" in left and not parts:
        parts.append("the end")
    return f": expected {' or '.join(parts)}" if parts else ""


def _short(word: str) -> str:
    line = word.split("\n", 1)[0]
    return line if len(line) <= _SHOWN and line == word else line[: _SHOWN - 3] + "…"
