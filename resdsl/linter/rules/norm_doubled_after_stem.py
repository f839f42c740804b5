"""A norm at the end of the stem, and another at the head of the first unit.

The second normalises what has just been normalised. Either the stem ends in norm and activation and the first unit
has none at its head, or the stem ends in its convolution and the first unit activates that.

Poolings, activations, dropout and scales may stand between the two.

## Evidence

He et al. 2016, appendix: the stem keeps norm and ReLU, and the first unit has none of its own. The pre-activated
ResNet-152 then has 60,185,128 parameters, as it has if the stem lacks them; libraries that repeat both have
60,185,256. The 128 more are the weight and bias of 64 channels.

## Severity

Always a warning.

## Example

```resnet
resnet 1

unit basic(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network preact18 {
    input 3x224x224
    stem  conv(7x7, 64, 2) -> bn -> relu -> maxpool(3x3, 2)
    stage 2 * basic(64)
    stage 2 * basic(128) first(stride = 2)
    stage 2 * basic(256) first(stride = 2)
    stage 2 * basic(512) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(1000)
}
```

## Use instead

```resnet
resnet 1

unit basic(width, stride = 1, placement = pre) {
    placement  placement
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network preact18 {
    input 3x224x224
    stem  conv(7x7, 64, 2) -> bn -> relu -> maxpool(3x3, 2)
    stage 2 * basic(64) first(placement = at(mid = norm -> act))
    stage 2 * basic(128) first(stride = 2)
    stage 2 * basic(256) first(stride = 2)
    stage 2 * basic(512) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(1000)
}
```

## Fix

The norm of the stem goes, and the activation behind it, where both are written out in the stem and no other network
of the file needs them. Unsafe: it is another network, and its first shortcut carries the stem's convolution as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Fix, Severity
from resdsl.linter.main_path import backwards, ends, entry, first_of
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile, LintedNetwork
from resdsl.linter.written_ends import leaving_out, sharing, written_clause
from resdsl.network import operators as op
from resdsl.network.operators import ACTIVATIONS, NORMS
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind

_BETWEEN = (*ACTIVATIONS, op.MaxPool, op.AvgPool, op.Dropout, op.Scale)


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        doubled = _doubled(network)
        if doubled is None:
            continue
        pointer, norm = doubled
        name = op.OPERATOR_NAMES[type(norm)]
        yield Finding(
            Severity.WARNING,
            f"the stem ends in {name} and the first unit normalises again at its head; He et al. 2016, appendix: one of the "
            "two, 60,185,128 parameters in ResNet-152; both make 60,185,256",
            network.spans(pointer),
            network,
            help="leave the one of the stem out, or that of the first unit: `first(placement = at(mid = norm -> act))`",
            fix=_without(file, network, pointer),
        )


def _doubled(network: LintedNetwork) -> tuple[str, op.Operator] | None:
    """The norm at the end of what stands before the first unit, and its pointer, if that unit begins with another."""
    path = ends(network.network)
    if path is None or not isinstance(first_of(entry(path.first.unit), (*NORMS, *ACTIVATIONS)), NORMS):
        return None
    for part in backwards(path.before):
        if isinstance(part.element, NORMS):
            return part.pointer, part.element
        if not isinstance(part.element, _BETWEEN):
            return None
    return None


def _without(file: LintedFile, network: LintedNetwork, pointer: str) -> Fix | None:
    """The stem without this norm and the activation behind it, if both are links of it, and one too many for all."""
    clause = written_clause(file, network, ClauseKind.STEM)
    if clause is None or not isinstance(clause.value, nodes.Chain):
        return None
    if any(_doubled(other) is None for other in sharing(file, network)):
        return None
    section, _, index = pointer.rpartition("/")
    if section != "/stem":
        return None
    stem = network.network.stem
    last = int(index) + (int(index) + 1 < len(stem) and isinstance(stem[int(index) + 1], ACTIVATIONS))
    spans = [network.spans(f"/stem/{number}")[0] for number in (int(index), last)]
    written = [link.span for link in clause.value.links]
    if not all(span in written for span in spans) or spans[0] == written[0]:
        return None
    first, end = (written.index(span) for span in spans)
    return Fix(
        "leave norm and activation of the stem out",
        tuple(leaving_out(file, clause.value, first, end)),
        safe=False,
    )
