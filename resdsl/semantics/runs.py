"""Repetition stays repetition: equal units in a row become one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from resdsl.network.network import inner_chains
from resdsl.network.operators import (
    PER_COPY_FIELDS,
    Chain,
    Concat,
    Operator,
    Partial,
    Run,
    Unit,
    Units,
)
from resdsl.network.types import PerCopy


def merge_runs(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Joins equal neighbours, and neighbours that differ only in PerCopy numbers.

    Takes runs that were not merged before (their units have one number for all copies). Each result stands beside the
    first of the runs that it was made of.
    """
    groups: list[tuple[Unit, list[Run]]] = []
    for run in runs:
        form = _without_numbers(run.unit)
        if groups and form == groups[-1][0] and run.unit.input == run.unit.output:
            groups[-1][1].append(run)
        else:
            groups.append((form, [run]))
    return [(_join(group), group[0]) for _, group in groups]


def _join(group: list[Run]) -> Run:
    first = group[0]
    if all(run.unit == first.unit for run in group):
        return Run(sum(run.count for run in group), first.unit)
    copies = [run.unit for run in group for _ in range(run.count)]
    columns = iter(zip(*(_numbers(unit) for unit in copies), strict=True))

    def together(_: PerCopy) -> PerCopy:
        values = next(columns)
        return values[0] if all(value == values[0] for value in values) else values

    return Run(len(copies), _map_unit(first.unit, together))


def _numbers(unit: Unit) -> list[float]:
    found: list[float] = []

    def note(value: PerCopy) -> PerCopy:
        assert not isinstance(value, tuple), "a run is merged once"
        found.append(value)
        return value

    _map_unit(unit, note)
    return found


def _without_numbers(unit: Unit) -> Unit:
    return _map_unit(unit, lambda _: 0.0)


def _map_unit(unit: Unit, change: Callable[[PerCopy], PerCopy]) -> Unit:
    branch = _map_chain(unit.branch, change)
    chain = unit.shortcut.chain
    shortcut = replace(unit.shortcut, chain=None if chain is None else _map_chain(chain, change))
    return replace(unit, branch=branch, shortcut=shortcut, after=_map_chain(unit.after, change))


def _map_chain(chain: Chain, change: Callable[[PerCopy], PerCopy]) -> Chain:
    return tuple(element if isinstance(element, Units) else _map_operator(element, change) for element in chain)


def _map_operator(operator: Operator, change: Callable[[PerCopy], PerCopy]) -> Operator:
    match operator:
        case Partial():
            return replace(operator, chain=_map_chain(operator.chain, change))
        case Concat():
            return replace(operator, chains=tuple(_map_chain(chain, change) for chain in inner_chains(operator)))
        case _:
            fields = PER_COPY_FIELDS.get(type(operator), ())
            changes: dict[str, Any] = {name: change(getattr(operator, name)) for name in fields}
            return replace(operator, **changes) if changes else operator
