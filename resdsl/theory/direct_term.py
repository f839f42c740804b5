"""The direct term of the gradient in closed form: what comes back through the shortcuts of the units on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resdsl.network import operators as op
from resdsl.network.shapes import branch_output, output
from resdsl.theory.path_gain import (
    AFTER_ADDITION,
    Gain,
    chain_gain,
    has_norms,
    open_chance,
    read_and_shortcut,
    without_relus,
)


@dataclass(frozen=True, slots=True)
class DirectTerm:
    """From some unit's input to the end of the last unit. log10: of its norm without the ReLUs, None where there is no closed form.

    relus: how many ReLUs stand on the way; they close it together (see open_chance), not one by one.
    """

    log10: float | None = 0.0
    relus: int = 0

    @property
    def expected(self) -> float:
        """log10 of the norm, of that at the end of the last unit; NaN where there is no closed form."""
        return math.nan if self.log10 is None else self.log10 + math.log10(open_chance(self.relus)) / 2

    def past_addition(self, unit: op.Unit) -> DirectTerm:
        """Through what follows a unit's addition."""
        after = chain_gain(
            tuple(each for each in unit.after if not isinstance(each, AFTER_ADDITION)), branch_output(unit)
        )
        known = None if has_norms(unit.after) else after
        return self._through(known, sum(isinstance(element, op.Relu) for element in unit.after))

    def past_shortcut(self, unit: op.Unit, moment: float) -> DirectTerm:
        """Through a unit's shortcut, for an input of this second moment."""
        if unit.shortcut.chain is None:
            return DirectTerm(-math.inf)
        chain, has_relu = without_relus(read_and_shortcut(unit))
        return self._through(_in_sums(chain, unit, chain_gain(chain, unit.input, moment)), int(has_relu))

    def past_operators(self) -> DirectTerm:
        """Through operators between units: nothing is known of them, but that nothing stays nothing."""
        return self if self.log10 == -math.inf else DirectTerm(None)

    def _through(self, gain: Gain | None, relus: int) -> DirectTerm:
        if self.log10 == -math.inf:
            return self
        log10 = None if gain is None or self.log10 is None else self.log10 + gain.backward / 2
        return DirectTerm(log10, self.relus + relus)


def shortcut_alone(unit: op.Unit, moment: float) -> Gain | None:
    """Of a shortcut and what it reads, for an input of this second moment; not of what follows the addition.

    backward: of the gradient's summed squares.
    """
    if unit.shortcut.chain is None:
        return Gain.of(0, 0, 0)
    chain = read_and_shortcut(unit)
    return _in_sums(chain, unit, chain_gain(chain, unit.input, moment))


def _in_sums(chain: op.Chain, unit: op.Unit, gain: Gain | None) -> Gain | None:
    """A gain of path_gain for a shape that changes, of all elements together.

    There backward is of one element of the gradient, and `pad` of the channels that are not appended. What is appended holds nothing,
    and hands nothing back.
    """
    if gain is None or not unit.changes_shape:
        return gain
    forward, sums, shape = 0.0, 0.0, unit.input
    for element in chain:
        after = output(element, shape)
        channels = math.log10(shape.channels / after.channels)
        sums += channels
        match element:
            case op.Pad():
                forward += channels
            case op.Conv(stride=stride):
                sums += 2 * math.log10(stride)
            case _:
                pass
        shape = after
    return Gain(gain.mean, gain.forward + forward, gain.backward + sums)
