"""Watching a build, and ending it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

TICK = 0.1
"""Seconds between two looks at whether the build is done; signals are handled then."""


class Watcher(Protocol):
    """Is told what a builder does, from the builder's own threads. Phases lie in each other, and have different names."""

    def started(self, phase: str, steps: int) -> None: ...

    def stepped(self, phase: str, step: int) -> None: ...

    def finished(self, phase: str) -> None: ...


class _Unwatched:
    """A watcher that tells nobody."""

    def started(self, phase: str, steps: int) -> None:
        pass

    def stepped(self, phase: str, step: int) -> None:
        pass

    def finished(self, phase: str) -> None:
        pass


UNWATCHED: Watcher = _Unwatched()


def monitor(trt: Any, watcher: Watcher, stop: threading.Event, raised: list[Exception]) -> Any:
    """An IProgressMonitor of that library that tells the watcher, and ends the build once `stop` is set.

    raised: what the watcher raises comes here, and ends the build too: the library could do nothing with it.
    """

    def tell(what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as error:
            raised.append(error)
            stop.set()

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            tell(lambda: watcher.started(phase_name, num_steps))

        def step_complete(self, phase_name: str, step: int) -> bool:
            tell(lambda: watcher.stepped(phase_name, step))
            return not stop.is_set()

        def phase_finish(self, phase_name: str) -> None:
            tell(lambda: watcher.finished(phase_name))

    return Monitor()


def interruptible(build: Callable[[threading.Event], T]) -> T:
    """What `build` returns; it runs beside, so that Ctrl-C is heard at once. It is to end soon once its event is set.

    The builders ask between two steps, and some steps take seconds: the exception is raised again when it has ended.
    """
    stop = threading.Event()
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(build(stop))
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=run, name="engine")
    try:
        thread.start()  # in here: the thread may run already when Ctrl-C comes
        while not wait([future], timeout=TICK).done:
            pass
    except BaseException:
        stop.set()
        if thread.ident is not None:
            thread.join()
        raise
    thread.join()
    return future.result()
