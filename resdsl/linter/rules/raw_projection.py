"""A projection of the raw input, beside a branch that reads the activated one.

Under pre-activation a branch begins with a norm and an activation. Where the shape changes, the projection reads what
these leave, as the branch does. From `input` it reads the sum of all branches before it, which nothing has normalised
and which grows from unit to unit.

Projections read `activated` unless `from` says otherwise. One that brings its own norm or activation before its
weights is not raw.

## Evidence

He et al. 2016, the released code: where the number of channels changes, p = ReLU(BN(x)) feeds both the branch and the
1x1 convolution beside it; that includes the first unit of the network, from 16 to 64 channels, and so the paper's
appendix: the first activation comes before the split.

## Severity

Always a warning.

## Example

```resnet
resnet 1

unit bottleneck(width, stride = 1) {
    placement  pre
    branch     conv(1x1, width, stride) -> conv(3x3, width) -> conv(1x1, 4 * width)
    shortcut   identity
    projection conv(1x1) from input
}

network preact164 {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * bottleneck(16)
    stage 18 * bottleneck(32) first(stride = 2)
    stage 18 * bottleneck(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit bottleneck(width, stride = 1) {
    placement  pre
    branch     conv(1x1, width, stride) -> conv(3x3, width) -> conv(1x1, 4 * width)
    shortcut   identity
    projection conv(1x1)
}

network preact164 {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * bottleneck(16)
    stage 18 * bottleneck(32) first(stride = 2)
    stage 18 * bottleneck(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Fix

`from input` becomes `from activated` where it is written so. Unsafe: the network computes something else.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Fix, Severity
from resdsl.linter.identity import written_unit
from resdsl.linter.rule import Finding
from resdsl.linter.subject import Group, LintedFile
from resdsl.linter.words import counted
from resdsl.network import operators as op
from resdsl.network.network import inner_chains
from resdsl.network.operators import ACTIVATIONS, NORMS
from resdsl.network.types import Tap
from resdsl.syntax import nodes


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        sites = [site for site in network.sites if _is_raw(site.unit)]
        for group in network.grouped(sites, "shortcut"):
            lead = " -> ".join(_lead(group.unit))
            yield Finding(
                Severity.WARNING,
                f"{counted(group.copies, 'projection')} of the raw input, where the branch begins with {lead}; "
                "He et al. 2016, released code: where channels change, both read the activated input",
                group.spans,
                network,
                amount=group.copies,
                help="let it read what the branch's first weight layer reads: `from activated`",
                fix=_activated(file, group),
            )


def _is_raw(unit: op.Unit) -> bool:
    shortcut = unit.shortcut
    chain = shortcut.chain or ()
    reads_input = unit.changes_shape and shortcut.tap is Tap.INPUT and bool(_lead(unit))
    return reads_input and _reads_raw(chain) is True


def _reads_raw(chain: op.Chain) -> bool | None:
    """Whether a weight layer stands before all norms and activations; None if the chain has none of these."""
    for element in chain:
        match element:
            case op.Conv() | op.Linear():
                return True
            case op.Units():
                pass
            case _ if isinstance(element, (*NORMS, *ACTIVATIONS)):
                return False
            case _:
                inside = [raw for inner in inner_chains(element) if (raw := _reads_raw(inner)) is not None]
                if inside:
                    return any(inside)
    return None


def _lead(unit: op.Unit) -> list[str]:
    """The norms and activations that the branch begins with."""
    lead = (element for element in unit.branch[: unit.lead] if not isinstance(element, op.Units))
    return [op.OPERATOR_NAMES[type(element)] for element in lead if isinstance(element, (*NORMS, *ACTIVATIONS))]


def _activated(file: LintedFile, group: Group) -> Fix | None:
    """`activated` in the place of the `input` that the clause says, if it does."""
    unit = written_unit(file, group.network, group.own[0])
    for item in unit.body if unit is not None else ():
        match item:
            case nodes.Clause(value=value, tap=nodes.Name(name="input", span=tap)) if value.span == group.spans[0]:
                return file.replacing("write `from activated`", tap, "activated")
            case _:
                pass
    return None
