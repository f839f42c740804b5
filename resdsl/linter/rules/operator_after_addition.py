"""An operator behind the addition that is neither norm nor activation.

A scale, dropout or anything else there acts on the whole sum, so every unit applies it to all that came before: it does
to the path what it would do on the shortcut. In the branch it would act on that unit's part alone.

## Evidence

He et al. 2016, equation 3 and Table 1, ResNet-110 on CIFAR-10, 54 units: identity 6.61 %; scaled by 0.5, shortcut and
branch 12.35 %, which is what a scale behind the addition does; dropout of 0.5 on the shortcut fails to converge.

## Severity

By what the path carries, by the growth of second moments and by the chance to pass all dropouts; by the number of units
where there is no closed form.

## Example

```resnet
resnet 1

unit damped(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
    after      scale(0.9)
}

network fading {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * damped(16)
    stage 18 * damped(32) first(stride = 2)
    stage 18 * damped(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit weak(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width) -> scale(0.9)
    shortcut   identity
    projection conv(1x1)
}

network lasting {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * weak(16)
    stage 18 * weak(32) first(stride = 2)
    stage 18 * weak(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.linter.after import After, after_addition, standing
from resdsl.linter.direct_path import behind_additions
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.linter.words import counted
from resdsl.network import operators as op
from resdsl.network.operators import OPERATOR_NAMES


def check(file: LintedFile) -> Iterator[Finding]:
    for group in after_addition(file, After.OTHER):
        effect = behind_additions(group)
        operator = standing(group.unit, After.OTHER)[0]
        assert not isinstance(operator, op.Units), "no unit stands behind an addition"
        name = OPERATOR_NAMES[type(operator)]
        yield Finding(
            effect.severity,
            f"{counted(group.copies, 'addition')}{group.shortened} with {name} behind: {effect.words}; He et al. 2016, Table 1: 54 sums "
            "scaled by 0.5 have 12.35 %, identity 6.61 %",
            group.spans,
            group.network,
            group.label,
            amount=effect.amount,
            help=f"let the branch end in it, `branch … -> {name}`, and nothing follow the addition",
        )
