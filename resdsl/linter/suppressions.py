"""`# resdsl: allow shortcut-conv (reason)`: which findings an author has seen and means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from resdsl.source import Span
from resdsl.syntax import nodes

GROUP = "SU"
"""How the codes of the rules about suppressions begin."""
_ALLOW = re.compile(r"#\s*resdsl:\s*allow(?P<file>-file)?(?![\w-])(?P<rules>[^(#]*)", re.IGNORECASE)
_OTHER = re.compile(r"#\s*resdsl:\s*+(?!allow(?:-file)?(?![\w-]))(?P<word>[^\s#(]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Allowed:
    """One rule in a suppression comment, as it is written; empty if the comment names none.

    lines: those that it speaks of, its own first; None for the whole file. span: of the rule's name. comment: of the
    whole suppression, with its `#`. reason: without its brackets.
    """

    rule: str
    lines: range | None
    span: Span
    comment: Span
    reason: str

    def speaks_of(self, first: int, last: int) -> bool:
        """Whether it speaks of one of these lines."""
        return self.lines is None or (self.lines.start <= last and first < self.lines.stop)


def suppressions(file: nodes.File) -> list[Allowed]:
    """All that a file's comments allow, in order.

    A comment behind code speaks of its own line, one on a line of its own of the next line that is neither blank nor a
    comment, and of the comments on the way there: what is wrong with these can be allowed too. Where that line begins a
    docstring, it speaks of all lines to the name behind it.
    """
    documented = _documented(file)
    found: list[Allowed] = []
    for comment in file.comments:
        begin, text = comment.span.start, comment.text
        match = _ALLOW.search(text)
        while match is not None:
            end = closing_bracket(text, match.end())
            reason = text[match.end() : end][1:-1].strip()
            whole = Span(file.source, begin + match.start(), begin + len(text[:end].rstrip()))
            lines = None if match["file"] else _lines_meant(comment, documented)
            names = list(re.finditer(r"[^\s,]+", match["rules"]))
            for name in names:
                start = begin + match.start("rules") + name.start()
                span = Span(file.source, start, start + len(name.group()))
                found.append(Allowed(name.group(), lines, span, whole, reason))
            if not names:
                found.append(Allowed("", lines, whole, whole, reason))
            match = _ALLOW.search(text, end)
    return found


def closing_bracket(text: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`; `start` itself if none stands there or it stays open."""
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth <= 0:
            return place + 1 if place > start else start
    return start


def other_words(file: nodes.File) -> list[Span]:
    """What follows `# resdsl:` in comments and is no suppression, as `ignore`; all of it where nothing follows."""
    found: list[Span] = []
    for comment in file.comments:
        for match in _OTHER.finditer(comment.text):
            part = "word" if match.group("word") else 0
            start, end = (comment.span.start + offset for offset in match.span(part))
            found.append(Span(file.source, start, end))
    return found


def _documented(file: nodes.File) -> dict[int, int]:
    """The lines on which declarations with a docstring begin, with those on which their names stand."""
    declared = [item for item in file.items if isinstance(item, nodes.Unit | nodes.Network | nodes.Alias) and item.doc]
    return {item.span.location().line: item.name.span.location().line for item in declared}


def _lines_meant(comment: nodes.Comment, documented: Mapping[int, int]) -> range:
    source = comment.span.source
    line, column = source.line_column(comment.span.start)
    if source.line_text(line)[: column - 1].strip():
        return range(line, line + 1)
    following = line + 1
    while following <= source.lines and _is_idle(source.line_text(following)):
        following += 1
    return range(line, documented.get(following, following) + 1)


def _is_idle(text: str) -> bool:
    return not text.strip() or text.lstrip().startswith("#")
