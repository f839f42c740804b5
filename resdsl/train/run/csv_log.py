"""A run's log as a table for spreadsheets: log.csv, one line for each line of log.jsonl."""

from __future__ import annotations

import csv
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from resdsl.diagnostics import fail
from resdsl.train.run import log
from resdsl.train.run.events import Evaluated, Event, Logged, Started

NAME = "log.csv"
COLUMNS = ("kind", "iteration", "epoch", "rate", "loss", "error", "samples_per_second", "is_best")


class CsvLog:
    """A listener. A run that goes on has its table written anew from its log, without what is repeated. Raises SpecError if it
    cannot be written.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / NAME

    def __call__(self, event: Event) -> None:
        match event:
            case Started(run=run, iteration=iteration):
                with self._open("w") as stream:
                    csv.writer(stream).writerow(COLUMNS)
                for each in log.history(run, iteration) if iteration else ():
                    self._append(each)
            case Logged() | Evaluated():
                self._append(event)
            case _:
                pass

    def _append(self, event: Logged | Evaluated) -> None:
        kind = next(name for name, each in log.KINDS.items() if isinstance(event, each))
        with self._open("a") as stream:
            csv.DictWriter(stream, COLUMNS, restval="").writerow({"kind": kind} | asdict(event))

    @contextmanager
    def _open(self, mode: str) -> Generator[TextIO]:
        try:
            with self.path.open(mode, encoding="utf-8", newline="") as stream:
                yield stream
        except OSError as error:
            raise fail("unwritable", f"{self.path} cannot be written: {error.strerror or error}") from None
