"""Patterns of paths, as in `exclude` and in `resdsl lint 'specs/**/*.resnet'`."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

_MAGIC = re.compile(r"[*?\[]")
_TOKEN = re.compile(r"(?P<folders>\*\*/)|(?P<all>\*\*)|(?P<some>\*)|(?P<one>\?)|\[(?P<set>!?\]?[^\]]*)\]|(?P<character>.)", re.DOTALL)  # fmt: skip


def is_pattern(text: str) -> bool:
    return _MAGIC.search(text) is not None


def literal_folder(pattern: str) -> Path:
    """The folder that a pattern begins in: all before the first part with a `*`, `?` or `[`."""
    folder = Path()
    for part in Path(pattern).parts[:-1]:
        if is_pattern(part):
            break
        folder /= part
    return folder


def matches(pattern: str, path: Path, folder: Path) -> bool:
    """Whether a pattern means a path.

    A pattern with a slash counts from `folder`; one without means every file or folder of that name. `*` and `?` stand
    for characters of a name, `**` for any number of folders.
    """
    parts = Path(os.path.relpath(path, folder)).parts
    if "/" not in pattern.rstrip("/"):
        return bool(parts) and _expression(pattern.rstrip("/")).fullmatch(parts[-1]) is not None
    return _expression(os.path.relpath(folder / pattern, folder)).fullmatch("/".join(parts)) is not None


def covers(pattern: str, path: Path, folder: Path) -> bool:
    """Whether a pattern means a path or a folder that it is in."""
    parts = Path(os.path.relpath(path, folder)).parts
    return any(matches(pattern, folder.joinpath(*parts[: end + 1]), folder) for end in range(len(parts)))


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    written: list[str] = []
    for token in _TOKEN.finditer(pattern):
        match token.lastgroup:
            case "folders":
                written.append("(?:[^/]+/)*")
            case "all":
                written.append(".*")
            case "some":
                written.append("[^/]*")
            case "one":
                written.append("[^/]")
            case "set":
                characters = token.group("set")
                negated = characters.startswith("!")
                inside = re.sub(r"([\\\[\]^&~|])", r"\\\1", characters[negated:])
                written.append(f"[{'^/' if negated else ''}{inside}]" if inside else re.escape(token.group()))
            case _:
                written.append(re.escape(token.group()))
    try:
        return re.compile("".join(written), re.DOTALL)
    except re.error:  # a set that is none, as [z-a]
        return re.compile(re.escape(pattern))
