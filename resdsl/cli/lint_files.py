"""What `resdsl lint` does with each file: lint it, mend it, show or write what changes."""

from __future__ import annotations

import codecs
import difflib
import io
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path

import click

from resdsl.cli.options import decoded, standard_input
from resdsl.cli.writing import write
from resdsl.diagnostics import Diagnostic, SpecError
from resdsl.linter.allow import add_allow
from resdsl.linter.files import NAMELESS, Empty, File, Origin, Unreadable
from resdsl.linter.fix import fix_source
from resdsl.linter.run import lint_source
from resdsl.linter.select import Selection
from resdsl.linter.told import Told
from resdsl.semantics.program import read_source
from resdsl.source import Source
from resdsl.spec import Options

MANY = 64
"""Files; fewer are linted sooner than a second process starts."""
CHUNK = 16
"""Files that a process takes at once."""


class Mode(Enum):
    """What is done with a file."""

    REPORT = "say what is found"
    FIX = "mend it, and say what is left"
    DIFF = "show what mending it would change"
    ALLOW = "write comments that allow what is found"


@dataclass(frozen=True, slots=True)
class Task:
    """A file and the rules for it."""

    file: File
    selection: Selection


@dataclass(slots=True)
class Work:
    """What has been done with the files so far.

    files: how many there were. told: what is wrong in them. changes: how many findings were mended or allowed, or would
    be. changed: in how many files. on_stdout: whether the text of one of them went there.
    """

    mode: Mode
    options: Options
    unsafe: bool
    reason: str
    files: int = 0
    told: dict[tuple[str, str], Told] = field(default_factory=dict[tuple[str, str], Told])
    changes: int = 0
    changed: int = 0
    on_stdout: bool = False

    def do_all(self, tasks: Sequence[Task | Unreadable | Empty]) -> None:
        """All of them in order; where they are many and nothing is changed, on every core."""
        cores = os.cpu_count() or 1
        if self.mode is not Mode.REPORT or cores == 1 or len(tasks) < MANY:
            for task in tasks:
                self.do(task)
            return
        with ProcessPoolExecutor(cores, initializer=_ignore_interrupts) as pool:
            mine = [task for task in tasks if isinstance(task, Task) and task.file.origin is not Origin.INPUT]
            found = pool.map(partial(_lint_task, options=self.options), mine, chunksize=CHUNK)
            for task in tasks:
                if isinstance(task, Task) and task.file.origin is not Origin.INPUT:
                    self.files += 1
                    self.tell(str(task.file.path), next(found))
                else:
                    self.do(task)

    def do(self, task: Task | Unreadable | Empty) -> None:
        match task:
            case Empty(name):
                click.echo(f"warning: there is no .resnet file in {name}", err=True)
            case Unreadable(name, diagnostic):
                self.files += 1
                self.tell(name, (diagnostic,))
            case Task(file, selection):
                self.files += 1
                try:
                    self.do_file(file, selection)
                except SpecError as error:
                    self.tell(str(file.path), error.diagnostics)

    def tell(self, name: str, diagnostics: Iterable[Diagnostic]) -> None:
        """What several files show of one that they import is told once."""
        for diagnostic in diagnostics:
            told = Told(name, diagnostic)
            self.told.setdefault((told.file, diagnostic.render(all_notes=True)), told)

    def do_file(self, file: File, selection: Selection) -> None:
        source, mark = _read(file)
        path = None if str(file.path) == NAMELESS else file.path
        text, count, found = self.outcome(source, path, selection)
        if self.mode is Mode.DIFF:
            write(encoded("".join(_difference(source.name, mark + source.text, mark + text))), "-")
        elif self.mode is not Mode.REPORT and file.origin is Origin.INPUT:
            self.on_stdout = True
            write(encoded(mark + text), "-")
        elif text != source.text:
            write(encoded(mark + text), str(file.path))
        self.tell(source.name, found)
        self.changes += count
        self.changed += count > 0

    def outcome(self, source: Source, path: Path | None, selection: Selection) -> tuple[str, int, list[Diagnostic]]:
        """The text of a file afterwards, how many findings were mended or allowed, and what is told."""
        match self.mode:
            case Mode.REPORT:
                return source.text, 0, lint_source(source, path, selection, self.options)
            case Mode.FIX | Mode.DIFF:
                fixed = fix_source(source, path, selection, self.options, unsafe=self.unsafe)
                told = fixed.remaining if self.mode is Mode.FIX else _errors(fixed.remaining)
                return fixed.text, fixed.applied, told
            case Mode.ALLOW:
                text, count = add_allow(source, path, selection, self.options, self.reason)
                return text, count, _errors(lint_source(source, path, selection, self.options))


def _lint_task(task: Task, options: Options) -> list[Diagnostic]:
    try:
        source, _ = _read(task.file)
        return lint_source(source, task.file.path, task.selection, options)
    except SpecError as error:
        return list(error.diagnostics)


def _ignore_interrupts() -> None:
    """The process that waits for the others ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _read(file: File) -> tuple[Source, str]:
    """The source and its byte order mark, if it has one, which is no part of the text. Raises SpecError."""
    if file.origin is Origin.INPUT:
        data = standard_input()
        return decoded(data, str(file.path)), "\ufeff" if data.startswith(codecs.BOM_UTF8) else ""
    source = read_source(file.path)
    with file.path.open("rb") as stream:
        return source, "\ufeff" if stream.read(3) == codecs.BOM_UTF8 else ""


def _errors(found: list[Diagnostic]) -> list[Diagnostic]:
    """What is no rule's."""
    return [diagnostic for diagnostic in found if not diagnostic.name]


def _difference(name: str, before: str, after: str) -> Iterator[str]:
    """A unified diff, as `patch` reads it."""
    old, new = (list(io.StringIO(text, newline="\n")) for text in (before, after))
    for line in difflib.unified_diff(old, new, name, name):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def encoded(text: str) -> bytes:
    """Names of files that are no text are escaped."""
    return text.encode("utf-8", "backslashreplace")
