"""Which part of the network was written where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from resdsl.network.network import Network, inner_chains
from resdsl.network.operators import Chain, Unit, Units
from resdsl.source import Location, Span


class Marks:
    """Spans by object identity while a network is built; equal operators written in two places stay apart."""

    def __init__(self) -> None:
        self.sections: dict[str, Span] = {}
        """The clauses of stem, stages and head by JSON pointer."""
        self._spans: dict[int, dict[str, Span]] = {}
        """By the part's id, then by field."""
        self._alive: list[object] = []

    def put(self, part: object, span: Span, field: str = "") -> None:
        self._spans.setdefault(id(part), {})[field] = span
        self._alive.append(part)

    def copy(self, old: object, new: object) -> None:
        """`new` stands where `old` stood."""
        self._spans.setdefault(id(new), {}).update(self._spans.get(id(old), {}))
        self._alive.append(new)

    def copy_unit(self, old: Unit, new: Unit) -> None:
        """`new`, all its parts included, stands where `old` stood; they differ in numbers only."""
        self.copy(old, new)
        self.copy(old.shortcut, new.shortcut)
        self._copy_chain(old.branch, new.branch)
        self._copy_chain(old.shortcut.chain or (), new.shortcut.chain or ())
        self._copy_chain(old.after, new.after)

    def _copy_chain(self, old: Chain, new: Chain) -> None:
        for before, after in zip(old, new, strict=True):
            self.copy(before, after)
            if not isinstance(before, Units) and not isinstance(after, Units):
                for inner_before, inner_after in zip(inner_chains(before), inner_chains(after), strict=True):
                    self._copy_chain(inner_before, inner_after)

    def table(self, network: Network) -> dict[str, Location]:
        """JSON pointer of the document -> place, for all parts with a known one."""
        found = {pointer: self.get(part, field) for pointer, part, field in _parts(network)}
        return {pointer: span.location() for pointer, span in (self.sections | found).items() if span}

    def get(self, part: object, field: str = "") -> Span | None:
        return self._spans.get(id(part), {}).get(field)


class Places(Mapping[str, Location]):
    """The table of a network, made when it is first asked for: most who build a network never do."""

    def __init__(self, marks: Marks, network: Network) -> None:
        self._marks = marks
        self._network = network

    @cached_property
    def _table(self) -> dict[str, Location]:
        return self._marks.table(self._network)

    def __getitem__(self, pointer: str) -> Location:
        return self._table[pointer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


def _parts(network: Network) -> Iterator[tuple[str, object, str]]:
    yield from _chain_parts(network.stem, "/stem")
    for index, stage in enumerate(network.stages):
        yield from _chain_parts(stage, f"/stages/{index}")
    yield from _chain_parts(network.head, "/head")


def _chain_parts(chain: Chain, pointer: str) -> Iterator[tuple[str, object, str]]:
    for index, element in enumerate(chain):
        here = f"{pointer}/{index}"
        yield here, element, ""
        if isinstance(element, Units):
            for number, run in enumerate(element.runs):
                yield f"{here}/units/{number}", run, ""
                yield from _unit_parts(run.unit, f"{here}/units/{number}/unit")
            continue
        inner = inner_chains(element)
        for number, chain_inside in enumerate(inner):
            where = f"{here}/partial/chain" if type(element).__name__ == "Partial" else f"{here}/concat/chains/{number}"
            yield from _chain_parts(chain_inside, where)


def _unit_parts(unit: Unit, pointer: str) -> Iterator[tuple[str, object, str]]:
    yield f"{pointer}/branch", unit, "branch"
    yield f"{pointer}/shortcut", unit.shortcut, ""
    yield f"{pointer}/after", unit, "after"
    yield from _chain_parts(unit.branch, f"{pointer}/branch")
    yield from _chain_parts(unit.shortcut.chain or (), f"{pointer}/shortcut/chain")
    yield from _chain_parts(unit.after, f"{pointer}/after")
