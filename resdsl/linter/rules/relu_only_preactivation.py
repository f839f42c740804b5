"""A branch that begins with an activation but no norm, though it has norms.

The path is clean, but the first weight layer reads a signal that no norm has touched, and its size grows from unit to
unit. With the norm in front as well it is full pre-activation, which did better.

## Evidence

He et al. 2016, Table 2, CIFAR-10, (d) ReLU-only pre-activation against (e) full pre-activation: ResNet-110 6.71 and
6.37 %, ResNet-164 5.91 and 5.46 %. The original (a) has 6.61 and 5.93 %.

## Severity

Always a note: it is about as good as the original.

## Example

```resnet
resnet 1

unit halfway(width, stride = 1) {
    placement  relu_only_pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network unnormed {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * halfway(16)
    stage 18 * halfway(32) first(stride = 2)
    stage 18 * halfway(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
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

Where the activation comes from the placement `relu_only_pre`, that becomes `pre`; the norm and the activation that end
the stem go, and the head begins with them. Unsafe: it is another network.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Severity
from resdsl.linter.preactivate import preactivating
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile, Site
from resdsl.linter.words import counted
from resdsl.network import operators as op
from resdsl.network.network import inner_chains
from resdsl.network.operators import ACTIVATIONS, NORMS


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        activations: list[tuple[Site, str, None]] = []
        for site in network.sites:
            index = _leading_activation(site.unit)
            if index is not None:
                activations.append((site, f"{site.pointer}/branch/{index}", None))
        for group, _ in network.grouped_parts(activations):
            yield Finding(
                Severity.NOTE,
                f"{counted(group.copies, 'branch begins', 'branches begin')} with an activation and no norm; He et al. "
                "2016, Table 2 (d): 6.71 %, with the norm 6.37 %; 5.91 and 5.46 % with 164 layers",
                group.spans,
                network,
                amount=group.copies,
                help="write `placement pre`: norm and activation before each weight layer",
                fix=preactivating(file, group),
            )


def _leading_activation(unit: op.Unit) -> int | None:
    """Where a branch with norms has an activation at its head, and no norm there."""
    lead, rest = unit.branch[: unit.lead], unit.branch[unit.lead :]
    if unit.shortcut.chain is None or any(isinstance(element, NORMS) for element in lead) or not _has_norm(rest):
        return None
    return next((index for index, element in enumerate(lead) if isinstance(element, ACTIVATIONS)), None)


def _has_norm(chain: op.Chain) -> bool:
    """Units aside, which have norms of their own."""
    return any(
        isinstance(element, NORMS) or any(map(_has_norm, inner_chains(element)))
        for element in chain
        if not isinstance(element, op.Units)
    )
