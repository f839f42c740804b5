"""Recipes that are written as text: TOML files, and fields on a command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias, get_type_hints

from resdsl.diagnostics import did_you_mean, fail
from resdsl.train.recipe import RECIPES, Recipe, recipe_named, require_valid

SUFFIX = ".toml"
BASE = "base"
TYPES: Mapping[str, object] = MappingProxyType(get_type_hints(Recipe))
"""Of the fields, by name."""

Value: TypeAlias = "int | float | bool | str | Enum | tuple[int, ...]"


def open_recipe(name: str) -> Recipe:
    """One of RECIPES by name, or what is in a .toml file. Raises SpecError."""
    return read_recipe(Path(name)) if name.lower().endswith(SUFFIX) else recipe_named(name)


def read_recipe(path: Path) -> Recipe:
    """A file with the fields of a Recipe; with `base = NAME`, those that differ from a recipe of RECIPES.

    Without them, `name` is the file's and `source` says that the recipe is the user's own. Raises SpecError.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise fail("unreadable", f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise fail("unreadable", f"{path} cannot be read as a recipe: {reason}") from None
    base = found.pop(BASE, None)
    based = None if base is None else _based(path, base)
    given = {name: _of_toml(str(path), name, value) for name, value in found.items()}
    given.setdefault("name", path.stem)
    given.setdefault("source", "your own" if based is None else f"your own, based on {based.name}")
    if based is None:
        _require_all(path, given)
    recipe = Recipe(**given) if based is None else replace(based, **given)  # pyright: ignore[reportArgumentType]
    require_valid(recipe)
    return recipe


def recorded_recipe(place: str, fields: Mapping[str, object]) -> Recipe:
    """What a run's records say of its recipe. place: the file, for errors. Raises SpecError."""
    given = {name: _of_toml(place, name, value) for name, value in fields.items()}
    _require_all(Path(place), given)
    return Recipe(**given)  # pyright: ignore[reportArgumentType]


def with_settings(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """The recipe with these fields, from text: `steps` as 32000,48000, a bool as true or false. Raises SpecError."""
    given = {name: _of_text(name, text) for name, text in settings.items()}
    return replace(recipe, **given)  # pyright: ignore[reportArgumentType]


def shown(value: object) -> str:
    """A field's value as `with_settings` and people read it."""
    match value:
        case Enum():
            return str(value.value)
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value)) or "none"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def differences(recipe: Recipe, other: Recipe) -> dict[str, str]:
    """The fields in which a recipe is not like another, but for name and source."""
    names = [field.name for field in fields(recipe) if field.name not in ("name", "source")]
    return {name: shown(getattr(recipe, name)) for name in names if getattr(recipe, name) != getattr(other, name)}


def _based(path: Path, base: object) -> Recipe:
    if not isinstance(base, str) or base not in RECIPES:
        help = did_you_mean(base, RECIPES) if isinstance(base, str) else ""
        message = f"`base` in {path} is {base!r}, and no recipe"
        raise fail("wrong-recipe", message, help=help or f"one of {', '.join(RECIPES)}")
    return RECIPES[base]


def _require_all(path: Path, given: Mapping[str, object]) -> None:
    needed = [field.name for field in fields(Recipe) if field.default is MISSING]
    absent = [name for name in needed if name not in given]
    if absent:
        help = f'write {" and ".join(absent)}, or `base = "cifar"` for all that the file leaves out'
        raise fail("wrong-recipe", f"{path} gives no {', '.join(absent)}", help=help)


def _kind(place: str, name: str) -> object:
    """The type of a field. Raises SpecError if there is no such field."""
    if name not in TYPES:
        help = did_you_mean(name, [*TYPES, BASE]) or f"it has {', '.join(TYPES)}"
        raise fail("wrong-recipe", f"{place}: a recipe has no field `{name}`", help=help)
    return TYPES[name]


def _of_toml(place: str, name: str, value: object) -> Value:
    kind = _kind(place, name)
    match value:
        case bool() if kind is bool:
            return value
        case bool():
            pass
        case int() if kind in (int, float):
            return float(value) if kind is float else value
        case float() if kind is float:
            return value
        case str() if kind is str:
            return value
        case str() if isinstance(kind, type) and issubclass(kind, Enum):
            return _member(place, name, kind, value)
        case list() if kind == tuple[int, ...] and all(type(each) is int for each in value):
            return tuple(value)
        case _:
            pass
    raise _unfit(place, name, kind, value)


def _of_text(name: str, text: str) -> Value:
    kind = _kind("--set", name)
    text = text.strip()
    try:
        if kind in (int, float):
            return (int if kind is int else float)(text)
        if kind == tuple[int, ...]:
            parts = text.strip("[]()").split(",")
            return tuple(int(part) for part in parts if part.strip())
    except ValueError:
        raise _unfit("--set", name, kind, text) from None
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise _unfit("--set", name, kind, text)
        return text.lower() == "true"
    assert isinstance(kind, type)
    assert issubclass(kind, Enum)
    return _member("--set", name, kind, text)


def _member(place: str, name: str, kind: type[Enum], value: str) -> Enum:
    known = {str(each.value): each for each in kind}
    if value not in known:
        help = did_you_mean(value, known) or f"one of {', '.join(known)}"
        raise fail("wrong-recipe", f"{place}: `{name}` cannot be {value!r}", help=help)
    return known[value]


def _unfit(place: str, name: str, kind: object, value: object) -> Exception:
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "a text",
        tuple[int, ...]: "whole numbers, as in 32000,48000" if place == "--set" else "a list of whole numbers",
    }
    wanted = words.get(kind) or f"one of {', '.join(str(each.value) for each in kind)}"  # pyright: ignore
    return fail("wrong-recipe", f"{place}: `{name}` is {value!r}, and is to be {wanted}")
