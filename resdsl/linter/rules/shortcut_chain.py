"""Several operators on a shortcut.

The direct path leads through all of them in every unit: what they keep of the signal is multiplied, and multiplied
again with each unit. Chains of weight layers, norms and activations are `shortcut-conv`.

## Evidence

He et al. 2016, Table 1, ResNet-110 on CIFAR-10, 54 units: no operator on the shortcut did as well as the identity, 6.61
%. A scale of 0.5 and dropout of 0.5 fail to converge, gates have 6.91 % at best, 1x1 convolutions 12.22 %.

## Severity

By what the path carries, by the growth of second moments and by the chance to pass all dropouts; by the number of units
where there is no closed form.

## Example

```resnet
resnet 1

unit busy(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   scale(0.9) -> dropout(0.1)
    projection conv(1x1)
}

network crowded {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * busy(16)
    stage 18 * busy(32) first(stride = 2)
    stage 18 * busy(64) first(stride = 2)
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
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.linter.direct_path import on_shortcuts
from resdsl.linter.rule import Finding
from resdsl.linter.shortcuts import Kind, shortcuts
from resdsl.linter.subject import Group, LintedFile
from resdsl.linter.words import counted
from resdsl.network import operators as op
from resdsl.network.operators import OPERATOR_NAMES

SHOWN = 4
"""No more operators of a chain are named."""


def check(file: LintedFile) -> Iterator[Finding]:
    for group in shortcuts(file, Kind.CHAIN):
        effect = on_shortcuts(group)
        yield Finding(
            effect.severity,
            f"{counted(group.copies, 'shortcut')}{group.shortened} with {_named(group)}: {effect.words}; He et al. 2016, Table 1: "
            "none of five operators did as well as the identity",
            group.spans,
            group.network,
            group.label,
            amount=effect.amount,
            help="write `shortcut identity`; what the unit needs of this may stand in its branch",
        )


def _named(group: Group) -> str:
    """`scale -> dropout`, of the first unit."""
    chain = group.unit.shortcut.chain or ()
    names = [OPERATOR_NAMES[type(element)] for element in chain if not isinstance(element, op.Units)]
    more = f" and {len(names) - SHOWN + 1} more" if len(names) > SHOWN else ""
    return " -> ".join(names[: SHOWN - 1] if more else names) + more
