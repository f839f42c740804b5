"""A log beside log.jsonl: no run ends because of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from resdsl.diagnostics import Severity, SpecError
from resdsl.train.run.events import Event, Noticed

Listener = Callable[[Event], None]


class SideLog:
    """A listener for a listener that may fail, with SpecError. Where it does, that is told once, and it is told no more."""

    def __init__(self, log: Listener, tell: Listener) -> None:
        self._log: Listener | None = log
        self._tell = tell

    def __call__(self, event: Event) -> None:
        if self._log is None:
            return
        try:
            self._log(event)
        except SpecError as error:
            self._log = None
            first = error.diagnostics[0]
            message = f"{first.message}; the run goes on without it"
            self._tell(Noticed(replace(first, message=message, severity=Severity.WARNING)))
