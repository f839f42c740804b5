"""Which rule speaks of a shortcut that is no clean identity: each is one rule's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum
from typing import TypeVar

from resdsl.linter.subject import Group, LintedFile, Site, together
from resdsl.network import operators as op
from resdsl.network.operators import ACTIVATIONS, NORMS
from resdsl.network.types import PerCopy, Tap
from resdsl.theory.path_gain import has_weights

_T = TypeVar("_T", bound=op.Operator)


class Kind(Enum):
    """What stands on a shortcut."""

    NONE = "nothing at all"
    SCALE = "a scale"
    GATE = "a gate on the shortcut only"
    EXCLUSIVE_GATE = "a gate on shortcut and branch"
    CONV = "a weight layer, with a norm and an activation or without"
    DROPOUT = "dropout"
    PARTIAL = "part of the channels"
    CHAIN = "several operators"
    ACTIVATED = "the identity, of what is normalised or activated"
    OTHER = "any other operator"


def kind_of(unit: op.Unit) -> Kind | None:
    """Of a unit whose shape stays; None for a clean identity."""
    chain = unit.shortcut.chain
    if chain is None:
        return Kind.NONE
    if all(isinstance(element, op.Scale) and element.factor == 1 and not element.learn for element in chain):
        return Kind.ACTIVATED if unit.shortcut.tap is Tap.ACTIVATED else None
    weights = [element for element in chain if isinstance(element, op.Conv | op.Linear)]
    around = (*NORMS, *ACTIVATIONS, op.Conv, op.Linear)
    if weights and all(isinstance(element, around) for element in chain):
        return Kind.CONV
    first, *others = chain
    if others:
        return Kind.CHAIN
    match first:
        case op.Scale():
            return Kind.SCALE
        case op.Gate(branch=branch):
            return Kind.EXCLUSIVE_GATE if branch else Kind.GATE
        case op.Dropout() | op.DropPath():
            return Kind.DROPOUT
        case op.Partial():
            return Kind.PARTIAL
        case _:
            return Kind.OTHER


def shortcuts(file: LintedFile, kind: Kind) -> Iterator[Group]:
    """The shortcuts of a kind that the schema of clean paths refuses, those written in one place together.

    An operator that also stands on the shortcut of units that change the shape counts there too, unless weights do.
    """
    for network in file.networks:
        sites = [site for site in network.unclean("shortcut") if kind_of(site.unit) is kind]
        if kind in (Kind.NONE, Kind.ACTIVATED):
            yield from together(network.grouped(sites, "shortcut"), _chain)
        elif sites:
            groups = network.grouped(sites, "shortcut/chain/0")
            changing = [site for site in network.sites if site.unit.changes_shape]
            groups = [replace(group, own=(*group.own, *_sharing(group, changing))) for group in groups]
            yield from together(groups, _chain)


def _chain(unit: op.Unit) -> op.Chain:
    return unit.shortcut.chain or ()


def first_operator(group: Group) -> op.Element:
    """What stands first on the shortcut of a group's first unit."""
    chain = group.unit.shortcut.chain
    assert chain, "shortcuts of the kinds with an operator have one"
    return chain[0]


def across(group: Group, kind: type[_T], number: Callable[[_T], PerCopy]) -> PerCopy:
    """A number of the operators of a kind on a group's shortcuts: one, or all where they differ."""
    found: list[float] = []
    for site in group.sites:
        for element in site.unit.shortcut.chain or ():
            if isinstance(element, kind):
                value = number(element)
                found += value if isinstance(value, tuple) else (value,)
    return found[0] if len(set(found)) == 1 else tuple(found)


def _sharing(group: Group, sites: list[Site]) -> Iterator[Site]:
    """Those whose shortcut has the group's operator, from the same place in the source, and no weights."""
    for site in sites:
        chain = site.unit.shortcut.chain or ()
        pointers = [f"{site.pointer}/shortcut/chain/{index}" for index in range(len(chain))]
        if not has_weights(chain) and any(group.network.spans(pointer)[0] == group.spans[0] for pointer in pointers):
            yield site
