"""A weight layer on the shortcut where no shape changes.

Each one multiplies the second moment of what passes by its fan-in times the variance of its weights, and mixes the
channels: no term of the signal itself is left. With He initialisation the second moment doubles in every unit. A norm
behind the layer keeps the size, and the mixing stays. Where the shape changes, something must change it; such a layer
is no defect there.

Norms and activations behind the layer count with it.

## Evidence

He et al. 2016, Table 1, ResNet-110 on CIFAR-10: a 1x1 convolution on each of 54 shortcuts 12.22 %, identity 6.61 %. 2
to the power of 54 is 1.8e16.

## Severity

By the number of such units, and by the growth or decay of second moments where there is a closed form.

## Example

```resnet
resnet 1

unit convolved(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   conv(1x1)
    projection conv(1x1)
}

network option_c {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * convolved(16)
    stage 18 * convolved(32) first(stride = 2)
    stage 18 * convolved(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit clean(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network whole {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * clean(16)
    stage 18 * clean(32) first(stride = 2)
    stage 18 * clean(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Fix

The layer becomes `identity`, with the norm or activation that is written behind it. Where the same clause changes the
shape, it becomes the unit's projection. Unsafe: the network computes something else.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.linter.direct_path import on_shortcuts
from resdsl.linter.identity import writing_identity
from resdsl.linter.rule import Finding
from resdsl.linter.shortcuts import Kind, shortcuts
from resdsl.linter.subject import LintedFile
from resdsl.linter.words import counted


def check(file: LintedFile) -> Iterator[Finding]:
    for group in shortcuts(file, Kind.CONV):
        effect = on_shortcuts(group)
        yield Finding(
            effect.severity,
            f"{counted(group.copies, 'shortcut')}{group.shortened} with weights where no shape changes: {effect.words}; He et al. 2016, "
            "Table 1: 54 1x1 convolutions have 12.22 %, identity 6.61 %",
            group.spans,
            group.network,
            group.label,
            amount=effect.amount,
            help="write `shortcut identity`, and `projection conv(1x1)` for where the shape changes",
            fix=writing_identity(file, group),
        )
