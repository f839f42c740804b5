"""A gate on the shortcut.

Every unit multiplies what passes through its shortcut by 1 - g, g = sigmoid(conv1x1(x) + bias). Over L units the direct
path keeps the product of L such factors, so a bias that leaves most of the signal in one unit leaves little in fifty.

What is kept is computed from the gate's own initial weights and bias.

## Evidence

He et al. 2016, Table 1, ResNet-110 on CIFAR-10, 54 units, identity 6.61 %: a bias of 0 has 12.86 %, -6 has 6.91 %. With
He initialisation the path carries 5.6e-17 of the signal at 0, 70 % at -6 and 88 % at -7.

A gate learns: at 0 the path starts as lost as with `scale(0.5)`, which fails to converge, and the network still trains.

## Severity

By how much of the signal the direct path carries: a warning below 90 %, an error below 1 %. The second moments of the
signal and of its gradient count too: a warning from a factor of 10 on, an error from a million on.

## Example

```resnet
resnet 1

unit gated(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   gate(-3)
    projection conv(1x1)
}

network cautious {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * gated(16)
    stage 18 * gated(32) first(stride = 2)
    stage 18 * gated(64) first(stride = 2)
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

`gate(…)` becomes `identity`. Unsafe: the network computes something else.
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
    for group in shortcuts(file, Kind.GATE):
        effect = on_shortcuts(group)
        bias = several(across(group, op.Gate, lambda gate: gate.bias))
        yield Finding(
            effect.severity,
            f"{counted(group.copies, 'shortcut')}{group.shortened} gated with bias {bias}: {effect.words}; He et al. 2016, Table 1: 54 "
            "gates of bias 0 have 12.86 %, of -6 6.91 %, identity 6.61 %",
            group.spans,
            group.network,
            group.label,
            amount=effect.amount,
            help="write `shortcut identity`; a gate may end the branch instead: `branch … -> se(16)`",
            fix=writing_identity(file, group),
        )
