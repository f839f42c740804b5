"""The first identity of a pre-activated network, which carries the stem's convolution as it is.

Under pre-activation each unit activates what it reads for its branch only, and the sum at the end is activated once
more. Its first term is then what the stem's convolution gives, with no norm and no activation. In the paper's
networks the first activation comes before the split: branch and shortcut of the first unit both read it.

Both train; libraries have both. It should be one of them on purpose.

## Evidence

He et al. 2016, appendix: the first unit of a pre-activated network is special, its first activation comes before the
split into branch and shortcut. For ResNet-110 with basic units that is a unit of its own, as its first unit changes
no shape. The bottlenecks of ResNet-164 and 1001 change the shape in the first unit, and have it by the projection.

## Severity

Always a note.

## Example

```resnet
resnet 1

unit basic(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network preact20 {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 3 * basic(16)
    stage 3 * basic(32) first(stride = 2)
    stage 3 * basic(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit basic(width, stride = 1, tap = input) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity from tap
    projection conv(1x1)
}

network preact20 {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 3 * basic(16) first(tap = activated)
    stage 3 * basic(32) first(stride = 2)
    stage 3 * basic(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Severity
from resdsl.linter.main_path import Ends, Part, backwards, ends, first_of
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.network import operators as op
from resdsl.network.operators import ACTIVATIONS, NORMS
from resdsl.network.types import Tap
from resdsl.theory.path_gain import has_weights


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        path = ends(network.network)
        layer = _raw_layer(path) if path is not None and _reads_unactivated(path.first.unit) else None
        if path is None or layer is None:
            continue
        name = op.OPERATOR_NAMES[type(layer)]
        yield Finding(
            Severity.NOTE,
            f"the first shortcut carries what the {name} before it gives, neither normalised nor activated; He et al. 2016, "
            "appendix: the first activation comes before the split into branch and shortcut",
            network.spans(path.first.pointer),
            network,
            help="let the first unit share its activation, `shortcut identity from tap` and `first(tap = activated)`; "
            "or end the stem in norm -> act and give the first unit none at its head",
        )


def _reads_unactivated(unit: op.Unit) -> bool:
    """Whether a unit that activates what its branch reads has a shortcut without weights that reads the input."""
    shortcut = unit.shortcut
    lead = unit.branch[: unit.lead]
    if shortcut.chain is None or shortcut.tap is not Tap.INPUT or has_weights(shortcut.chain):
        return False
    return first_of(lead, (*NORMS, *ACTIVATIONS)) is not None and not first_of(shortcut.chain, (*NORMS, *ACTIVATIONS))


def _raw_layer(path: Ends) -> op.Conv | op.Linear | None:
    """The weight layer before the first unit, if neither norm nor activation follows it."""
    for part in backwards(path.before):
        match part:
            case Part(element=op.Conv() | op.Linear() as layer):
                return layer
            case Part(
                element=op.MaxPool() | op.AvgPool() | op.GlobalAvgPool() | op.Flatten() | op.Scale() | op.Dropout()
            ):
                pass
            case _:
                return None
    return None
