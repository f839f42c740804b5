"""How long training takes: the time of steps, not of evaluations, nor of saving."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lap:
    """Time of steps since the last line of the log. A process's first step, which compiles, is left out of both."""

    seconds: float = 0.0
    steps: int = 0


class Clock:
    """Runs between `go` and `pause`. seconds: of all steps, first ones as well. lap: see Lap."""

    def __init__(self, seconds: float = 0.0, lap: Lap = Lap()) -> None:
        self.seconds, self.lap = seconds, lap
        self._since: float | None = None
        self._steps = 0
        self._first = 0.0

    def go(self) -> None:
        self._since = time.perf_counter()

    def step(self, finish: Callable[[], None]) -> None:
        """A step has been given to the device. finish: waits until it is done; called for the first step alone."""
        if self._first:
            self._steps += 1
            return
        finish()
        self._first = max(self._elapsed(), 1e-9)
        self.seconds += self._first

    def restart(self) -> None:
        """A new lap, while it stands still."""
        self.lap = Lap()

    def pause(self) -> None:
        """The steps so far must be done."""
        took = self._elapsed()
        self._since = None
        self.seconds += took
        self.lap = Lap(self.lap.seconds + took, self.lap.steps + self._steps)
        self._steps = 0

    def speed(self, batch: int) -> float:
        """Samples per second of the lap; where it is a process's first step and no more, of that. While it stands still."""
        return batch * self.lap.steps / self.lap.seconds if self.lap.steps else batch / self._first

    @contextmanager
    def aside(self, finish: Callable[[], None]) -> Generator[None]:
        """It stands still inside. finish: waits until all steps are done."""
        finish()
        self.pause()
        try:
            yield
        finally:
            self.go()

    def _elapsed(self) -> float:
        """Since the last time that it was asked."""
        if self._since is None:
            return 0.0
        now = time.perf_counter()
        took, self._since = now - self._since, now
        return took
