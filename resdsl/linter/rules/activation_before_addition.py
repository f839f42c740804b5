"""A branch that ends in an activation that is never below 0.

Such a branch can only add. Each unit raises the mean of the signal, which the shortcut passes on, so it grows with
depth: by the mean of relu(z), z normal with variance 1, which is 1 / sqrt(2 pi) = 0.399, in standard deviations of a
branch. For a sigmoid it is 0.5.

What keeps the sign may stand behind the activation: dropout, a pooling, squeeze and excitation, which starts at about
half, and a positive factor; a branch counts times its factors, that of `scale(1, branch = 0.01)` too. Where shortcuts
multiply by s, the mean of n units is (1 - s^n) / (1 - s) times that of one: 20 with `scale(0.5)` come to 0.8.

Units with a norm behind the addition take the mean away again, and in those whose gate multiplies shortcut and branch
it does not grow; they are left alone. So are those with a norm or a weight layer on the shortcut, through which no mean
passes, and those of which it is not known what passes.

## Evidence

He et al. 2016, Table 2 (c), CIFAR-10: ReLU before the addition has 7.84 % with ResNet-110 (original 6.61 %) and 6.14 %
with ResNet-164 (original 5.93 %). The mean after 54 units is 21.5 standard deviations.

## Severity

By that mean over all such units: a warning from 4 standard deviations on, never an error.

## Example

```resnet
resnet 1

unit rising(width, stride = 1) {
    placement  relu_before_add
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network drifting {
    input 3x32x32
    stem  conv(3x3, 16) -> bn -> relu
    stage 18 * rising(16)
    stage 18 * rising(32) first(stride = 2)
    stage 18 * rising(64) first(stride = 2)
    head  avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit preactivated(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network clean {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * preactivated(16)
    stage 18 * preactivated(32) first(stride = 2)
    stage 18 * preactivated(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Fix

Where the activation comes from the placement `relu_before_add`, that becomes `pre`; the norm and the activation that
end the stem go, and the head begins with them. Unsafe: it is another network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from resdsl.linter.preactivate import preactivating
from resdsl.linter.rule import Finding
from resdsl.linter.severity import ONE_SIGN
from resdsl.linter.subject import LintedFile, Site
from resdsl.linter.words import counted, power
from resdsl.network import operators as op
from resdsl.network.network import copy_of, varies
from resdsl.network.shapes import branch_output
from resdsl.network.types import Shape, Tap
from resdsl.theory.path_gain import chain_gain, has_norms, has_weights

RELU_MEAN = (2 * math.pi) ** -0.5
SIGMOID_MEAN = 0.5
"""Of the activation of a normal input of mean 0 and variance 1."""
KEEPING = (op.Relu, op.MaxPool, op.AvgPool, op.GlobalAvgPool)
"""What passes a mean on, a ReLU one above 0."""
MOST = 1e200
"""No mean is taken to be more."""


@dataclass(frozen=True, slots=True)
class _Rise:
    """Of one copy of a unit: the mean behind it is `kept` times the one before, and `added`.

    pointer: of the activation that the branch ends in.
    """

    pointer: str
    kept: float
    added: float


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        rises = ((site, found[0].pointer, found) for site in network.sites if (found := _rises(site)))
        for group, found in network.grouped_parts(rises):
            growth = _growth(zip(group.sites, found, strict=True))
            grown = f"{growth:.1f}" if 0.1 <= growth < 1e4 else power(math.log10(growth))
            yield Finding(
                ONE_SIGN.severity(growth),
                f"{counted(group.copies, 'branch ends', 'branches end')}{group.shortened} in an activation that is "
                f"never below 0: the mean of the signal grows by {grown} standard deviations of a branch; He et al. "
                "2016, Table 2 (c): 7.84 % instead of 6.61 %",
                group.spans,
                network,
                amount=growth,
                help="let the branch end in its last weight layer or a norm, as with `placement pre`",
                fix=preactivating(file, group) if group.spans[0].text == "relu_before_add" else None,
            )


def _growth(parts: Iterable[tuple[Site, list[_Rise]]]) -> float:
    """Of the mean over all copies on one path; of several paths the greatest."""
    means: dict[str, float] = {}
    for site, rises in parts:
        mean = means.get(site.path, 0.0)
        for rise in rises * site.on_path:
            mean = min(rise.kept * mean + rise.added, MOST)
        means[site.path] = mean
    return max(means.values())


def _rises(site: Site) -> list[_Rise]:
    """Of all copies; none if one of them may go below 0, or is not known."""
    unit, count = site.unit, site.run.count
    copies = [copy_of(unit, index) for index in range(count)] if varies(unit) else [unit]
    found = [rise for copy in copies if (rise := _rise(copy, f"{site.pointer}/branch")) is not None]
    return found * (count // len(copies)) if len(found) == len(copies) else []


def _rise(unit: op.Unit, at: str) -> _Rise | None:
    end = _end(unit.branch, at)
    if end is None or unit.shortcut.chain is None:
        return None
    chain = (*(unit.branch[: unit.lead] if unit.shortcut.tap is Tap.ACTIVATED else ()), *unit.shortcut.chain)
    kept, behind = _kept(chain, unit.input), _kept(unit.after, branch_output(unit))
    weight = _weight(unit.shortcut.chain)
    if kept is None or behind is None or weight <= 0:
        return None
    pointer, mean = end
    return _Rise(pointer, kept * behind, weight * mean * behind)


def _weight(shortcut: op.Chain) -> float:
    """By what a shortcut multiplies the branch; 0 for a gate that shares out the two sides."""
    weight = 1.0
    for element in shortcut:
        match element:
            case op.Scale(branch=float(branch)):
                weight *= branch
            case op.Gate(branch=True):
                return 0.0
            case _:
                pass
    return weight


def _kept(chain: op.Chain, shape: Shape) -> float | None:
    """What a chain leaves of a mean; None if it takes that away, turns its sign, or is not known."""
    passing = tuple(each for each in chain if not isinstance(each, KEEPING))
    turned = any(isinstance(each, op.Scale) and isinstance(each.factor, float) and each.factor < 0 for each in passing)
    if turned or has_weights(passing) or has_norms(passing):
        return None
    gain = chain_gain(passing, shape)
    return None if gain is None else 10**gain.mean


def _end(chain: op.Chain, at: str) -> tuple[str, float] | None:
    """Where the activation stands that a chain ends in, and the mean of the end; None if that may be below 0."""
    weight = 1.0
    for index in reversed(range(len(chain))):
        here = f"{at}/{index}"
        match chain[index]:
            case op.Relu():
                return here, weight * RELU_MEAN
            case op.Sigmoid():
                return here, weight * SIGMOID_MEAN
            case op.SqueezeExcite():
                weight *= SIGMOID_MEAN
            case op.DropPath(p=float(p), rescale=False):
                weight *= 1 - p
            case (
                op.Dropout()
                | op.DropPath()
                | op.MaxPool()
                | op.AvgPool()
                | op.GlobalAvgPool()
                | op.Flatten()
                | op.Pad()
            ):
                continue
            case op.Scale(factor=float(factor), learn=False) if factor > 0:
                weight *= factor
            case op.Concat(chains=chains):
                inner = [_end(each, f"{here}/concat/chains/{number}") for number, each in enumerate(chains)]
                found = [end for end in inner if end is not None]
                pointer, mean = min(found, key=lambda end: end[1], default=("", 0.0))
                return (pointer, weight * mean) if len(found) == len(inner) else None
            case op.Units(runs=runs):
                last = copy_of(runs[-1].unit, runs[-1].count - 1)
                end = _end(last.after, f"{here}/units/{len(runs) - 1}/unit/after")
                return end if end is None else (end[0], weight * end[1])
            case _:
                return None
    return None
