"""Dropout on the shortcut.

An element that is dropped once does not reach the units behind. It passes L shortcuts with a chance of (1 - p) to the
power of L. Dividing what passes by 1 - p keeps the mean, not the signal.

`drop_path` drops the whole shortcut of a sample and counts as much. Both do nothing in evaluation, so the finding is
about training.

## Evidence

He et al. 2016, Table 1, ResNet-110 on CIFAR-10: dropout of 0.5 on each of 54 shortcuts fails to converge, identity 6.61
%. 0.5 to the power of 54 is 5.6e-17.

## Severity

By the chance that an element passes all of them, not by the mean, which stays 1.

## Example

```resnet
resnet 1

unit dropping(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   dropout(0.1)
    projection conv(1x1)
}

network forgetful {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * dropping(16)
    stage 18 * dropping(32) first(stride = 2)
    stage 18 * dropping(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit clean(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> dropout(0.1) -> conv(3x3, width)
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

`dropout(…)` or `drop_path(…)` becomes `identity`. Unsafe: the network trains otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.linter.direct_path import on_shortcuts
from resdsl.linter.identity import writing_identity
from resdsl.linter.rule import Finding
from resdsl.linter.severity import LOST
from resdsl.linter.shortcuts import Kind, across, first_operator, shortcuts
from resdsl.linter.subject import LintedFile
from resdsl.linter.words import counted, power, several
from resdsl.network import operators as op
from resdsl.network.operators import OPERATOR_NAMES


def check(file: LintedFile) -> Iterator[Finding]:
    for group in shortcuts(file, Kind.DROPOUT):
        kind = op.DropPath if isinstance(first_operator(group), op.DropPath) else op.Dropout
        kept = on_shortcuts(group).kept
        p = several(across(group, kind, lambda operator: operator.p))
        yield Finding(
            LOST.severity(-kept),
            f"{counted(group.copies, 'shortcut')}{group.shortened} with {OPERATOR_NAMES[kind]} of {p}: in training an element passes all "
            f"of them with a chance of {power(kept)}; He et al. 2016, Table 1: 54 dropouts of 0.5 fail to converge",
            group.spans,
            group.network,
            group.label,
            amount=-kept,
            help="write `shortcut identity`; dropout may stand in the branch, and `drop_path` may end it",
            fix=writing_identity(file, group),
        )
