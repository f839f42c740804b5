"""Which files are meant: files, folders, patterns, `std/NAME`, `-`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from resdsl.diagnostics import Diagnostic, SpecError
from resdsl.linter.config import Configurations
from resdsl.linter.patterns import covers, is_pattern, literal_folder
from resdsl.semantics.program import STANDARD
from resdsl.spec import spec_path

ENDING = ".resnet"
NAMELESS = "<stdin>"
"""What standard input is called, unless it has a name."""
SKIPPED = frozenset(
    ("__pycache__", "__pypackages__", "_build", "buck-out", "build", "dist", "node_modules", "site-packages", "venv")
)
"""Folders that are not looked into unless they are named, as with ruff; nor those whose name begins with a dot."""


class Origin(Enum):
    """Where a file's text comes from."""

    DISK = "the user's files"
    PACKAGE = "resdsl itself"
    INPUT = "standard input"


@dataclass(frozen=True, slots=True)
class File:
    """A file to lint. path: where it is, or counts as being. folder: whose configuration holds for it."""

    path: Path
    folder: Path
    origin: Origin = Origin.DISK


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What is not there or cannot be read. name: as it was given."""

    name: str
    diagnostic: Diagnostic


@dataclass(frozen=True, slots=True)
class Empty:
    """A folder without files to lint."""

    name: str


@dataclass(frozen=True, slots=True)
class Excluded:
    """Standard input, where the configuration excludes it."""


def files(
    arguments: tuple[str, ...], configurations: Configurations, stdin: str = "", *, force_exclude: bool = False
) -> Iterator[File | Unreadable | Empty | Excluded]:
    """What the arguments mean, each file once, in their order. Raises SpecError for a configuration that is wrong.

    stdin: the name of standard input, if it has one. force_exclude: whether what the configuration excludes is left out
    even if it is named.
    """
    seen: set[str] = set()
    for argument in arguments:
        for found in _meant(argument, configurations, stdin):
            if isinstance(found, File):
                real = "-" if found.origin is Origin.INPUT else os.path.realpath(found.path)
                if real in seen:
                    continue
                if force_exclude and configurations.of(found.folder).excludes_above(found.path):
                    if found.origin is Origin.INPUT:
                        seen.add(real)
                        yield Excluded()
                    continue
                seen.add(real)
            yield found


def _meant(argument: str, configurations: Configurations, stdin: str) -> Iterator[File | Unreadable | Empty]:
    path = Path(argument)
    if argument == "-":
        standing = Path(stdin or NAMELESS)
        yield File(standing, standing.parent, Origin.INPUT)
    elif argument.startswith(STANDARD) and not (argument.endswith(ENDING) and path.is_file()):
        try:
            yield File(spec_path(argument), Path(), Origin.PACKAGE)
        except SpecError as error:
            yield from (Unreadable(argument, diagnostic) for diagnostic in error.diagnostics)
    elif os.path.isdir(path):
        yield from list(_below(path, configurations)) or [Empty(argument)]
    elif is_pattern(argument) and not os.path.lexists(path):
        yield from _matching(argument, configurations)
    elif argument.endswith(".json") and os.path.isfile(path):
        yield Unreadable(argument, no_document(argument))
    else:
        yield File(path, path.parent)


def no_document(name: str) -> Diagnostic:
    """What is said of a JSON document."""
    return Diagnostic("unreadable", f"{name}: the linter reads {ENDING} files, no documents")


def _matching(pattern: str, configurations: Configurations) -> Iterator[File | Unreadable]:
    """The files that a pattern means. One without a slash means those of the current folder."""
    rooted = pattern if "/" in pattern else f"./{pattern}"
    nothing = True
    for found in _below(literal_folder(pattern), configurations):
        if isinstance(found, Unreadable) or covers(rooted, found.path, Path()):
            nothing = False
            yield found
    if nothing:
        yield Unreadable(pattern, Diagnostic("unreadable", f"no {ENDING} file matches {pattern}"))


def _below(folder: Path, configurations: Configurations) -> Iterator[File | Unreadable]:
    """The files of a folder and of those in it, sorted."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        reason = error.strerror or str(error)
        yield Unreadable(str(folder), Diagnostic("unreadable", f"{folder} cannot be read: {reason}"))
        return
    configuration = configurations.of(folder)
    for entry in entries:
        path = folder / entry.name
        if configuration.excludes(path):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith(".") and entry.name not in SKIPPED:
                yield from _below(path, configurations)
        elif entry.name.endswith(ENDING) and _may_be_file(entry):
            yield File(path, folder)


def _may_be_file(entry: os.DirEntry[str]) -> bool:
    """Also if it cannot be looked at: reading it says why."""
    try:
        return entry.is_file()
    except OSError:
        return True
