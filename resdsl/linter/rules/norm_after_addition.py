"""A norm behind the addition.

The norm stands on the path from unit to unit, so what arrives is scaled and shifted by every one of them, and the
gradient as well. The effect is a product over the units, with no closed form. Measured at the start on the 54 units of
He et al. 2016, Table 2 (b), ten in a row leave 4 to 12 % of the path (root mean square), and the 54 together 3e-6.

## Evidence

He et al. 2016, Table 2, CIFAR-10, (b) BN and ReLU behind the addition against (a) ReLU alone there and (e) full
pre-activation: ResNet-110 8.17, 6.61 and 6.37 %, ResNet-164 6.50, 5.93 and 5.46 %. On ImageNet, ResNet-101 has 24.6 %
so, and 23.6 % with ReLU alone.

## Severity

By the number of such units.

## Example

```resnet
resnet 1

unit normed(width, stride = 1) {
    placement  bn_after_add
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network blocked {
    input 3x32x32
    stem  conv(3x3, 16) -> bn -> relu
    stage 18 * normed(16)
    stage 18 * normed(32) first(stride = 2)
    stage 18 * normed(64) first(stride = 2)
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

Where the norm comes from a named placement, that becomes `pre`; the norm and the activation that end the stem go, and
the head begins with them. Unsafe: it is another network.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.linter.after import After, after_addition
from resdsl.linter.direct_path import norms_behind
from resdsl.linter.preactivate import preactivating
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.linter.words import counted


def check(file: LintedFile) -> Iterator[Finding]:
    for group in after_addition(file, After.NORM):
        severity, words = norms_behind(group.length)
        yield Finding(
            severity,
            f"{counted(group.copies, 'addition')}{group.shortened} with a norm behind: {words}; He et al. 2016, Table 2 (b): 8.17 % "
            "instead of 6.61 %, with 164 layers 6.50 instead of 5.93 %",
            group.spans,
            group.network,
            group.label,
            amount=group.length,
            help="write `placement pre`: norm and activation before each weight layer, nothing behind the addition",
            fix=preactivating(file, group),
        )
