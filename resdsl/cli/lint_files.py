"""What `resdsl lint` does with each file: lint it, mend it, show or write what changes."""

from __future__ import annotations

import codecs
import difflib
import gc
import io
import os
import signal
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TypeAlias

import click

from resdsl.cli.options import decoded, standard_input
from resdsl.diagnostics import Diagnostic, Severity, SpecError, fail
from resdsl.linter.allow import add_allow
from resdsl.linter.files import NAMELESS, Empty, Excluded, File, Origin, Unreadable, no_document
from resdsl.linter.fix import fix_source
from resdsl.linter.run import lint_source
from resdsl.linter.select import Selection
from resdsl.linter.told import Told
from resdsl.semantics.program import read_source
from resdsl.source import Source
from resdsl.spec import Options
from resdsl.writing import write

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


ANSWERING = (Mode.FIX, Mode.ALLOW)
"""Standard output gets the text of standard input, whatever it is."""


@dataclass(frozen=True, slots=True)
class Task:
    """A file and the rules for it."""

    file: File
    selection: Selection


Job: TypeAlias = Task | Unreadable | Empty | Excluded


@dataclass(slots=True)
class Work:
    """What has been done with the files so far.

    least: what is less severe is not told. files: how many there were. told: what is wrong in them. changes: how many
    findings were mended or allowed, or would be. changed: in how many files. on_stdout: whether the text of one of them
    went there. input: standard input as it was mended. failed: why a file could not be written, or standard input not
    be read.
    """

    mode: Mode
    options: Options
    unsafe: bool
    reason: str
    least: Severity = Severity.NOTE
    files: int = 0
    told: dict[tuple[str, str], Told] = field(default_factory=dict[tuple[str, str], Told])
    changes: int = 0
    changed: int = 0
    on_stdout: bool = False
    input: Source | None = None
    failed: dict[str, tuple[Diagnostic, ...]] = field(default_factory=dict[str, tuple[Diagnostic, ...]])

    def do_all(self, tasks: Sequence[Job]) -> None:
        """All of them in order; where they are many and nothing is changed, on every core."""
        cores = os.cpu_count() or 1
        if self.mode is not Mode.REPORT or cores == 1 or len(tasks) < MANY:
            for task in tasks:
                self.do(task)
            if self.mode is Mode.FIX and self.changed and len(tasks) > 1:
                self.tell_again(tasks)
            return
        with ProcessPoolExecutor(cores, initializer=_start) as pool:
            mine = [task for task in tasks if isinstance(task, Task) and task.file.origin is not Origin.INPUT]
            found = pool.map(partial(_lint_task, options=self.options), mine, chunksize=CHUNK)
            for task in tasks:
                if isinstance(task, Task) and task.file.origin is not Origin.INPUT:
                    self.files += 1
                    self.tell(str(task.file.path), next(found))
                else:
                    self.do(task)

    def do(self, task: Job) -> None:
        match task:
            case Empty(name):
                click.echo(f"warning: there is no .resnet file in {name}", err=True)
            case Excluded():
                if self.mode in ANSWERING:
                    self.on_stdout = True
                    write(standard_input(), "-")
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
            if diagnostic.severity.rank >= self.least.rank:
                self.told.setdefault((told.file, diagnostic.render(all_notes=True)), told)

    def by_place(self) -> list[Told]:
        """What is told, file by file, each from its beginning; first what has no place in it."""
        order = {name: number for number, name in enumerate(dict.fromkeys(told.file for told in self.told.values()))}

        def place(told: Told) -> tuple[int, int, int]:
            where = told.location
            return order[told.file], where.line if where else 0, where.column if where else 0

        return sorted(self.told.values(), key=place)

    def do_file(self, file: File, selection: Selection) -> None:
        is_answered = self.mode in ANSWERING and file.origin is Origin.INPUT
        self.on_stdout |= is_answered
        data = standard_input() if file.origin is Origin.INPUT else b""
        try:
            source, mark = _read(file, data)
            with _reading(source.name):
                text, count, found = self.outcome(source, _standing(file), selection)
        except SpecError as error:
            if is_answered:
                self.failed[str(file.path)] = error.diagnostics
                write(data, "-")
            raise
        if self.mode is Mode.DIFF:
            write(encoded("".join(_difference(source.name, mark + source.text, mark + text))), "-")
        elif is_answered:
            self.input = Source(source.name, text)
            write(encoded(mark + text), "-")
        elif text != source.text:
            try:
                write(encoded(mark + text), str(file.path))
            except SpecError as error:
                self.failed[source.name] = error.diagnostics
                self.tell(source.name, error.diagnostics)
                count, found = 0, self.left(source, file, selection) if self.mode is Mode.FIX else found
        self.tell(source.name, found)
        self.changes += count
        self.changed += count > 0

    def tell_again(self, tasks: Sequence[Job]) -> None:
        """What is left once all are mended: a file may import one that was mended after it."""
        self.told.clear()
        for task in tasks:
            if isinstance(task, Unreadable):
                self.tell(task.name, (task.diagnostic,))
            if not isinstance(task, Task):
                continue
            name = str(task.file.path)
            self.tell(name, self.failed.get(name, ()))
            try:
                source = self.input if task.file.origin is Origin.INPUT else _read(task.file)[0]
                self.tell(name, self.left(source, task.file, task.selection) if source is not None else ())
            except SpecError as error:
                self.tell(name, error.diagnostics)

    def left(self, source: Source, file: File, selection: Selection) -> list[Diagnostic]:
        """What is found in a source, without the fixes that were tried in vain. Raises SpecError."""
        with _reading(source.name):
            fixed = fix_source(source, _standing(file), selection, self.options, unsafe=self.unsafe, least=self.least)
            if fixed.text == source.text:
                return fixed.remaining
            return lint_source(source, _standing(file), selection, self.options)

    def outcome(self, source: Source, path: Path | None, selection: Selection) -> tuple[str, int, list[Diagnostic]]:
        """The text of a file afterwards, how many findings were mended or allowed, and what is told."""
        match self.mode:
            case Mode.REPORT:
                return source.text, 0, lint_source(source, path, selection, self.options)
            case Mode.FIX | Mode.DIFF:
                fixed = fix_source(source, path, selection, self.options, unsafe=self.unsafe, least=self.least)
                told = fixed.remaining if self.mode is Mode.FIX else _errors(fixed.remaining)
                return fixed.text, fixed.applied, told
            case Mode.ALLOW:
                text, count = add_allow(source, path, selection, self.options, self.reason, self.least)
                return text, count, _errors(lint_source(source, path, selection, self.options))


def _lint_task(task: Task, options: Options) -> list[Diagnostic]:
    try:
        source, _ = _read(task.file)
        with _reading(source.name):
            return lint_source(source, task.file.path, task.selection, options)
    except SpecError as error:
        return list(error.diagnostics)


def _start() -> None:
    """In a process that lints for another: that one ends it when it is interrupted, and files leave little garbage."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(100_000)


@contextmanager
def _reading(name: str) -> Generator[None]:
    """What a file imports may be out of reach too. Raises SpecError."""
    try:
        yield
    except OSError as error:
        raise fail("unreadable", f"{error.filename or name} cannot be read: {error.strerror or error}") from None
    except RuntimeError as error:  # of Path.resolve, before Python 3.13
        if not str(error).startswith("Symlink loop"):
            raise
        raise fail("unreadable", f"{name} cannot be read: {error}") from None


def _standing(file: File) -> Path | None:
    return None if str(file.path) == NAMELESS else file.path


def _read(file: File, data: bytes = b"") -> tuple[Source, str]:
    """The source and its byte order mark, if it has one, which is no part of the text. Raises SpecError.

    data: what standard input holds, if that is the file.
    """
    if file.origin is Origin.INPUT:
        source = decoded(data, str(file.path))
        if source.text.lstrip().startswith("{"):
            raise SpecError([no_document(source.name)])
        return source, "\ufeff" if data.startswith(codecs.BOM_UTF8) else ""
    source = read_source(file.path)
    with _reading(source.name), file.path.open("rb") as stream:
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
