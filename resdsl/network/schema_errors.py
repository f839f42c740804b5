"""Validating a network document against one of the schemas in schema/."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, cast

from resdsl.network.json_text import Json, Path, as_object

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

CHAIN = "#/$defs/chain"
"""What both schemas call a chain: the only part that may hold itself."""


def schema_errors(schema: str, document: Json) -> Iterator[tuple[Path, ValidationError]]:
    """Where the document departs from the schema of that name, as in `network` for schema/network.schema.json.

    Chains are checked one by one, so depth costs no stack.
    """
    root, chain = _validators(schema)
    waiting: deque[tuple[Path, Json, Validator]] = deque([((), document, root)])
    while waiting:
        path, value, validator = waiting.popleft()
        for error in validator.iter_errors(value):
            where = (*path, *error.absolute_path)
            if error.validator == "$ref":
                waiting.append((where, cast(Json, error.instance), chain))
            else:
                yield where, error


@cache
def _validators(name: str) -> tuple[Validator, Validator]:
    """Validators of a document and of a chain. For a reference to a chain they yield an error of `$ref`, for later."""
    # Imported here, for the commands that read no document: jsonschema takes 70 ms.
    from jsonschema import Draft202012Validator, ValidationError, validators

    follow = Draft202012Validator.VALIDATORS["$ref"]

    def reference(validator: Validator, to: str, value: Json, schema: Mapping[str, Json]) -> Iterator[ValidationError]:
        if to == CHAIN:
            yield ValidationError("later")
        else:
            yield from follow(validator, to, value, schema)

    def is_whole(_: object, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", is_whole)  # the draft's own takes 1.0 for one
    extend = cast("Callable[..., type[Validator]]", validators.extend)  # pyright: ignore[reportUnknownMemberType]
    kind = extend(Draft202012Validator, {"$ref": reference}, type_checker=types)
    schema = json.loads(resources.files("resdsl.network.schema").joinpath(f"{name}.schema.json").read_text("utf-8"))
    definitions = schema.pop("$defs")
    root = kind({**as_object(_inlined(schema, definitions)), "$defs": definitions})
    chain = _inlined(definitions["chain"], definitions, frozenset((CHAIN,)))
    return root, root.evolve(schema=chain)  # pyright: ignore[reportUnknownMemberType]


def _inlined(schema: Json, definitions: Mapping[str, Json], around: frozenset[str] = frozenset()) -> Json:
    """The schema with definitions in the place of references to them: to follow one takes 20 us.

    References to chains stay, and those to what stands `around` them.
    """
    match schema:
        case dict():
            inlined = {key: _inlined(value, definitions, around) for key, value in schema.items()}
            to = schema.get("$ref")
            if not isinstance(to, str) or to == CHAIN or to in around:
                return inlined
            del inlined["$ref"]
            definition = definitions[to.removeprefix("#/$defs/")]
            return inlined | as_object(_inlined(definition, definitions, around | {to}))
        case list():
            return [_inlined(part, definitions, around) for part in schema]
        case _:
            return schema
