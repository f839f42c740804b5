"""What the operators that stand on the direct path do to it, over all copies of a group's units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from resdsl.analysis.path_gain import AFTER_ADDITION, Gain, chain_gain, has_weights, open_chance
from resdsl.diagnostics import Severity
from resdsl.linter.severity import CLOSED, EXPONENTIAL, LOST, MOMENT, WEIGHTS, drift, worst
from resdsl.linter.shortcuts import NORMS
from resdsl.linter.subject import Group, Site
from resdsl.linter.words import power
from resdsl.network import operators as op
from resdsl.network.network import copy_of, varies
from resdsl.network.shapes import branch_output, shortcut_input
from resdsl.network.types import Shape, Tap

NO_CLOSED_FORM = "what is left of the signal is exponential in their number, without a closed form"
MEASURED = " (BN and ReLU leave 0.46 to 0.74 a unit at the start)"
NOTHING = 0.001
"""Decades that are no effect."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Of operators that all copies have.

    gain: None where there is no closed form. kept: log10 of the chance that an element passes all dropouts. weights:
    whether weight layers stand among them, which leave no direct term. norms: whether norms do, and no weights; the
    gain takes them to read a second moment of 1, which is only so in the first unit.
    """

    copies: int
    gain: Gain | None
    kept: float
    weights: bool
    norms: bool

    @property
    def severity(self) -> Severity:
        found = [LOST.severity(-self.kept)]
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
        return (
            max((abs(decades) for decades in (*known, self.kept) if math.isfinite(decades)), default=0)
            + self.copies / 1e6
        )

    @property
    def is_nothing(self) -> bool:
        return self.gain == Gain() and not self.kept and not self.weights and not self.norms

    @property
    def words(self) -> str:
        """`the direct path carries 0.70 of the signal`."""
        dropped = f"an element passes all dropouts with a chance of {power(self.kept)}"
        if not self.kept:
            return self._gained
        passed = self.gain is not None and abs(self.gain.mean) < NOTHING and not self.norms
        return dropped if passed else f"{self._gained}, and {dropped}"

    @property
    def _gained(self) -> str:
        if self.gain is None:
            return NO_CLOSED_FORM
        if self.norms:
            besides = f"; what stands beside the norms leaves {power(self.gain.mean)}"
            return NO_CLOSED_FORM + (besides if abs(self.gain.mean) > NOTHING else "")
        if self.weights:
            grown = (
                f"together they multiply the second moment of the signal by {power(self.gain.forward)} and that of its "
                f"gradient by {power(self.gain.backward)}"
            )
            steady = drift(self.gain) < NOTHING
            return f"{'second moments keep their size' if steady else grown}, and nothing of the signal itself is left"
        return f"the direct path carries {power(self.gain.mean)} {'of' if self.gain.mean <= 0 else 'times'} the signal"


def on_shortcuts(group: Group) -> Effect:
    """Of what stands on the shortcuts, and of what they read where no shape changes."""
    return _effect(group, _shortcut)


def behind_additions(group: Group) -> tuple[Severity, str]:
    """How severe what follows the additions is, and what it does in words."""
    rest = _effect(group, _after)
    after = [element for site in group.sites for element in site.unit.after]
    found: list[tuple[Severity, str]] = []
    if any(isinstance(element, NORMS) for element in after):
        found.append((EXPONENTIAL.severity(group.copies), NO_CLOSED_FORM + MEASURED))
    elif any(isinstance(element, op.Relu) for element in after):
        found.append(_open(group.copies))
    if not found or not rest.is_nothing:
        found.append((rest.severity, rest.words))
    words = dict.fromkeys(words for _, words in found)
    return worst(*(severity for severity, _ in found)), ", and ".join(words)


def _open(relus: int) -> tuple[Severity, str]:
    chance = open_chance(relus)
    them = "it" if relus == 1 else "all of them"
    return (
        CLOSED.severity(1 / chance),
        f"the path through {them} stays open with a chance of {power(math.log10(chance))}",
    )


def _shortcut(unit: op.Unit) -> tuple[op.Chain, Shape]:
    chain = unit.shortcut.chain or ()
    if unit.changes_shape:
        return chain, shortcut_input(unit)
    return (*(unit.branch[: unit.lead] if unit.shortcut.tap is Tap.ACTIVATED else ()), *chain), unit.input


def _after(unit: op.Unit) -> tuple[op.Chain, Shape]:
    return tuple(element for element in unit.after if not isinstance(element, AFTER_ADDITION)), branch_output(unit)


def _effect(group: Group, part: Callable[[op.Unit], tuple[op.Chain, Shape]]) -> Effect:
    total: Gain | None = Gain()
    kept = 0.0
    weights = norms = False
    for site in group.sites:
        chain, shape = part(site.unit)
        weights = weights or has_weights(chain)
        norms = norms or any(isinstance(element, NORMS) for element in chain)
        for copy, times in _copies(site, chain):
            kept += times * passed(copy)
            own = chain_gain(copy, shape)
            if own is not None:
                total = None if total is None else total.then(own.times(times))
            elif not site.unit.changes_shape:  # what changes the shape besides may have no closed form
                total = None
    return Effect(group.copies, total, kept, weights, norms and not weights)


def _copies(site: Site, chain: op.Chain) -> Iterator[tuple[op.Chain, int]]:
    """The chain as the copies have it, and how many have it so."""
    unit = replace(site.unit, branch=(), shortcut=op.Shortcut(Tap.INPUT, ()), after=chain)
    if not varies(unit):
        yield chain, site.copies
        return
    for index in range(site.run.count):
        yield copy_of(unit, index).after, site.repeats


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
