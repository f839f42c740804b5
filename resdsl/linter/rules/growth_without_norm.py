"""Branches without norms that add as much as they read, so that the signal grows from unit to unit.

The second moments of x and F(x) add up. With a norm in the branch F(x) is as large in the last unit as in the first,
and the sum grows in proportion to the depth. Without one F(x) is as large as x, and the sum grows exponentially:
under He initialisation it doubles in each unit.

Known are the second moments of convolutions, linear layers, ReLU, scales and dropout for inputs of mean zero; a
learned scale counts with its start. Units of which something else stands in the way (other activations, standardised
convolutions, an activation behind the addition) are passed over, and a norm between units or behind the addition
begins anew.

## Evidence

He et al. 2015 choose the initialisation so that a convolution and its ReLU keep the second moment: a branch with it
gives back what it reads, and 54 such units multiply by 2^54 = 1.8e16. Ways out: a scale that starts small or at 0 at
the branch's end (SkipInit, De and Smith 2020; ReZero, Bachlechner et al. 2020), or a last layer that starts at zero.

## Severity

By the factor of all such units together: a warning from 10 on, an error from a million on. Silent below 10.

## Example

```resnet
resnet 1

unit bare(width, stride = 1) {
    branch     relu -> conv(3x3, width, stride) -> relu -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network growing {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * bare(16)
    stage 18 * bare(32) first(stride = 2)
    stage 18 * bare(64) first(stride = 2)
    head  relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit bare(width, stride = 1) {
    branch     relu -> conv(3x3, width, stride) -> relu -> conv(3x3, width) -> scale(0, learn = true)
    shortcut   identity
    projection conv(1x1)
}

network steady {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * bare(16)
    stage 18 * bare(32) first(stride = 2)
    stage 18 * bare(64) first(stride = 2)
    head  relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from resdsl.linter.main_path import Part, chain_parts, main_path
from resdsl.linter.rule import Finding
from resdsl.linter.severity import MOMENT
from resdsl.linter.subject import LintedFile
from resdsl.linter.words import counted, power
from resdsl.network import operators as op
from resdsl.network.network import copy_of, varies
from resdsl.network.operators import NORMS
from resdsl.network.shapes import branch_output
from resdsl.theory.path_gain import AFTER_ADDITION, chain_gain, shortcut_gain

_KNOWN = (op.Conv, op.Linear, op.Relu, op.Scale, op.Dropout, op.DropPath)


@dataclass(frozen=True, slots=True)
class _Growth:
    """Of a run of units, as logarithms to the base 10: of each copy that grows by its branch."""

    pointer: str
    factors: tuple[float, ...]


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        for path in sorted(_paths(main_path(network.network)), key=_total, reverse=True):
            if _total(path) < MOMENT.warning:
                break
            factors = [factor for growth in path for factor in growth.factors]
            steepest = max(path, key=lambda growth: sum(growth.factors))
            least, most = (power(factor) for factor in (min(factors), max(factors)))
            yield Finding(
                MOMENT.severity(_total(path)),
                f"{counted(len(factors), 'branch', 'branches')} without norms multiply the second moment of the signal by "
                f"{least if least == most else f'{least} to {most}'} each, by {power(_total(path))} together",
                network.spans(f"{steepest.pointer}/branch"),
                network,
                amount=_total(path),
                help="put norms into the branch, or end it in `scale(0, learn = true)`, or let its last layer start at zero",
            )


def _total(path: list[_Growth]) -> float:
    return sum(sum(growth.factors) for growth in path)


def _paths(parts: list[Part]) -> Iterator[list[_Growth]]:
    """The units in a row that grow, of this path and of those in its units' branches; norms between end a row."""
    row: list[_Growth] = []
    for part in parts:
        match part.element:
            case op.Run(unit=unit) as run:
                factors = _factors(run)
                if factors is None:
                    yield row
                    row = []
                elif factors:
                    row.append(_Growth(part.pointer, factors))
                yield from _paths(chain_parts(unit.branch, f"{part.pointer}/branch"))
            case element if isinstance(element, NORMS):
                yield row
                row = []
            case _:
                pass
    yield row


def _factors(run: op.Run) -> tuple[float, ...] | None:
    """Of the copies that grow by a branch of which that is known; None if what they give is not, as behind a norm."""
    if any(isinstance(element, AFTER_ADDITION) for element in run.unit.after):
        return None
    copies = [copy_of(run.unit, index) for index in range(run.count)] if varies(run.unit) else [run.unit]
    factors: list[float] = []
    for copy in copies:
        shortcut, behind = shortcut_gain(copy), chain_gain(copy.after, branch_output(copy))
        if shortcut is None or behind is None:
            return None
        branch = _branch_moment(copy)
        if branch is not None:
            factors.append(_log_sum(shortcut.forward, branch + behind.forward))
    return tuple(factors) * (run.count // len(copies))


def _branch_moment(unit: op.Unit) -> float | None:
    """log10 of the second moment that the branch adds for one of 1 in the input; None where there is no closed form.

    That is so too where a ReLU ends the branch: what it adds then has a mean, and goes along with what is there.
    """
    if unit.shortcut.chain is None or not all(isinstance(element, _KNOWN) for element in unit.branch):
        return None
    mixing = [element for element in unit.branch if isinstance(element, op.Conv | op.Linear | op.Relu)]
    gain = chain_gain(unit.branch, unit.input)
    if gain is None or not mixing or isinstance(mixing[-1], op.Relu):
        return None
    moment = gain.forward
    for element in unit.shortcut.chain:
        match element:
            case op.Gate(branch=True):
                return None
            case op.Scale(branch=float(factor)):
                moment += 2 * math.log10(abs(factor)) if factor else -math.inf
            case _:
                pass
    return moment if moment > -math.inf else None


def _log_sum(one: float, other: float) -> float:
    """log10 of the sum of two powers of 10."""
    least, most = sorted((one, other))
    return most + math.log10(1 + 10 ** (least - most))
