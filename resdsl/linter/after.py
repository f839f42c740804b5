"""What follows an addition, told apart for the rules."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from resdsl.linter.subject import Group, LintedFile, together
from resdsl.network import operators as op
from resdsl.network.operators import ACTIVATIONS, NORMS


class After(Enum):
    """What stands behind the addition of a unit with a shortcut. A norm takes the activation beside it along."""

    NORM = "a norm"
    ACTIVATION = "an activation, without a norm beside"
    OTHER = "anything else"


def standing(unit: op.Unit, kind: After) -> op.Chain:
    """What stands behind the unit's addition of a kind."""
    if unit.shortcut.chain is None:
        return ()
    norms = tuple(element for element in unit.after if isinstance(element, NORMS))
    match kind:
        case After.NORM:
            return norms
        case After.ACTIVATION:
            return () if norms else tuple(element for element in unit.after if isinstance(element, ACTIVATIONS))
        case After.OTHER:
            return tuple(element for element in unit.after if not isinstance(element, (*NORMS, *ACTIVATIONS)))


def after_addition(file: LintedFile, kind: After) -> Iterator[Group]:
    """The units with such an operator behind the addition, those of one place in the source together."""
    for network in file.networks:
        parts = [
            (site, f"{site.pointer}/after/{site.unit.after.index(found[0])}", None)
            for site in network.unclean("after")
            if (found := standing(site.unit, kind))
        ]
        groups = [group for group, _ in network.grouped_parts(parts)]
        yield from together(groups, lambda unit: standing(unit, kind))
