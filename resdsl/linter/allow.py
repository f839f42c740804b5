"""Writing suppressions: what is found in a file today, allowed where it stands."""

from __future__ import annotations

import re
from pathlib import Path

from resdsl.diagnostics import Diagnostic, Edit, Severity
from resdsl.linter.edits import applied
from resdsl.linter.run import lint_source
from resdsl.linter.select import Selection
from resdsl.linter.suppressions import GROUP, Allowed, closing_bracket, suppressions
from resdsl.source import Source, Span
from resdsl.spec import Options
from resdsl.syntax.parser import parse_file

_WHOLE = re.compile(r'#[^\n]*|(?P<docstring>"""[\s\S]*?""")|"[^"\n]*"')
"""What the lexer takes as a whole: a quote in a comment begins no docstring."""


def add_allow(
    source: Source,
    path: Path | None,
    selection: Selection,
    options: Options,
    reason: str,
    least: Severity = Severity.WARNING,
) -> tuple[str, int]:
    """The source with comments that allow what is found in it, from warnings and `least` up; and how many findings that are.

    A comment stands above the line that it speaks of, or behind it where that line begins in a docstring. One that
    speaks of the line already gets the names. What the rules about suppressions say stays. reason: empty for none. A
    file that does not check is left as it is.
    """
    found = lint_source(source, path, selection, options)
    if any(not diagnostic.name for diagnostic in found):
        return source.text, 0
    lines: dict[int, list[Diagnostic]] = {}
    for diagnostic in found:
        if diagnostic.severity.rank >= max(Severity.WARNING.rank, least.rank) and not diagnostic.code.startswith(GROUP):
            lines.setdefault(_span(diagnostic).location().line, []).append(diagnostic)
    tree = parse_file(source)
    known = {each.lines[-1]: each for each in suppressions(tree) if each.lines is not None and each.rule}
    edits = [
        _extended(known[line], told, reason) if line in known else _new(source, line, told, reason)
        for line, told in lines.items()
    ]
    text = applied(source.text, edits)
    assert parse_file(Source(source.name, text)) == tree, "the comments have changed what the file says"
    return text, sum(len(told) for told in lines.values())


def _extended(last: Allowed, told: list[Diagnostic], reason: str) -> Edit:
    """More names behind the last of a comment."""
    text = last.comment.source.text[last.comment.start : last.span.end]
    reasons = "; ".join(dict.fromkeys(each for each in (last.reason, reason) if each))
    return Edit(last.comment, f"{text}, {_names(told)}{_bracketed(reasons)}")


def _new(source: Source, line: int, told: list[Diagnostic], reason: str) -> Edit:
    comment = f"# resdsl: allow {_names(told)}{_bracketed(reason)}"
    text = source.line_text(line).removesuffix("\r")
    first = _span(told[0]).start
    start = first - source.line_column(first)[1] + 1
    docstrings = [match.span() for match in _WHOLE.finditer(source.text) if match["docstring"]]

    def is_free(place: int) -> bool:
        return not any(begin < place < end for begin, end in docstrings)

    if is_free(start):
        indentation = text[: len(text) - len(text.lstrip())]
        return Edit(Span(source, start, start), f"{indentation}{comment}\n")
    if is_free(start + len(text)):
        return Edit(Span(source, start + len(text.rstrip()), start + len(text)), f"  {comment}")
    return Edit(Span(source, first, first), f"\n{comment}\n")


def _span(diagnostic: Diagnostic) -> Span:
    assert diagnostic.span is not None, "rules say where"
    return diagnostic.span


def _names(told: list[Diagnostic]) -> str:
    return ", ".join(dict.fromkeys(diagnostic.name for diagnostic in told))


def _bracketed(reason: str) -> str:
    """The reason in brackets, on one line; its own become others if they do not match."""
    text = f" ({' '.join(reason.split())})" if reason.strip() else ""
    if closing_bracket(text, 1) == len(text) or not text:
        return text
    return f" ({text[2:-1].replace('(', '[').replace(')', ']')})"
