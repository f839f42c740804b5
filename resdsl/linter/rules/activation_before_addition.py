"""A branch that ends in an activation that is never below 0.

Such a branch can only add. Each unit raises the mean of the signal, which the shortcut passes on, so it grows with
depth: by the mean of relu(z), z normal with variance 1, which is 1 / sqrt(2 pi) = 0.399, in standard deviations of a
branch. For a sigmoid it is 0.5.

What keeps the sign may stand behind the activation: dropout, squeeze and excitation, a pooling, a positive factor.
Units with a norm behind the addition take the mean away again, and in those whose gate multiplies shortcut and branch
it does not grow; they are left alone.

## Evidence

He et al. 2016, Table 2 (c), CIFAR-10: ReLU before the addition has 7.84 % with ResNet-110 (original 6.61 %) and 6.14 %
with ResNet-164 (original 5.93 %). The mean after 54 units is 21.5 standard deviations.

## Severity

By that mean over all such units.

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
from collections.abc import Iterator

from resdsl.linter.places import grouped_parts
from resdsl.linter.preactivate import preactivating
from resdsl.linter.rule import Finding
from resdsl.linter.severity import ONE_SIGN
from resdsl.linter.shortcuts import NORMS
from resdsl.linter.subject import LintedFile, Site
from resdsl.linter.words import counted
from resdsl.network import operators as op
from resdsl.network.types import PerCopy

RELU_MEAN = (2 * math.pi) ** -0.5
SIGMOID_MEAN = 0.5
"""Of the activation of a normal input of mean 0 and variance 1."""


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        ends: list[tuple[Site, str, float]] = []
        for site in network.sites:
            end = _end(site.unit.branch, f"{site.pointer}/branch") if _adds(site.unit) else None
            if end is not None:
                pointer, mean = end
                ends.append((site, pointer, site.copies * mean))
        for group, means in grouped_parts(network, ends):
            yield Finding(
                ONE_SIGN.severity(sum(means)),
                f"{counted(group.copies, 'branch ends', 'branches end')} in an activation that is never below 0: the "
                f"mean of the signal grows by {sum(means):.1f} standard deviations of a branch; He et al. 2016, Table 2 "
                "(c): 7.84 % instead of 6.61 %",
                group.spans,
                network,
                help="let the branch end in its last weight layer or a norm, as with `placement pre`",
                fix=preactivating(file, group) if group.spans[0].text == "relu_before_add" else None,
            )


def _adds(unit: op.Unit) -> bool:
    """Whether the mean of the branch stays in the sum: no norm takes it away, and no gate shares out the two sides."""
    gated = any(isinstance(element, op.Gate) and element.branch for element in unit.shortcut.chain or ())
    return unit.shortcut.chain is not None and not gated and not any(isinstance(each, NORMS) for each in unit.after)


def _end(chain: op.Chain, at: str) -> tuple[str, float] | None:
    """Where the activation stands that a chain ends in, and its mean; None if the end may be below 0."""
    for index in reversed(range(len(chain))):
        here = f"{at}/{index}"
        match chain[index]:
            case op.Relu():
                return here, RELU_MEAN
            case op.Sigmoid():
                return here, SIGMOID_MEAN
            case op.Dropout() | op.DropPath() | op.SqueezeExcite():
                continue
            case op.MaxPool() | op.AvgPool() | op.GlobalAvgPool() | op.Flatten() | op.Pad():
                continue
            case op.Scale(factor=factor, learn=False) if _is_positive(factor):
                continue
            case op.Concat(chains=chains):
                inner = [_end(each, f"{here}/concat/chains/{number}") for number, each in enumerate(chains)]
                found = [end for end in inner if end is not None]
                return min(found, key=lambda end: end[1]) if len(found) == len(inner) else None
            case op.Units(runs=runs):
                return _end(runs[-1].unit.after, f"{here}/units/{len(runs) - 1}/unit/after")
            case _:
                return None
    return None


def _is_positive(factor: PerCopy) -> bool:
    return min(factor) > 0 if isinstance(factor, tuple) else factor > 0
