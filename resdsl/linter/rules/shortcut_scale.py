"""A constant factor on the shortcut.

Every unit multiplies what passes through its shortcut, so over L units the signal that arrives directly, and the
gradient that goes back directly, are multiplied by the product of L factors: it vanishes below 1 and explodes above.

A learned factor counts with the value that it starts from. `scale(1, branch = 0.1)` leaves the path alone.

## Evidence

He et al. 2016, equation 3 and Table 1, ResNet-110 on CIFAR-10, 54 units: identity shortcuts 6.61 %; scaled by 0.5 the
network fails to converge; scaled by 0.5 with the branch scaled by 0.5 too, 12.35 %.

## Severity

By how much of the signal the direct path carries: a warning below 90 %, an error below 1 %. Where it grows, by its
second moment: a warning from a factor of 10 on, an error from a million on.

## Example

```resnet
resnet 1

unit scaled(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   scale(0.5)
    projection conv(1x1)
}

network halved {
    input 3x32x32
    stage 18 * scaled(16)
    stage 18 * scaled(32) first(stride = 2)
    stage 18 * scaled(64) first(stride = 2)
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
    stage 18 * clean(16)
    stage 18 * clean(32) first(stride = 2)
    stage 18 * clean(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Fix

`scale(…)` becomes `identity`. Unsafe: the network computes something else.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.linter.direct_path import on_shortcuts
from resdsl.linter.identity import writing_identity
from resdsl.linter.rule import Finding
from resdsl.linter.shortcuts import Kind, across, shortcuts
from resdsl.linter.subject import LintedFile
from resdsl.linter.words import counted, several
from resdsl.network import operators as op


def check(file: LintedFile) -> Iterator[Finding]:
    for group in shortcuts(file, Kind.SCALE):
        effect = on_shortcuts(group)
        factor = several(across(group, op.Scale, lambda scale: scale.factor))
        yield Finding(
            effect.severity,
            f"{counted(group.copies, 'shortcut')}{group.shortened} scaled by {factor}: {effect.words}; He et al. 2016, Table 1: 54 "
            "scaled by 0.5 fail to converge",
            group.spans,
            group.network,
            group.label,
            amount=effect.amount,
            help="write `shortcut identity`; a factor may end the branch: `branch … -> scale(…)`",
            fix=writing_identity(file, group),
        )
