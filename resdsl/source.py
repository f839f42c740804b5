"""Source text and places in it.

Offsets count characters from 0; lines and columns count from 1, columns in characters.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A named text. `name` is what messages call it: a path, `<stdin>` or `-p shortcut`."""

    name: str
    text: str
    _line_starts: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        starts.extend(index + 1 for index, character in enumerate(self.text) if character == "\n")
        object.__setattr__(self, "_line_starts", starts)

    def line_column(self, offset: int) -> tuple[int, int]:
        """The line and column (both from 1) of a character offset."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    @property
    def lines(self) -> int:
        """How many lines there are; the last may be empty."""
        return len(self._line_starts)

    def line_text(self, line: int) -> str:
        """The text of a line (from 1) without its line break."""
        start = self._line_starts[line - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]

    def span(self, location: Location) -> Span:
        """The characters of a location in this source."""
        start, end = (
            self._line_starts[line - 1] + column - 1
            for line, column in ((location.line, location.column), (location.end_line, location.end_column))
        )
        return Span(self, start, end)


@dataclass(frozen=True, slots=True)
class Location:
    """A range by line and column, for documents and reports that outlive the source text."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Span:
    """The characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The smallest span that holds this one and `other`, which ends later."""
        return Span(self.source, self.start, other.end)

    def location(self) -> Location:
        line, column = self.source.line_column(self.start)
        end_line, end_column = self.source.line_column(self.end)
        return Location(self.source.name, line, column, end_line, end_column)

    def __str__(self) -> str:
        line, column = self.source.line_column(self.start)
        return f"{self.source.name}:{line}:{column}"
