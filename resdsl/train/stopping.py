"""Ending a run between two steps, so that it can be resumed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import torch
import torch.distributed as dist

from resdsl.signals import ENDING

ASKED_EVERY = 10
"""Steps between two times that several processes agree on stopping."""


class Stopping:
    """Whether to stop: asked after each step. signal: the one that came, None before."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._steps = 0

    def __call__(self) -> bool:
        self._steps += 1
        if not dist.is_initialized():
            return self.signal is not None
        if self._steps % ASKED_EVERY:
            return False
        came = torch.tensor(self.signal or 0, device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.all_reduce(came, dist.ReduceOp.MAX)
        self.signal = int(came) or None
        return self.signal is not None


@contextmanager
def stopping() -> Generator[Stopping]:
    """Ctrl-C, SIGTERM and SIGHUP stop at the next step inside; a second one ends the program at once, as ever.

    Outside of the main thread, where Python sets no handlers, nothing stops.
    """
    stops = Stopping()
    numbers = (signal.SIGINT, *ENDING) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}

    def stop(number: int, _: FrameType | None) -> None:
        stops.signal = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, stop)
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
