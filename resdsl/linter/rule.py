"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from resdsl.diagnostics import Fix, Severity
from resdsl.linter.subject import LintedFile, LintedNetwork
from resdsl.source import Span


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says about one place.

    spans: where it is written, then what brought it there, innermost first; the first in the linted file is shown.
    network: the one that it is about, if any. Findings of one rule in one place, about several networks, are told once: the
    most severe, and of these the one of the largest `amount`, whatever the rule measures.
    """

    severity: Severity
    message: str
    spans: tuple[Span, ...]
    network: LintedNetwork | None = None
    label: str = ""
    help: str = ""
    fix: Fix | None = None
    amount: float = 0.0


class Mends(Enum):
    """What a rule's fixes do, if it has any."""

    NOTHING = "no fix"
    SAFE = "a safe fix"
    UNSAFE = "an unsafe fix"


Check = Callable[[LintedFile], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """code: as in SC001. name: as in shortcut-scale. check: what it finds in a file. page: what its page says, Markdown."""

    code: str
    name: str
    check: Check
    page: str
    mends: Mends

    @property
    def summary(self) -> str:
        """The first sentence of its page."""
        return self.page.partition("\n")[0]
