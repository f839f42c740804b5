"""`[tool.resdsl.lint]` in pyproject.toml, and which rules it and the command line choose for a file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

from resdsl.diagnostics import did_you_mean, fail, noting
from resdsl.linter.patterns import covers, matches
from resdsl.linter.select import Selection, selection
from resdsl.linter.table import RULES

FILE = "pyproject.toml"
KEYS = ("select", "ignore", "exclude", "per-file-ignores")


@dataclass(frozen=True, slots=True)
class Configuration:
    """One `[tool.resdsl.lint]`, or none. folder: that of its file, where its patterns count from.

    per_file: what is ignored in the files that a pattern means.
    """

    folder: Path
    rules: Selection = Selection()
    exclude: tuple[str, ...] = ()
    per_file: tuple[tuple[str, Selection], ...] = ()

    def excludes(self, path: Path) -> bool:
        return any(matches(pattern, path, self.folder) for pattern in self.exclude)

    def excludes_above(self, path: Path) -> bool:
        """Whether a path or a folder that it is in is excluded."""
        return any(covers(pattern, path, self.folder) for pattern in self.exclude)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says. replaces: whether it selects, so that the configuration does not."""

    rules: Selection = Selection()
    replaces: bool = False


@dataclass(slots=True)
class Configurations:
    """The configuration of each folder: that of the nearest pyproject.toml with the table, upwards from it."""

    isolated: bool = False
    _known: dict[Path, Configuration] = field(default_factory=dict[Path, Configuration])

    def of(self, folder: Path) -> Configuration:
        """Of a folder. Raises SpecError if it cannot be read or makes no sense."""
        absolute = Path(os.path.abspath(folder))
        if absolute not in self._known:
            self._known[absolute] = self._find(absolute)
        return self._known[absolute]

    def _find(self, folder: Path) -> Configuration:
        own = None if self.isolated else _read(folder)
        if own is not None:
            return own
        return Configuration(folder) if folder == folder.parent else self.of(folder.parent)


def selection_for(path: Path, configuration: Configuration, asked: Asked) -> Selection:
    """The rules for a file. As with ruff, `--select` replaces what the configuration chooses, `--ignore` adds to what it
    ignores, and what it ignores in single files stays ignored.
    """
    layers = [asked.rules] if asked.replaces else [asked.rules, configuration.rules]
    layers += [ignored for pattern, ignored in configuration.per_file if covers(pattern, path, configuration.folder)]
    return _all_of(tuple(layers))


@cache
def _all_of(layers: tuple[Selection, ...]) -> Selection:
    """The rules that all the selections have."""
    return Selection(tuple(rule.code for rule in RULES if all(layer.has(rule) for layer in layers)))


def _read(folder: Path) -> Configuration | None:
    """The configuration that a folder's own pyproject.toml holds, if it does."""
    path = folder / FILE
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if not os.path.exists(path):  # nor looked at
            return None
        raise fail("configuration", f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise fail("configuration", f"{path} is not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise fail("configuration", f"{path} is not TOML: {error}") from None
    with noting(f"in {path}"):
        tools = _table(document.get("tool", {}), "tool")
        ours = _table(tools.get("resdsl", {}), "tool.resdsl")
        _known_keys(ours, ("lint",), "tool.resdsl")
        return _configuration(folder, _table(ours["lint"], "tool.resdsl.lint")) if "lint" in ours else None


def _configuration(folder: Path, table: Mapping[str, object]) -> Configuration:
    _known_keys(table, KEYS, "tool.resdsl.lint")
    texts = {key: _texts(table[key], key) for key in KEYS[:3] if key in table}
    per_file = _table(table.get("per-file-ignores", {}), "per-file-ignores")
    return Configuration(
        folder,
        selection(texts.get("select"), texts.get("ignore", ()), RULES),
        texts.get("exclude", ()),
        tuple(
            (pattern, selection(None, _texts(words, f"per-file-ignores.{pattern}"), RULES))
            for pattern, words in per_file.items()
        ),
    )


def _known_keys(table: Mapping[str, object], known: Iterable[str], name: str) -> None:
    for key in table:
        if key not in known:
            help = did_you_mean(key, known) or f"it may hold {', '.join(known)}"
            raise fail("configuration", f"[{name}] has no key `{key}`", help=help)


def _table(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise fail("configuration", f"`{name}` must be a table")
    return cast("Mapping[str, object]", value)


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in cast("list[object]", value)):
        raise fail("configuration", f'`{name}` must be a list of texts, as in ["SC001"]')
    return tuple(cast("list[str]", value))
