"""How many units a chain holds, before any is lowered: for `count`, and for the budget."""

from __future__ import annotations

from dataclasses import dataclass

from resdsl.diagnostics import SpecError, fail, noting
from resdsl.semantics.evaluate import Evaluator, too_many
from resdsl.semantics.instantiate import Body, unit_body
from resdsl.semantics.program import UnitDeclaration
from resdsl.semantics.values import Bound, ChainValue, Deferred, OperatorCall, Repetition
from resdsl.syntax.nodes import ClauseKind

MAX_UNIT_NESTING = 32
"""How deep units, and chains in arguments, may stand in each other."""


@dataclass(frozen=True, slots=True)
class Count:
    """leaves: units that hold no unit. total: all units."""

    leaves: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """A unit with its arguments; the counter makes one of each."""

    body: Body
    count: Count


class UnitCounter:
    """Counts units, each distinct one once."""

    def __init__(self, evaluator: Evaluator, max_units: int) -> None:
        self.evaluator = evaluator
        self.max_units = max_units
        self.instances: dict[tuple[UnitDeclaration, tuple[Bound, ...]], Instance] = {}
        self.depth = 0

    def chain(self, chain: ChainValue) -> Count:
        """The units of a chain. Raises SpecError beyond the budget."""
        if self.depth > MAX_UNIT_NESTING:
            raise too_deep(chain)
        self.depth += 1
        try:
            return self.units(chain)
        finally:
            self.depth -= 1

    def units(self, chain: ChainValue) -> Count:
        leaves = total = 0
        for item in chain.items:
            match item:
                case Repetition():
                    count = self.repetition(item)
                    leaves, total = leaves + count.leaves, total + count.total
                    if total > self.max_units:
                        raise too_many(total, self.max_units, item.span)
                case OperatorCall(arguments=arguments):
                    for bound in arguments:
                        if isinstance(bound.value, ChainValue):
                            count = self.chain(bound.value)
                            leaves, total = leaves + count.leaves, total + count.total
                case _:
                    pass
        return Count(leaves, total)

    def repetition(self, item: Repetition) -> Count:
        leaves = total = 0
        for arguments, copies in copies_of(item):
            with noting(f"in {item.unit.label(arguments)} at {item.span}"):
                count = self.instance(item.unit, arguments).count
            leaves, total = leaves + copies * count.leaves, total + copies * count.total
        return Count(leaves, total)

    def instance(self, unit: UnitDeclaration, arguments: tuple[Bound, ...]) -> Instance:
        """The one Instance of a unit with these arguments. Raises SpecError beyond the budget."""
        key = (unit, arguments)
        if key not in self.instances:
            body = unit_body(unit, arguments, self.evaluator)
            inside = self.chain(body.chain(ClauseKind.BRANCH) or ChainValue(()))
            self.instances[key] = Instance(body, Count(max(1, inside.leaves), 1 + inside.total))
        return self.instances[key]


def too_deep(chain: ChainValue) -> SpecError:
    message = f"units and chains are nested more than {MAX_UNIT_NESTING} deep here"
    span = next((item.span for item in chain.items if not isinstance(item, Deferred)), None)
    return fail("nesting-too-deep", message, span)


def copies_of(item: Repetition) -> list[tuple[tuple[Bound, ...], int]]:
    """The arguments of a repetition's copies in order, equal neighbours counted together."""
    first = overridden(item, item.first)
    if item.count == 1:
        return [(overridden(item, (*item.first, *item.last)), 1)]
    last = overridden(item, item.last)
    groups = [(first, 1), (item.arguments, item.count - 2), (last, 1)]
    joined: list[tuple[tuple[Bound, ...], int]] = []
    for arguments, copies in groups:
        if copies == 0:
            continue
        if joined and joined[-1][0] == arguments:
            joined[-1] = (arguments, joined[-1][1] + copies)
        else:
            joined.append((arguments, copies))
    return joined


def overridden(item: Repetition, changes: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The repetition's arguments with `changes`, in the order of the unit's parameters."""
    by_name = {bound.name: bound for bound in (*item.arguments, *changes)}
    return tuple(by_name[parameter.name] for parameter in item.unit.node.parameters if parameter.name in by_name)
