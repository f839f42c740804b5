"""What the operators that stand on the direct path do to it, over all copies of a group's units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from resdsl.diagnostics import Severity
from resdsl.linter.severity import CLOSED, EXPONENTIAL, LOST, MOMENT, WEIGHTS, drift, worst
from resdsl.linter.subject import Group, Site
from resdsl.linter.words import power
from resdsl.network import operators as op
from resdsl.network.network import copy_of, varies
from resdsl.network.operators import ACTIVATIONS, NORMS
from resdsl.network.shapes import branch_output, shortcut_input
from resdsl.network.types import Shape, Tap
from resdsl.theory.path_gain import (
    AFTER_ADDITION,
    Gain,
    chain_gain,
    has_norms,
    has_weights,
    open_chance,
    over,
    without_relus,
)

NO_CLOSED_FORM = "what is left of the signal is exponential in their number, without a closed form: measure it"
NOTHING = 0.001
"""Decades that are no effect."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Of operators that all copies on one path have.

    gain: None where there is no closed form; norms and ReLUs without weights beside are no part of it. kept: log10 of the
    chance that an element passes all dropouts. relus: how many copies have a ReLU, and neither weights nor a norm.
    weights: whether weight layers stand among them, which leave no direct term. norms: whether norms do, and no weights.
    """

    copies: int
    gain: Gain | None
    kept: float
    relus: int
    weights: bool
    norms: bool

    @property
    def severity(self) -> Severity:
        found = [LOST.severity(-self.kept), CLOSED.severity(1 / open_chance(self.relus))]
        if self.weights:
            found.append(WEIGHTS.severity(self.copies))
        elif self.norms or self.gain is None:
            found.append(EXPONENTIAL.severity(self.copies))
        if self.gain is not None:
            found.append(MOMENT.severity(drift(self.gain)))
        if self.gain is not None and not self.weights:
            found.append(LOST.severity(-self.gain.mean))
        return worst(*found)

    @property
    def amount(self) -> float:
        """The decades that the path loses or gains, and the number of units where these are not known."""
        known = (self.gain.mean, self.gain.forward, self.gain.backward) if self.gain is not None else ()
        lost = max((abs(decades) for decades in (*known, self.kept) if math.isfinite(decades)), default=0)
        return lost - math.log10(open_chance(self.relus)) + self.copies / 1e6

    @property
    def is_nothing(self) -> bool:
        return self.gain == Gain() and not (self.kept or self.relus or self.weights or self.norms)

    @property
    def words(self) -> str:
        """`the direct path carries 0.70 of the signal`."""
        told: list[str] = []
        passes = self.gain is not None and not self.weights and abs(self.gain.mean) < NOTHING
        if not (passes and (self.kept or self.relus or self.norms)):
            told.append(self._gained)
        if self.norms and self.gain is not None:
            told.insert(0, NO_CLOSED_FORM)
        if self.relus:
            told.append(stays_open(self.relus))
        if self.kept:
            told.append(f"an element passes all dropouts with a chance of {power(self.kept)}")
        return ", and ".join(told)

    @property
    def _gained(self) -> str:
        if self.gain is None:
            return NO_CLOSED_FORM
        if self.weights:
            grown = (
                f"together they multiply the second moment of the signal by {power(self.gain.forward)} and that of its "
                f"gradient by {power(self.gain.backward)}"
            )
            steady = drift(self.gain) < NOTHING
            return f"{'second moments keep their size' if steady else grown}, and nothing of the signal itself is left"
        what = "what stands beside the norms leaves" if self.norms else "the direct path carries"
        return f"{what} {power(self.gain.mean)} {'of' if self.gain.mean <= 0 else 'times'} the signal"


def on_shortcuts(group: Group) -> Effect:
    """Of what stands on the shortcuts, and of what they read where no shape changes."""
    return _effect(group, _shortcut)


def norms_behind(units: int) -> tuple[Severity, str]:
    """How severe norms behind so many additions are, and what they do in words."""
    words = f"{NO_CLOSED_FORM} (BN and ReLU leave 4 to 12 % after 10 units at the start)"
    return EXPONENTIAL.severity(units), words


def activations_behind(activations: op.Chain, units: int) -> tuple[Severity, str]:
    """How severe these activations behind so many additions are, and what they do in words."""
    if all(isinstance(activation, op.Relu) for activation in activations):
        return CLOSED.severity(1 / open_chance(units)), stays_open(units)
    return EXPONENTIAL.severity(units), NO_CLOSED_FORM


def behind_additions(group: Group) -> Effect:
    """Of what follows the additions, norms and activations aside."""
    return _effect(group, _after)


def stays_open(relus: int) -> str:
    """What so many ReLUs leave, in words."""
    them = "it" if relus == 1 else "all of them"
    return f"the path through {them} stays open with a chance of {power(math.log10(open_chance(relus)))}"


def _shortcut(unit: op.Unit) -> tuple[op.Chain, Shape]:
    chain = unit.shortcut.chain or ()
    if unit.changes_shape:
        return chain, shortcut_input(unit)
    return (*(unit.branch[: unit.lead] if unit.shortcut.tap is Tap.ACTIVATED else ()), *chain), unit.input


def _after(unit: op.Unit) -> tuple[op.Chain, Shape]:
    rest = tuple(element for element in unit.after if not isinstance(element, (*NORMS, *ACTIVATIONS)))
    return rest, branch_output(unit)


def _effect(group: Group, part: Callable[[op.Unit], tuple[op.Chain, Shape]]) -> Effect:
    if part not in group.alike.measured:
        group.alike.measured[part] = _measured(group, part)
    return group.alike.measured[part]


def _measured(group: Group, part: Callable[[op.Unit], tuple[op.Chain, Shape]]) -> Effect:
    total: Gain | None = Gain()
    kept, relus = 0.0, 0
    weights = norms = False
    for site in group.path:
        chain, shape = part(site.unit)
        weighted = has_weights(chain)
        weights = weights or weighted
        norms = norms or (has_norms(chain) and not weighted)
        for copy, times in _copies(site, chain):
            kept += times * passed(copy)
            bare, rectifies = _beside(copy)
            relus += times * rectifies
            own = over(chain_gain(bare, shape), bare, times)
            if own is not None:
                total = None if total is None else total.then(own)
            elif not site.unit.changes_shape:  # what changes the shape besides may have no closed form
                total = None
    return Effect(group.length, total, kept, relus, weights, norms)


def _beside(chain: op.Chain) -> tuple[op.Chain, bool]:
    """A chain without the norms and ReLUs that are told by themselves, and whether it has ReLUs and no norm."""
    if has_norms(chain) and not has_weights(chain):
        return tuple(element for element in chain if not isinstance(element, AFTER_ADDITION)), False
    return without_relus(chain)


def _copies(site: Site, chain: op.Chain) -> Iterator[tuple[op.Chain, int]]:
    """The chain as the copies have it, and how many have it so."""
    unit = replace(site.unit, branch=(), shortcut=op.Shortcut(Tap.INPUT, ()), after=chain)
    if not varies(unit):
        yield chain, site.length
        return
    for index in range(site.run.count):
        yield copy_of(unit, index).after, site.on_path


def passed(chain: op.Chain) -> float:
    """log10 of the chance that an element passes the dropouts of one copy's chain."""
    total = 0.0
    for element in chain:
        match element:
            case op.Dropout(p=float(p)) | op.DropPath(p=float(p)):
                total += math.log10(1 - p)
            case op.Partial(chain=inner):
                total += passed(inner)
            case _:
                pass
    return total
