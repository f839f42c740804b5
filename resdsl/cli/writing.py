"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from pathlib import Path

from resdsl.diagnostics import fail


def write(data: bytes, out: str) -> None:
    """Writes a file whole or not at all; `-` is standard output. Raises SpecError if it cannot be written."""
    if out == "-":
        if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
            raise fail("unwritable", "standard output is closed")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    if out.endswith(("/", os.sep)):
        raise fail("unwritable", f"{out} is a folder", help="name a file with `-o`")
    path = Path(out).resolve()
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            if path.is_dir():
                raise fail("unwritable", f"{out} is a folder", help="name a file with `-o`")
            path.write_bytes(data)
            return
        if path.exists() and not os.access(path, os.W_OK):  # replacing it would ask its folder alone
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        _replace(path, data)
    except OSError as error:
        if not path.parent.is_dir():
            raise fail("unwritable", f"{out} cannot be written: there is no folder {path.parent}") from None
        raise fail("unwritable", f"{out} cannot be written: {error.strerror or error}") from None


def _replace(path: Path, data: bytes) -> None:
    mask = os.umask(0)
    os.umask(mask)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~mask
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
