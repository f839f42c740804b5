"""The path through a network: its operators and units from input to output, and what stands at their ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from resdsl.network import operators as op
from resdsl.network.network import Network


@dataclass(frozen=True, slots=True)
class Part:
    """An operator, or a run of equal units, where it stands.

    pointer: of the operator, or of the run's unit, in the document.
    """

    pointer: str
    element: op.Operator | op.Run


@dataclass(frozen=True, slots=True)
class End:
    """A unit, and its pointer."""

    pointer: str
    unit: op.Unit


@dataclass(frozen=True, slots=True)
class Ends:
    """The first and the last unit of the stages, what stands before the one and what follows the other."""

    before: tuple[Part, ...]
    first: End
    last: End
    behind: tuple[Part, ...]


def chain_parts(chain: op.Chain, pointer: str) -> list[Part]:
    """The parts of a chain in order."""
    found: list[Part] = []
    for index, element in enumerate(chain):
        here = f"{pointer}/{index}"
        if isinstance(element, op.Units):
            found += [Part(f"{here}/units/{number}/unit", run) for number, run in enumerate(element.runs)]
        else:
            found.append(Part(here, element))
    return found


def main_path(network: Network) -> list[Part]:
    """Stem, stages and head in a row."""
    stages = (part for index, stage in enumerate(network.stages) for part in chain_parts(stage, f"/stages/{index}"))
    return [*chain_parts(network.stem, "/stem"), *stages, *chain_parts(network.head, "/head")]


def ends(network: Network) -> Ends | None:
    """None if no units stand in the stages, those in `concat` and `partial` aside."""
    parts = main_path(network)
    units = [
        (index, End(part.pointer, part.element.unit))
        for index, part in enumerate(parts)
        if isinstance(part.element, op.Run) and part.pointer.startswith("/stages/")
    ]
    if not units:
        return None
    (start, first), (stop, last) = units[0], units[-1]
    return Ends(tuple(parts[:start]), first, last, tuple(parts[stop + 1 :]))


def backwards(parts: Sequence[Part]) -> Iterator[Part]:
    """The parts from the last to the first; units without a shortcut by what they hold, others behind their `after`."""
    for part in reversed(parts):
        if not isinstance(part.element, op.Run):
            yield part
            continue
        unit = part.element.unit
        yield from reversed(chain_parts(unit.after, f"{part.pointer}/after"))
        if unit.shortcut.chain is None:
            yield from backwards(chain_parts(unit.branch, f"{part.pointer}/branch"))
        else:
            yield part


def entry(unit: op.Unit) -> op.Chain:
    """What stands before the first weight layer of a branch, also of the units that it begins with."""
    for index, element in enumerate(unit.branch):
        match element:
            case op.Units(runs=runs):
                return (*unit.branch[:index], *entry(runs[0].unit))
            case op.Conv() | op.Linear() | op.Concat():
                return unit.branch[:index]
            case _:
                pass
    return ()


def first_of(elements: Iterable[op.Element], kinds: tuple[type[op.Operator], ...]) -> op.Element | None:
    """The first operator of these kinds."""
    return next((element for element in elements if isinstance(element, kinds)), None)
