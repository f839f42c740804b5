"""An operator on the shortcut that changes what passes.

A norm, an activation, a pooling, squeeze and excitation: whatever it is, every unit applies it once more, and what it
takes from the signal it takes as often as there are units. Scales, gates, dropout, weights and parts of the channels
have rules of their own.

## Evidence

He et al. 2016, section 3 and Table 1: with ResNet-110 on CIFAR-10 no operator on the shortcut did as well as the
identity, 6.61 %. A ReLU there leaves the path open with a chance of C(2l, l) / 4^l over l units, 7.7 % over 54, as one
behind the addition does: what it lets through once, it mostly lets through again.

## Severity

By what the path carries and by the growth of second moments; by the number of units where there is no closed form.

## Example

```resnet
resnet 1

unit rectified(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   relu
    projection conv(1x1)
}

network dimmed {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * rectified(16)
    stage 18 * rectified(32) first(stride = 2)
    stage 18 * rectified(64) first(stride = 2)
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

The operator becomes `identity`, where it stands alone and can be left out. Unsafe: the network computes something else.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.linter.direct_path import on_shortcuts
from resdsl.linter.identity import writing_identity
from resdsl.linter.rule import Finding
from resdsl.linter.shortcuts import Kind, first_operator, shortcuts
from resdsl.linter.subject import LintedFile
from resdsl.linter.words import counted
from resdsl.network import operators as op
from resdsl.network.operators import OPERATOR_NAMES


def check(file: LintedFile) -> Iterator[Finding]:
    for group in shortcuts(file, Kind.OTHER):
        operator = first_operator(group)
        assert not isinstance(operator, op.Units), "shortcuts hold no units"
        effect = on_shortcuts(group)
        name = OPERATOR_NAMES[type(operator)]
        yield Finding(
            effect.severity,
            f"{counted(group.copies, 'shortcut')}{group.shortened} with {name}: {effect.words}; He et al. 2016, Table 1: "
            "none of five operators did as well as the identity",
            group.spans,
            group.network,
            group.label,
            amount=effect.amount,
            help="write `shortcut identity`; the operator may stand in the branch",
            fix=writing_identity(file, group),
        )
