"""What was found in which file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from resdsl.diagnostics import Diagnostic
from resdsl.source import Location


@dataclass(frozen=True, slots=True)
class Told:
    """A diagnostic about a file. name: what the file is called, where the diagnostic has no place."""

    name: str
    diagnostic: Diagnostic

    @property
    def file(self) -> str:
        return self.location.file if self.location else self.name

    @property
    def location(self) -> Location | None:
        span = self.diagnostic.span
        return span.location() if span is not None else None

    def is_fixable(self, unsafe: bool) -> bool:
        """With `--fix`, and with `--unsafe-fixes` if `unsafe`."""
        fix = self.diagnostic.fix
        return fix is not None and (fix.safe or unsafe)


Found: TypeAlias = Sequence[Told]
