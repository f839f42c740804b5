"""A whole network, and walks over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from resdsl.network.operators import (
    PER_COPY_FIELDS,
    Chain,
    Concat,
    Operator,
    Partial,
    Unit,
    Units,
)
from resdsl.network.types import PerCopy, Shape
from resdsl.source import Location


@dataclass(frozen=True, slots=True)
class Network:
    """input -> stem -> stages in order -> head.

    spans: where each part was written, by its JSON pointer in the document (see document.py); no part of the meaning.
    """

    name: str
    doc: str
    input: Shape
    stem: Chain
    stages: tuple[Chain, ...]
    head: Chain
    spans: Mapping[str, Location] = field(default_factory=dict[str, Location], compare=False, repr=False)

    def sections(self) -> Iterator[tuple[str, Chain]]:
        """("stem", …), ("stage1", …), …, ("head", …)."""
        yield "stem", self.stem
        for number, stage in enumerate(self.stages, 1):
            yield f"stage{number}", stage
        yield "head", self.head


def inner_chains(operator: Operator) -> tuple[Chain, ...]:
    """The chains inside an operator."""
    match operator:
        case Partial(chain=chain):
            return (chain,)
        case Concat(chains=chains):
            return chains
        case _:
            return ()


def unit_chains(unit: Unit) -> tuple[Chain, ...]:
    """Branch, shortcut (empty for none) and after, in that order."""
    return unit.branch, unit.shortcut.chain or (), unit.after


def count_units(chain: Chain) -> int:
    """How many units that hold no unit are in the chain, copies counted."""
    total = 0
    for element in chain:
        if isinstance(element, Units):
            for run in element.runs:
                inside = sum(count_units(part) for part in unit_chains(run.unit))
                total += run.count * max(1, inside)
        else:
            total += sum(count_units(part) for part in inner_chains(element))
    return total


def distinct_units(network: Network) -> list[Unit]:
    """Each distinct unit once, inner units before those that hold them, in the order of the network."""
    found: dict[Unit, None] = {}

    def visit(chain: Chain) -> None:
        for element in chain:
            if isinstance(element, Units):
                for run in element.runs:
                    if run.unit not in found:
                        for part in unit_chains(run.unit):
                            visit(part)
                        found[run.unit] = None
            else:
                for part in inner_chains(element):
                    visit(part)

    for _, chain in network.sections():
        visit(chain)
    return list(found)


def copy_of(unit: Unit, index: int) -> Unit:
    """The unit with its PerCopy arguments set to those of copy `index`."""
    return replace(
        unit,
        branch=_chain_copy(unit.branch, index),
        shortcut=replace(
            unit.shortcut,
            chain=None if unit.shortcut.chain is None else _chain_copy(unit.shortcut.chain, index),
        ),
        after=_chain_copy(unit.after, index),
    )


def varies(unit: Unit) -> bool:
    """Whether some argument differs between the unit's copies."""
    return any(_chain_varies(chain) for chain in unit_chains(unit))


def _chain_varies(chain: Chain) -> bool:
    for element in chain:
        if isinstance(element, Units):
            continue
        fields = PER_COPY_FIELDS.get(type(element), ())
        if any(isinstance(getattr(element, name), tuple) for name in fields):
            return True
        if any(_chain_varies(inner) for inner in inner_chains(element)):
            return True
    return False


def _chain_copy(chain: Chain, index: int) -> Chain:
    return tuple(element if isinstance(element, Units) else _operator_copy(element, index) for element in chain)


def _operator_copy(operator: Operator, index: int) -> Operator:
    match operator:
        case Partial(chain=chain):
            return replace(operator, chain=_chain_copy(chain, index))
        case Concat(chains=chains):
            return replace(operator, chains=tuple(_chain_copy(chain, index) for chain in chains))
        case _:
            fields = PER_COPY_FIELDS.get(type(operator), ())
            values: dict[str, PerCopy] = {name: getattr(operator, name) for name in fields}
            changes: dict[str, Any] = {name: value[index] for name, value in values.items() if isinstance(value, tuple)}
            return replace(operator, **changes) if changes else operator
