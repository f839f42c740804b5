"""One process at a time trains in a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from resdsl.diagnostics import SpecError, fail

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None

NAME = ".lock"
WITHOUT = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a file system says that knows no locks."""


@contextmanager
def held(folder: Path) -> Generator[None]:
    """The folder, made if it is not there, is this process's. The system takes the lock back from a process that ends, however
    it ends. Where the system or the file system has no locks, nothing is held. Raises SpecError if another process has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / NAME).open("a+b")
    except OSError as error:
        raise fail("unwritable", f"{folder} cannot be written: {error.strerror or error}") from None
    with stream:
        _lock(stream, folder)
        yield


def _lock(stream: BinaryIO, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _taken(stream, folder) from None
    except OSError as error:
        if error.errno in WITHOUT:
            return
        raise fail("unwritable", f"{folder / NAME} cannot be locked: {error.strerror or error}") from None
    stream.truncate(0)
    stream.write(f"{os.getpid()} {_host()}\n".encode())
    stream.flush()


def _taken(stream: BinaryIO, folder: Path) -> SpecError:
    stream.seek(0)
    process, _, host = stream.read(200).decode(errors="replace").strip().partition(" ")
    who = f"process {process} on {host}" if process.isdecimal() and host else "another process"
    return fail(
        "run-in-progress", f"{who} trains in {folder}", help="wait until it has ended, or name another folder with `-o`"
    )


def _host() -> str:
    return os.uname().nodename
