"""An activation behind the addition.

What a ReLU closes on the way is lost to all that follows, and its gradient too: the path from unit to unit is no longer
the identity. With branches of either sign alike, a path through l units stays open with a chance of C(2l, l) / 4^l,
about 1 / sqrt(pi l): 7.7 % after 54 units, 3.1 % after 333. That falls slowly, so networks of some fifty units hardly
mind and those of some hundred do. For other activations there is no closed form.

## Evidence

He et al. 2016, Tables 2 and 3, CIFAR-10, ReLU behind the addition against full pre-activation: ResNet-110 6.61 and 6.37
%, ResNet-164 5.93 and 5.46 %, ResNet-1001 7.61 and 4.92 %. Table 5, ImageNet, ResNet-200 at 320x320: 21.8 and 20.7 %.

## Severity

By the chance that the path stays open, for ReLUs; by the number of units for other activations.

## Example

```resnet
resnet 1

unit original(width, stride = 1) {
    placement  post
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network deep {
    input 3x32x32
    stem  conv(3x3, 16) -> bn -> relu
    stage 100 * original(16)
    stage 100 * original(32) first(stride = 2)
    stage 100 * original(64) first(stride = 2)
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

network deep {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 100 * preactivated(16)
    stage 100 * preactivated(32) first(stride = 2)
    stage 100 * preactivated(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Fix

Where the activation comes from a named placement, that becomes `pre`; the norm and the activation that end the stem go,
and the head begins with them. Unsafe: it is another network.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.linter.after import After, after_addition, standing
from resdsl.linter.direct_path import activations_behind
from resdsl.linter.preactivate import preactivating
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.linter.words import counted


def check(file: LintedFile) -> Iterator[Finding]:
    for group in after_addition(file, After.ACTIVATION):
        severity, words = activations_behind(standing(group.unit, After.ACTIVATION), group.length)
        yield Finding(
            severity,
            f"{counted(group.copies, 'addition')}{group.shortened} with an activation behind: {words}; He et al. 2016, Table 3, against "
            "pre-activation: 6.61 and 6.37 % in 54 units, 7.61 and 4.92 % in 333",
            group.spans,
            group.network,
            group.label,
            amount=group.length,
            help="write `placement pre`: norm and activation before each weight layer, nothing behind the addition",
            fix=preactivating(file, group),
        )
