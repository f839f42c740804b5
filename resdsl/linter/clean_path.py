"""Holding a network against the schema of clean paths, schema/clean-path.schema.json."""

from __future__ import annotations

from dataclasses import dataclass, replace

from resdsl.network import operators as op
from resdsl.network.document import to_document
from resdsl.network.json_text import pointer
from resdsl.network.network import Network
from resdsl.network.schema_errors import schema_errors


@dataclass(frozen=True, slots=True)
class Violation:
    """unit: the JSON pointer of a unit. part: `shortcut` or `after`."""

    unit: str
    part: str


def violations(network: Network) -> list[Violation]:
    """Where the network departs from the schema, each part of a unit once, in the order of the document."""
    found: dict[Violation, None] = {}
    for path, error in schema_errors("clean-path", to_document(_bare(network))):
        parts = [step for step, key in enumerate(path) if key in ("shortcut", "after") and path[step - 1] == "unit"]
        assert parts, f"the schema refuses {pointer(path)}, which is no part of a unit: {error.message}"
        found[Violation(pointer(path[: parts[-1]]), str(path[parts[-1]]))] = None
    return list(found)


def _bare(network: Network) -> Network:
    """The network without places, and without the chains of plain operators, of which the schema says nothing: they are
    most of a document, and would take most of the time.
    """
    stages = tuple(_bare_chain(stage) for stage in network.stages)
    return replace(network, stem=_bare_chain(network.stem), stages=stages, head=_bare_chain(network.head), spans={})


def _bare_chain(chain: op.Chain) -> op.Chain:
    if not any(isinstance(element, op.Units | op.Concat | op.Partial) for element in chain):
        return ()
    return tuple(_bare_units(element) if isinstance(element, op.Units) else element for element in chain)


def _bare_units(units: op.Units) -> op.Units:
    return op.Units(
        tuple(op.Run(run.count, replace(run.unit, branch=_bare_chain(run.unit.branch))) for run in units.runs)
    )
