"""A gate on shortcut and branch.

The shortcut is multiplied by 1 - g and the branch by g. What a negative bias gives to the path it takes from the
branch: with a bias near 0 the direct path is lost, with a very negative one the branches hardly count.

What the path keeps is the mean of 1 - g, with the gate's own initial weights and bias, over all units. What a branch is
scaled by is the mean of g for an input of second moment 1.

## Evidence

He et al. 2016, Table 1, ResNet-110 on CIFAR-10, 54 units, identity 6.61 %: a bias of 0 to -5 fails to converge, -6 has
8.70 % and -7 has 9.81 %. With He initialisation the path carries 40 % at -5, 70 % at -6 and 88 % at -7.

The gain and the paper do not always agree. The path is cleaner at -7 than at -6, and the error is greater: the branch
is scaled by 0.0024 at the start, at -6 by 0.0065. And at -5, where 40 % is a warning, the network fails.

## Severity

By what the direct path carries; a bias that suppresses the branch makes it no more severe.

## Example

```resnet
resnet 1

unit gated(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   gate(-5, branch = true)
    projection conv(1x1)
}

network exclusive {
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

import math
from collections.abc import Iterator
from dataclasses import replace

from resdsl.linter.direct_path import on_shortcuts
from resdsl.linter.identity import writing_identity
from resdsl.linter.rule import Finding
from resdsl.linter.shortcuts import Kind, across, first_operator, shortcuts
from resdsl.linter.subject import Group, LintedFile
from resdsl.linter.words import counted, power, several
from resdsl.network import operators as op
from resdsl.network.types import PerCopy
from resdsl.theory.path_gain import chain_gain


def check(file: LintedFile) -> Iterator[Finding]:
    for group in shortcuts(file, Kind.EXCLUSIVE_GATE):
        effect = on_shortcuts(group)
        biases = across(group, op.Gate, lambda gate: gate.bias)
        yield Finding(
            effect.severity,
            f"{counted(group.copies, 'gate')}{group.shortened} of bias {several(biases)} on shortcut and branch: {effect.words}, and "
            f"each branch starts scaled by {_branch(group, biases)}; He et al. 2016, Table 1: 0 to -5 fail to converge, "
            "-6 8.70 %, -7 9.81 %, identity 6.61 %",
            group.spans,
            group.network,
            group.label,
            amount=effect.amount,
            help="write `shortcut identity`; what weakens a branch may end it: `branch … -> scale(…)`",
            fix=writing_identity(file, group),
        )


def _branch(group: Group, biases: PerCopy) -> str:
    """The mean of g at the start, or the least and the greatest."""
    gate = first_operator(group)
    assert isinstance(gate, op.Gate)
    ends = {min(biases), max(biases)} if isinstance(biases, tuple) else {biases}
    return " to ".join(_mean(replace(gate, bias=bias), group.unit) for bias in sorted(ends))


def _mean(gate: op.Gate, unit: op.Unit) -> str:
    passed = chain_gain((gate,), unit.input)
    assert passed is not None, "a gate has a closed form"
    rest = 1 - 10**passed.mean
    return power(math.log10(rest) if rest > 0 else -math.inf)
