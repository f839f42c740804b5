"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from resdsl.diagnostics import SpecError, fail
from resdsl.signals import leaving, waiting


@dataclass(frozen=True, slots=True)
class Output:
    """Where something is written, whole or not at all.

    beside: from an ending to a file of the output's name with that ending behind it, as its name and a stream; None
    where the output is no file in a folder.
    """

    stream: BinaryIO
    beside: Callable[[str], tuple[str, BinaryIO]] | None = None


def write(data: bytes, out: str) -> None:
    """Writes a file whole or not at all; `-` is standard output. Raises SpecError if it cannot be written."""
    with writing(out) as output:
        output.stream.write(data)


@contextmanager
def writing(out: str) -> Generator[Output]:
    """A stream whose bytes are the file `out` once the block is left, and files beside it; none of them if it fails.

    `-` is standard output. What is not a file (a pipe, a device) is written as it comes. A link is written through, and
    nothing can be written beside one that leads to another folder. SIGTERM and SIGHUP are SystemExit inside. Raises
    SpecError if a file cannot be written; an OSError that names a file is not about these, and passes.
    """
    if not out:
        raise fail("unwritable", "the name of the output is empty", help="name a file with `-o`")
    if out == "-":
        if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise fail("unwritable", "standard output is closed")
        yield Output(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    if out.endswith(("/", os.sep)):
        raise _is_folder(out)
    given = Path(out)
    try:
        path = given.resolve()
        special = given.exists() and not path.is_file()  # of a pipe in /dev/fd, only the name that is given exists
    except OSError as error:
        raise _unwritable(out, given, error) from None
    except RuntimeError:  # Path.resolve's, before Python 3.13
        raise fail("unwritable", f"{out} cannot be written: it is a link that leads to itself") from None
    if path.is_dir():
        raise _is_folder(out)
    with leaving(), _into_stream(out, given) if special else _in_place(out, path) as output:
        yield output


@contextmanager
def _into_stream(out: str, path: Path) -> Generator[Output]:
    try:
        stream = path.open("wb")
    except OSError as error:
        raise _unwritable(out, path, error) from None
    try:
        with stream:
            yield Output(stream)
    except OSError as error:
        if error.filename is not None:
            raise
        raise _unwritable(out, path, error) from None


@dataclass(frozen=True, slots=True)
class _Pending:
    """A file that will stand at `path`."""

    path: Path
    temporary: Path
    mode: int
    stream: BinaryIO


@contextmanager
def _in_place(out: str, path: Path) -> Generator[Output]:
    pending: list[_Pending] = []

    def opened(out: str, path: Path) -> BinaryIO:
        try:
            with waiting():
                pending.append(_open(path))
        except OSError as error:
            raise _unwritable(out, path, error) from None
        return pending[-1].stream

    def beside(ending: str) -> tuple[str, BinaryIO]:
        if Path(out).parent.resolve() != path.parent:
            message = f"{out} is a link to {path}, and a file beside that is not found through the link"
            raise fail("external-data", message, help=f"`-o {path}`")
        name = path.name + ending
        return name, opened(str(Path(out).with_name(name)), path.with_name(name))

    try:
        yield Output(opened(out, path), beside)
        for file in pending:
            file.stream.close()
            os.chmod(file.temporary, file.mode)
    except BaseException as error:
        _give_up(pending)
        if not isinstance(error, OSError) or error.filename not in (None, *(str(file.temporary) for file in pending)):
            raise
        raise _unwritable(out, path, error) from None
    try:
        with waiting():
            _replace(pending)
    except BaseException as error:
        _give_up(pending)
        if not isinstance(error, OSError):
            raise
        raise _unwritable(out, path, error) from None


def _open(path: Path) -> _Pending:
    if path.exists():
        if not path.is_file():
            raise FileExistsError(errno.EEXIST, "it is there already, and no file")
        if not os.access(path, os.W_OK):  # replacing it would ask its folder alone
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        mode = stat.S_IMODE(path.stat().st_mode)
    else:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    return _Pending(path, Path(name), mode, os.fdopen(handle, "wb"))


def _replace(pending: list[_Pending]) -> None:
    """Puts all files in place or none, by a rename each, the first one last.

    A new pair is not read before its first file stands. Where a pair is replaced, a reader between the renames finds the old
    first file with nothing beside it or with what is new; and of two that write one pair at once, each may place one file.
    """
    first, *others = pending
    placed: list[tuple[Path, Path | None]] = []
    try:
        for file in others:
            placed.append((file.path, _set_aside(file.path)))
            os.replace(file.temporary, file.path)
        os.replace(first.temporary, first.path)
    except BaseException:
        for path, before in placed:
            if before is None:
                path.unlink(missing_ok=True)
            else:
                os.replace(before, path)
        raise
    for _, before in placed:
        if before is not None:
            before.unlink(missing_ok=True)


def _set_aside(path: Path) -> Path | None:
    """Where that file stands now, under a name that no other has; None if there is none."""
    if not path.exists():
        return None
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".before", dir=path.parent)
    os.close(handle)
    try:
        os.replace(path, name)
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)


def _give_up(pending: list[_Pending]) -> None:
    for file in pending:
        with suppress(OSError):  # what is still in its buffer has no place to go
            file.stream.close()
        file.temporary.unlink(missing_ok=True)


def is_same_file(out: str, read: str) -> bool:
    """Whether writing to `out` would replace the file `read`."""
    try:
        return out != "-" and os.path.isfile(out) and os.path.samefile(out, read)
    except OSError:
        return False


def _is_folder(out: str) -> SpecError:
    return fail("unwritable", f"{out} is a folder", help="name a file with `-o`")


def _unwritable(out: str, path: Path, error: OSError) -> SpecError:
    if not path.parent.is_dir():
        return fail("unwritable", f"{out} cannot be written: there is no folder {path.parent}")
    return fail("unwritable", f"{out} cannot be written: {error.strerror or error}")
