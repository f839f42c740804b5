"""A network and its weights while passes work on them: each copy of a unit apart, every part with its name.

A pass replaces operators in place and never adds or takes one, so that names stay those of the spec: what is not
needed any more becomes Removed. `close` gives a Network again, in which equal copies share one unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from resdsl.network.names import Named, UnitNames, name_network, name_unit
from resdsl.network.network import Network, copy_of, varies
from resdsl.network.operators import Chain, Concat, Element, Operator, Partial, Removed, Run, Unit, Units
from resdsl.network.types import Tap

Array: TypeAlias = NDArray[np.floating[Any]]
Weights: TypeAlias = dict[str, Array]
"""Name in the state_dict -> array."""


@dataclass(slots=True, eq=False)
class UnitDraft:
    """One copy of a unit. path: its name, `stage1.17`. shortcut: None where nothing is added to the branch."""

    path: str
    unit: Unit
    branch: ChainDraft
    shortcut: ChainDraft | None
    after: ChainDraft

    @property
    def reads_activated(self) -> bool:
        return self.shortcut is not None and self.unit.shortcut.tap is Tap.ACTIVATED

    @property
    def is_identity(self) -> bool:
        """Whether the unit's input itself is added to the branch."""
        return self.shortcut is not None and not self.reads_activated and self.shortcut.is_empty

    def close(self) -> Unit:
        shortcut = replace(self.unit.shortcut, chain=None if self.shortcut is None else self.shortcut.close())
        return replace(self.unit, branch=self.branch.close(), shortcut=shortcut, after=self.after.close())


@dataclass(slots=True, eq=False)
class ChainDraft:
    """elements[i] is called names[i].

    barrier: elements before it have a second reader, a shortcut that reads what they leave; 0 where there is none.
    """

    names: list[str]
    elements: list[Operator | list[UnitDraft]]
    inner: list[tuple[ChainDraft, ...]]
    barrier: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether it computes nothing."""
        return all(isinstance(element, Removed) for element in self.elements)

    def remove(self, index: int, was: str) -> None:
        self.elements[index] = Removed(was)

    def close(self) -> Chain:
        return tuple(map(_close, self.elements, self.inner))


@dataclass(slots=True, eq=False)
class Draft:
    """A whole network. weights: exactly its tensors; arrays are replaced, never written into. limit: how far the stream
    may be shifted, in multiples of what it holds.
    """

    network: Network
    sections: list[ChainDraft]
    weights: Weights
    limit: float

    def chains(self) -> Iterator[ChainDraft]:
        """Every chain, the inner ones first."""
        return (part for section in self.sections for part in _parts(section) if isinstance(part, ChainDraft))

    def units(self) -> Iterator[UnitDraft]:
        """Every copy of every unit, the inner ones first."""
        return (part for section in self.sections for part in _parts(section) if isinstance(part, UnitDraft))

    def close(self) -> Network:
        stem, *stages, head = (section.close() for section in self.sections)
        return replace(self.network, stem=stem, stages=tuple(stages), head=head, spans={})


def open_network(network: Network, weights: Mapping[str, Array], limit: float = math.inf) -> Draft:
    """The draft of a network. Dtypes are kept: float64 weights are worked on in float64."""
    cache: dict[int, tuple[Unit, UnitNames]] = {}
    sections = [_open_chain(chain, "", cache) for _, chain in name_network(network)]
    return Draft(network, sections, dict(weights), limit)


def _open_chain(chain: tuple[Named, ...], prefix: str, cache: dict[int, tuple[Unit, UnitNames]]) -> ChainDraft:
    names: list[str] = []
    elements: list[Operator | list[UnitDraft]] = []
    inner: list[tuple[ChainDraft, ...]] = []
    for named in chain:
        names.append(prefix + named.name)
        if isinstance(named.element, Units):
            elements.append(_open_units(named.element, names[-1], cache))
        else:
            elements.append(named.element)
        inner.append(tuple(_open_chain(each, prefix, cache) for each in named.inner))
    return ChainDraft(names, elements, inner)


def _open_units(units: Units, name: str, cache: dict[int, tuple[Unit, UnitNames]]) -> list[UnitDraft]:
    result: list[UnitDraft] = []
    for run in units.runs:
        differs = varies(run.unit)
        if id(run.unit) not in cache:
            cache[id(run.unit)] = (run.unit, name_unit(run.unit))  # names do not depend on numbers that differ
        names = cache[id(run.unit)][1]
        for copy in range(run.count):
            path = f"{name}.{len(result)}"
            unit = copy_of(run.unit, copy) if differs else run.unit
            branch, shortcut, after = (
                _open_chain(_with_elements(named, chain), f"{path}.", cache)
                for named, chain in (
                    (names.branch, unit.branch),
                    (names.shortcut, unit.shortcut.chain or ()),
                    (names.after, unit.after),
                )
            )
            draft = UnitDraft(path, unit, branch, None if unit.shortcut.chain is None else shortcut, after)
            branch.barrier = unit.lead if draft.reads_activated else 0
            result.append(draft)
    return result


def _with_elements(names: tuple[Named, ...], chain: Chain) -> tuple[Named, ...]:
    """The names with the elements of one copy."""
    result: list[Named] = []
    for named, element in zip(names, chain, strict=True):
        chains: tuple[Chain, ...] = ()
        match element:
            case Partial(chain=inner):
                chains = (inner,)
            case Concat(chains=inner):
                chains = inner
            case _:
                pass
        result.append(Named(named.name, element, tuple(map(_with_elements, named.inner, chains))))
    return tuple(result)


def _close(element: Operator | list[UnitDraft], inner: tuple[ChainDraft, ...]) -> Element:
    match element:
        case list():
            groups = groupby(unit.close() for unit in element)
            return Units(tuple(Run(sum(1 for _ in copies), unit) for unit, copies in groups))
        case Partial():
            return replace(element, chain=inner[0].close())
        case Concat():
            return replace(element, chains=tuple(chain.close() for chain in inner))
        case _:
            return element


def _parts(chain: ChainDraft) -> Iterator[ChainDraft | UnitDraft]:
    """All chains and units in a chain, what is inside before what holds it, and the chain itself."""
    for element, inner in zip(chain.elements, chain.inner, strict=True):
        for each in inner:
            yield from _parts(each)
        for unit in element if isinstance(element, list) else ():
            for part in (unit.branch, unit.shortcut, unit.after):
                if part is not None:
                    yield from _parts(part)
            yield unit
    yield chain
