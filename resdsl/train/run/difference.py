"""How two documents differ, a line for each place, for people."""

from __future__ import annotations

from typing import TypeAlias

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"
"""As JSON has it."""
_Place: TypeAlias = "tuple[str | int, ...]"
UNSAID = ("doc", "label", "spans")
"""In a network's document, what has no part in what is computed."""
STAGES, UNIT = "stages", "unit"
SILENT = ("units", UNIT)
"""Steps of a place that a reader does not miss."""
LONGEST = 40


def differences(before: Plain, now: Plain) -> list[str]:
    """Lines such as `rate: 0.1 → 0.05`; none where both are equal."""
    return [f"{_words(place)}: {_shown(old)} → {_shown(new)}" for place, old, new in _walk(before, now, ())]


def network_differences(before: Plain, now: Plain) -> list[str]:
    """Of two networks' documents: `stage2, basic, branch 1, conv, channels: 32 → 64`. What is only said about them is left out."""
    return differences(_said(before), _said(now))


class _Absent:
    """Stands for a value where there is none."""


_ABSENT = _Absent()


def _walk(before: Plain | _Absent, now: Plain | _Absent, place: _Place) -> list[tuple[_Place, object, object]]:
    match before, now:
        case dict(), dict() if set(before) & set(now) or not (before and now):
            keys = [*before, *(key for key in now if key not in before)]
            within = _named(before, place)
            return [
                found
                for key in keys
                for found in _walk(before.get(key, _ABSENT), now.get(key, _ABSENT), (*within, key))
            ]
        case list(), list() if len(before) == len(now) and any(isinstance(each, dict | list) for each in before):
            alone = len(now) == 1 and place[-1:] != (STAGES,)
            return [
                found
                for number, (old, new) in enumerate(zip(before, now, strict=True), 1)
                for found in _walk(old, new, place if alone else (*place, number))
            ]
        case _:
            return [] if before == now else [(place, before, now)]


def _named(document: dict[str, Plain], place: _Place) -> _Place:
    """A unit is called by its name."""
    name = document.get("name")
    return (*place, name) if place[-1:] == (UNIT,) and isinstance(name, str) else place


def _words(place: _Place) -> str:
    """`stages, 2` is stage2; any other number stands behind the word that it counts."""
    words: list[str] = []
    for part in place:
        if isinstance(part, int) and words:
            words[-1] = f"stage{part}" if words[-1] == STAGES else f"{words[-1]} {part}"
        else:
            words.append(str(part))
    return ", ".join(word for word in words if word not in SILENT) or "all"


def _shown(value: object) -> str:
    match value:
        case _Absent() | None:
            text = "none"
        case bool():
            text = "true" if value else "false"
        case float():
            text = f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case list():
            text = ", ".join(map(_shown, value)) or "none"
        case {"unit": {"name": name}, "count": count}:
            text = f"{count} {name}"
        case dict():
            text = " ".join(value)
        case _:
            text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _said(document: Plain) -> Plain:
    match document:
        case dict():
            return {key: _said(value) for key, value in document.items() if key not in UNSAID}
        case list():
            return [_said(value) for value in document]
        case _:
            return document
