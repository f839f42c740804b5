"""The forms of a network's units: those that differ in widths alone are one form, and one drawing."""

from __future__ import annotations

from dataclasses import dataclass

from resdsl.analysis.report.unit_drawing import Drawing, draw_unit
from resdsl.network import operators as op
from resdsl.network.network import Network, inner_chains, unit_chains


@dataclass(frozen=True, slots=True)
class Form:
    """drawing: of the first unit of this form. labels: how units of it were called. count: units of it, copies counted."""

    drawing: Drawing
    labels: tuple[str, ...]
    count: int


def unit_forms(network: Network) -> list[Form]:
    """Those with the most units first."""
    counts: dict[op.Unit, int] = {}
    for _, chain in network.sections():
        _count(chain, 1, counts)
    forms: dict[str, list[op.Unit]] = {}
    for unit in counts:
        forms.setdefault(draw_unit(unit, widths=False).svg, []).append(unit)
    found = [
        Form(
            draw_unit(units[0]),
            tuple(dict.fromkeys(unit.label for unit in units)),
            sum(counts[unit] for unit in units),
        )
        for units in forms.values()
    ]
    return sorted(found, key=lambda form: -form.count)


def _count(chain: op.Chain, times: int, counts: dict[op.Unit, int]) -> None:
    for element in chain:
        if isinstance(element, op.Units):
            for run in element.runs:
                counts[run.unit] = counts.get(run.unit, 0) + times * run.count
                for part in unit_chains(run.unit):
                    _count(part, times * run.count, counts)
        else:
            for part in inner_chains(element):
                _count(part, times, counts)
