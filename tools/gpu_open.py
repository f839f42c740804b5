"""Trying something that may not work here, and saying so in a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gpu_rows import Failed, Rows, Skipped

from resdsl.diagnostics import SpecError

T = TypeVar("T")

ABSENT = ("missing-", "unsupported-option", "unsupported-capability", "old-driver")
"""How the codes of errors begin that say what is not here, and nothing about what is."""


def attempt(work: Callable[[], T], part: str, what: str, rows: Rows) -> T | None:
    """What `work` returns; None where it fails, and a row says why.

    An error of CUDA is raised again: nothing computes in a process after it.
    """
    try:
        return work()
    except SpecError as error:
        is_absent = error.diagnostics[0].code.startswith(ABSENT)
        rows.tell((Skipped if is_absent else Failed)(part, what, described(error)))
    except Exception as error:
        rows.tell(Failed(part, what, described(error)))
        if is_lasting(error):
            raise SystemExit(f"{what}: CUDA does not go on after an error") from None
    return None


def described(error: BaseException) -> str:
    """In one line."""
    if isinstance(error, SpecError):
        found = error.diagnostics[0]
        return f"{found.message} ({found.help})" if found.help else found.message
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]


def is_lasting(error: Exception) -> bool:
    """Whether CUDA is of no more use in this process. Running out of memory is no such error."""
    name, text = type(error).__name__, str(error)
    return name != "OutOfMemoryError" and (name == "AcceleratorError" or "CUDA error" in text)
