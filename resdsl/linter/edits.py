"""Edits applied to a text, so that a removal leaves no empty line and no blanks behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from resdsl.diagnostics import Edit
from resdsl.source import Span
from resdsl.syntax import nodes

_BLANKS = " \t"


def removal(file: nodes.File, span: Span) -> Iterator[Edit]:
    """Takes out what stands at a span, but for the comments in it: these stay, each on a line of its own."""
    yield from replacement(file, span, "")


def replacement(file: nodes.File, span: Span, text: str) -> Iterator[Edit]:
    """`text` in the place of what stands at a span. The comments in it stay: the first behind the text, if there is one,
    the others each on a line of its own.
    """
    source = span.source
    line, _ = source.line_column(span.start)
    start, indentation = span.start, _indentation(source.line_text(line))
    for comment in file.comments:
        if span.start <= comment.span.start < span.end:
            yield Edit(
                Span(source, start, comment.span.start), indentation if start != span.start else text and f"{text}  "
            )
            start = source.text.index("\n", comment.span.start) + 1
    if start != span.start:
        start += len(_indentation(source.text[start : span.end]))
        text = ""
    yield Edit(Span(source, start, span.end), text)


def overlap(first: Edit, second: Edit) -> bool:
    """Whether two edits get into each other's way; what is put in does where another change begins or ends."""
    one, other = first.span, second.span
    if one.start < one.end and other.start < other.end:
        return one.start < other.end and other.start < one.end
    return one.start <= other.end and other.start <= one.end


def line_break(text: str) -> str:
    """What ends the lines of a text."""
    return "\r\n" if "\r\n" in text else "\n"


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text with edits that do not overlap, its line endings kept.

    A line that a removal empties goes, and a blank line behind it that would stand behind another, or at the head of a
    body. Elsewhere a removal takes along the blanks that would stand behind others or at the end of the line.
    """
    result = ""
    end = 0
    places: list[int] = []
    for edit in sorted(edits, key=lambda edit: edit.span.start):
        result += text[end : edit.span.start]
        if not edit.text:
            places.append(len(result))
        result += edit.text.replace("\n", line_break(text))
        end = edit.span.end
    return _tidied(result + text[end:], places)


def _tidied(text: str, places: list[int]) -> str:
    """The text without the traces of what was removed at these places."""
    lines = text.split("\n")
    emptied: set[int] = set()
    for place in reversed(places):
        number, start = text.count("\n", 0, place), text.rfind("\n", 0, place) + 1
        line = lines[number].removesuffix("\r")
        ending = lines[number][len(line) :]
        before, behind = line[: place - start], line[place - start :]
        line = before + (behind.lstrip(_BLANKS) if not before or before[-1] in _BLANKS else behind)
        lines[number] = line.rstrip(_BLANKS) + ending
        if not line.strip(_BLANKS):
            emptied.add(number)
    kept: list[str] = []
    for number, line in enumerate(lines):
        if number in emptied:
            continue
        needs_no_blank = number - 1 in emptied and (not kept or kept[-1].strip()[-1:] in ("", "{"))
        if line.strip() or not needs_no_blank:
            kept.append(line)
    if len(lines) - 1 in emptied:  # there was no line break at the end, and none is left
        while kept[-1].strip() == "":
            kept.pop()
        kept[-1] = kept[-1].removesuffix("\r")
    return "\n".join(kept)


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip(_BLANKS))]
