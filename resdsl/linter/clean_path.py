"""Holding a network against the schema of clean paths, schema/clean-path.schema.json."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from resdsl.network import operators as op
from resdsl.network.document import to_document
from resdsl.network.json_text import pointer
from resdsl.network.network import Network
from resdsl.network.schema_errors import schema_errors
from resdsl.network.types import Vector

SAME, OTHER = Vector(1), Vector(2)
"""Shapes that stand for any two."""


@dataclass(frozen=True, slots=True)
class Violation:
    """unit: the JSON pointer of a unit. part: `shortcut` or `after`."""

    unit: str
    part: str


def violations(network: Network) -> list[Violation]:
    """Where the network departs from the schema, each part of a unit once, in the order of the document."""
    return list(_violations(_bare(network)))


@lru_cache(maxsize=256)
def _violations(network: Network) -> tuple[Violation, ...]:
    """Of networks that differ only in what _bare leaves out: many of a folder do."""
    found: dict[Violation, None] = {}
    for path, error in schema_errors("clean-path", to_document(network)):
        parts = [step for step, key in enumerate(path) if key in ("shortcut", "after") and path[step - 1] == "unit"]
        assert parts, f"the schema refuses {pointer(path)}, which is no part of a unit: {error.message}"
        found[Violation(pointer(path[: parts[-1]]), str(path[parts[-1]]))] = None
    return tuple(found)


def _bare(network: Network) -> Network:
    """The network without that of which the schema says nothing, so most of a document: names, places, sizes, numbers of
    copies from 2 on, and chains of plain operators other than on shortcuts and behind additions.
    """
    stages = tuple(_bare_chain(stage) for stage in network.stages)
    return Network("", "", SAME, _bare_chain(network.stem), stages, _bare_chain(network.head))


def _bare_chain(chain: op.Chain) -> op.Chain:
    if not any(isinstance(element, op.Units | op.Concat | op.Partial) for element in chain):
        return ()
    return tuple(_bare_units(element) if isinstance(element, op.Units) else element for element in chain)


def _bare_units(units: op.Units) -> op.Units:
    return op.Units(tuple(op.Run(min(run.count, 2), _bare_unit(run.unit)) for run in units.runs))


def _bare_unit(unit: op.Unit) -> op.Unit:
    return op.Unit(
        "", "", SAME, OTHER if unit.changes_shape else SAME, _bare_chain(unit.branch), unit.shortcut, unit.after
    )
