"""Where the grammar and the packaged specs lie: beside the package in a checkout, inside it once installed."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def packaged(name: str) -> Path:
    """The folder `grammars` or `specs`.

    In a checkout that is not installed in place, Python may find this package beside them rather than around them.
    """
    found = find_spec(f"resdsl.{name}")
    if found is not None and found.origin is not None:
        return Path(found.origin).parent
    return Path(__file__).parent.parent / name
