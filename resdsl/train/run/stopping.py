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
"""Steps between two times that several processes agree on stopping, on GPUs, which run ahead of each other otherwise. On CPUs a
step may take seconds, and torchrun waits for half a minute after SIGTERM: there they agree after each.
"""
WARNING = tuple(getattr(signal, name) for name in ("SIGUSR1",) if hasattr(signal, name))
"""What schedulers are asked to send some time before the end: `sbatch --signal=USR1@120`."""


class Stopping:
    """Whether to stop: asked after each step. signal: the first one that came, None before."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._steps = 0

    def __call__(self) -> bool:
        self._steps += 1
        if not dist.is_initialized():
            return self.signal is not None
        if "nccl" in dist.get_backend_config() and self._steps % ASKED_EVERY:
            return False
        came = torch.tensor(self.signal or 0)
        dist.all_reduce(came, dist.ReduceOp.MAX)  # on the CPU, for which no process waits for its GPU
        self.signal = int(came) or None
        return self.signal is not None

    def alone(self) -> bool:
        """Whether to stop in the middle of an evaluation: several processes end it together, and stop at a step."""
        return self.signal is not None and not dist.is_initialized()


@contextmanager
def stopping() -> Generator[Stopping]:
    """Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 stop at the next step inside. Ctrl-C after any of them ends the program at once, as
    ever; the others, which schedulers send in a row, do no more.

    Outside of the main thread, where Python sets no handlers, nothing stops.
    """
    stops = Stopping()
    numbers = (signal.SIGINT, *ENDING, *WARNING) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}

    def stop(number: int, _: FrameType | None) -> None:
        if stops.signal is None:
            stops.signal = number
        if signal.SIGINT in before:
            signal.signal(signal.SIGINT, before[signal.SIGINT])

    for number in before:
        signal.signal(number, stop)
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
