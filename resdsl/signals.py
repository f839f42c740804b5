"""Signals that end the program, where a half-done piece of work has to be taken back or finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def leaving() -> Generator[None]:
    """SIGTERM and SIGHUP raise SystemExit(128 + number) inside, as Ctrl-C raises KeyboardInterrupt.

    Those that are ignored (nohup) or handled already stay as they are, and so do all outside of the main thread, where
    Python sets no handlers.
    """
    ours = [number for number in ENDING if _is_main() and signal.getsignal(number) is signal.SIG_DFL]

    def leave(number: int, _: FrameType | None) -> None:
        for each in ours:  # a second one would interrupt what takes back
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def waiting() -> Generator[None]:
    """Ctrl-C and what `leaving` turns into an exception wait until the block is left. In the main thread, as there."""
    came: list[int] = []
    before = {
        number: handler
        for number in (signal.SIGINT, *ENDING)
        if _is_main() and callable(handler := signal.getsignal(number))
    }
    for number in before:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
