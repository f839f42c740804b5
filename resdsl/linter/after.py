"""What follows an addition, told apart for the rules."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from resdsl.linter.shortcuts import ACTIVATIONS, NORMS
from resdsl.linter.subject import Group, LintedFile, together
from resdsl.network import operators as op


class After(Enum):
    """What stands behind the addition of a unit with a shortcut."""

    NORM = "a norm, whatever else"
    ACTIVATION = "an activation, and no norm"
    OTHER = "anything else"


def after_of(unit: op.Unit) -> After | None:
    if unit.shortcut.chain is None or not unit.after:
        return None
    if any(isinstance(element, NORMS) for element in unit.after):
        return After.NORM
    if any(isinstance(element, ACTIVATIONS) for element in unit.after):
        return After.ACTIVATION
    return After.OTHER


def after_addition(file: LintedFile, kind: After) -> Iterator[Group]:
    """The units with such an operator behind the addition, those of one place in the source together."""
    for network in file.networks:
        sites = [site for site in network.unclean("after") if after_of(site.unit) is kind]
        yield from together(network.grouped(sites, "after/0"), lambda unit: unit.after)
