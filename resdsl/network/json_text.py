"""JSON as this package reads it: its values, and where they stand in a text."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import count
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Path: TypeAlias = tuple[str | int, ...]
"""Keys and numbers that lead from a document to a part of it."""


def as_object(value: Json) -> dict[str, Json]:
    """The value, which the schema says is an object. The same for the others below."""
    assert isinstance(value, dict)
    return value


def as_array(value: Json) -> list[Json]:
    assert isinstance(value, list)
    return value


def as_text(value: Json) -> str:
    assert isinstance(value, str)
    return value


def as_whole(value: Json) -> int:
    assert isinstance(value, int)
    return value


def as_number(value: Json) -> float:
    assert isinstance(value, int | float)
    return float(value)


def shown(value: Json) -> str:
    """The value in a message."""
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case _:
            written = json.dumps(value)
            return written if len(written) <= 60 else f"{written[:57]}…"


def pointer(path: Path) -> str:
    """The JSON pointer (RFC 6901), with ? for what cannot be printed."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(character if character.isprintable() else "?" for step in steps for character in f"/{step}")


class Repeating(dict[str, Json]):
    """An object of which a key stands more than once in the text."""

    def __init__(self, pairs: list[tuple[str, Json]]) -> None:
        super().__init__(pairs)
        self.repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]


def _object_of(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    return result if len(result) == len(pairs) else Repeating(pairs)


def _integer_of(digits: str) -> int | float:
    """Beyond 64 bits no field is whole, and Python refuses to read thousands of digits."""
    return int(digits) if len(digits) < 20 else float(digits)


DECODER = json.JSONDecoder(object_pairs_hook=_object_of, parse_int=_integer_of)


_BETWEEN = re.compile(r"[\s:,]*")


def place_of(text: str, path: Path) -> tuple[int, int]:
    """Where the value at `path` begins and ends in the text of a document."""

    def skip(at: int) -> int:
        match = _BETWEEN.match(text, at)
        return match.end() if match else at

    at = skip(0)
    for step in path:
        keyed = text[at] == "{"
        at = skip(at + 1)
        for number in count():
            key: Json = number
            if keyed:
                key, at = DECODER.raw_decode(text, at)
                at = skip(at)
            if key == step:
                break
            at = skip(DECODER.raw_decode(text, at)[1])
    return at, DECODER.raw_decode(text, at)[1]
