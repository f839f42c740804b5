"""Ctrl-C in the middle of a `resdsl train` of this process."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from resdsl.cli import train as module
from resdsl.train.run.events import Event, Logged


@contextmanager
def interrupted_at(iteration: int) -> Generator[None]:
    """Runs inside get it with the first line of their logs that is of so many steps or more."""
    together = module._together

    def interrupting(listeners: list[Callable[[Event], None]]) -> Callable[[Event], None]:
        def interrupt(event: Event) -> None:
            if isinstance(event, Logged) and event.iteration >= iteration:
                signal.raise_signal(signal.SIGINT)

        return together([*listeners, interrupt])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_together", interrupting)
        yield
