"""`# resdsl: allow shortcut-conv (reason)`: which findings an author has seen and means."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resdsl.source import Span
from resdsl.syntax import nodes

_ALLOW = re.compile(r"#\s*resdsl:\s*allow(?P<file>-file)?\b(?P<rules>[^(#]*)(?P<reason>\([^#]*\))?")


@dataclass(frozen=True, slots=True)
class Allowed:
    """One rule in a suppression comment, as it is written. line: the line that it speaks of, None for the whole file.

    span: of the rule's name. comment: of the whole suppression, with its `#`. reason: without its brackets.
    """

    rule: str
    line: int | None
    span: Span
    comment: Span
    reason: str


def suppressions(file: nodes.File) -> list[Allowed]:
    """All that a file's comments allow, in order.

    A comment behind code speaks of its own line, one on a line of its own of the next line that is neither blank nor a
    comment.
    """
    found: list[Allowed] = []
    for comment in file.comments:
        for match in _ALLOW.finditer(comment.text):
            start = comment.span.start + match.start()
            text = match.group().rstrip()
            whole = Span(file.source, start, start + len(text))
            line = None if match.group("file") else _line_meant(file, comment)
            reason = (match.group("reason") or "").strip("()").strip()
            names = list(re.finditer(r"[^\s,]+", match.group("rules")))
            for name in names:
                begin = comment.span.start + match.start("rules") + name.start()
                found.append(
                    Allowed(name.group(), line, Span(file.source, begin, begin + len(name.group())), whole, reason)
                )
            if not names:
                found.append(Allowed("", line, whole, whole, reason))
    return found


def _line_meant(file: nodes.File, comment: nodes.Comment) -> int:
    source = file.source
    line, column = source.line_column(comment.span.start)
    if source.line_text(line)[: column - 1].strip():
        return line
    following = line + 1
    while following <= source.lines and _is_idle(source.line_text(following)):
        following += 1
    return following


def _is_idle(text: str) -> bool:
    return not text.strip() or text.lstrip().startswith("#")
