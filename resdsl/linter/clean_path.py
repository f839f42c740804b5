"""Holding a network against the schema of clean paths, schema/clean-path.schema.json."""

from __future__ import annotations

from dataclasses import dataclass, replace

from resdsl.network.document import to_document
from resdsl.network.json_text import Json, as_array, as_object, pointer
from resdsl.network.network import Network
from resdsl.network.schema_errors import schema_errors


@dataclass(frozen=True, slots=True)
class Violation:
    """unit: the JSON pointer of a unit. part: `shortcut` or `after`."""

    unit: str
    part: str


def violations(network: Network) -> list[Violation]:
    """Where the network departs from the schema, each part of a unit once, in the order of the document."""
    document = to_document(
        replace(network, spans={})
    )  # places are half of a document, and the schema has no say in them
    found: dict[Violation, None] = {}
    for path, error in schema_errors("clean-path", document, _holds_chains):
        parts = [step for step, key in enumerate(path) if key in ("shortcut", "after") and path[step - 1] == "unit"]
        assert parts, f"the schema refuses {pointer(path)}, which is no part of a unit: {error.message}"
        found[Violation(pointer(path[: parts[-1]]), str(path[parts[-1]]))] = None
    return list(found)


def _holds_chains(chain: Json) -> bool:
    """Whether an element may hold units: of all others the schema says nothing."""
    return any(not as_object(element).keys().isdisjoint(("units", "concat", "partial")) for element in as_array(chain))
