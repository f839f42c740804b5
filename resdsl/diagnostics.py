"""What is told to the user about a source: a Diagnostic, with a place and a way out.

A mistake of the user's is a Diagnostic; it travels in a SpecError. A mistake of ours is any other exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum

from resdsl.source import Span

MAX_SHOWN_LINE = 160
MAX_SHOWN_NOTES = 8


class Severity(Enum):
    """From the least to the most severe."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Edit:
    """`text` in the place of what stands at `span`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that mend a finding, all or none. message: what they do, as in `remove the import`.

    safe: the networks of the file stay what they are. Other fixes change what is computed.
    """

    message: str
    edits: tuple[Edit, ...]
    safe: bool


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    code: what kind of defect, stable over versions: words joined by dashes, or a rule's code as in SC001. name: the
    rule's name, empty for what is no rule's. message: what is wrong. label: a few words to stand under the caret.
    notes: where it comes from. help: what to write instead.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    notes: tuple[str, ...] = ()
    help: str = ""
    severity: Severity = Severity.ERROR
    name: str = ""
    fix: Fix | None = None

    def render(self, *, all_notes: bool = False) -> str:
        """Text for a terminal: the message, the line with carets, notes and help. Long lists of notes lose their middle
        unless `all_notes` is set.
        """
        kind = f"{self.code} {self.name}".rstrip()
        lines = [f"{self.severity.value}[{kind}]: {self.message}"]
        gutter = ""
        if self.span is not None:
            gutter, excerpt = _excerpt(self.span, self.label)
            lines += excerpt
        notes = self.notes
        if len(notes) > MAX_SHOWN_NOTES and not all_notes:
            notes = (*notes[: MAX_SHOWN_NOTES - 2], f"… {len(notes) - MAX_SHOWN_NOTES + 1} more …", notes[-1])
        lines += [f"{gutter} = {note}" for note in notes]
        if self.help:
            lines.append(f"{gutter} = help: {self.help}")
        return "\n".join(lines)


class SpecError(Exception):
    """Raised when a spec, its parameters or its weights have errors. `diagnostics` holds all that were found."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n\n".join(d.render() for d in self.diagnostics))


def fail(
    code: str, message: str, span: Span | None = None, *, label: str = "", notes: Iterable[str] = (), help: str = ""
) -> SpecError:
    """A SpecError of one diagnostic, to be raised by the caller."""
    return SpecError([Diagnostic(code, message, span, label, tuple(notes), help)])


@contextmanager
def noting(note: str) -> Generator[None]:
    """Adds a note to the errors that are raised inside: where they come from."""
    try:
        yield
    except SpecError as error:
        raise SpecError([replace(d, notes=(*d.notes, note)) for d in error.diagnostics]) from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean `x`?`` for the known word nearest to `word`, or an empty string."""
    by_lower = {name.lower(): name for name in sorted(set(known), reverse=True)}
    near = [by_lower[name] for name in difflib.get_close_matches(word.lower(), sorted(by_lower), n=1, cutoff=0.6)]
    return f"did you mean `{near[0]}`?" if near else ""


def _excerpt(span: Span, label: str) -> tuple[str, list[str]]:
    line, column = span.source.line_column(span.start)
    text = span.source.line_text(line)
    width = max(1, min(span.end - span.start, len(text) - column + 1))
    cut = max(0, column - 1 - MAX_SHOWN_LINE // 2) if len(text) > MAX_SHOWN_LINE else 0
    shown = "".join(c if c.isprintable() else " " for c in text[cut : cut + MAX_SHOWN_LINE])
    carets = "^" * min(width, max(1, len(shown) - (column - 1 - cut)))
    gutter = " " * (len(str(line)) + 1)
    return gutter, [
        f"{gutter[:-1]}--> {span}",
        f"{gutter}|",
        f"{line} | {shown}",
        f"{gutter}| {' ' * (column - 1 - cut)}{carets} {label}".rstrip(),
    ]
