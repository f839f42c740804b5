"""A norm or an activation on a projection.

Where the shape changes, the shortcut of an original ResNet is a convolution and its norm, in libraries at least. It
is one of few in the network, and does little harm: a note. Under full pre-activation the paper's projection is the
convolution alone. A norm there makes another network of it, one that scales the path anew at each change of shape.

A norm on a change of shape without weights, as `pad -> bn`, scales the path just as much, and is told too.

## Evidence

He et al. 2016, the released code: the 1x1 convolution beside a pre-activated branch has no norm of its own. Counts
tell the two apart: ResNet-110 with option B of He et al. 2015 has 1,730,522 parameters pre-activated and 1,730,714
with the norms of both projections; 192 is their weights and biases, 2 * (32 + 64).

## Severity

Always a note.

## Example

```resnet
resnet 1

unit basic(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1) -> bn
}

network preact110 {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * basic(16)
    stage 18 * basic(32) first(stride = 2)
    stage 18 * basic(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit basic(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network preact110 {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * basic(16)
    stage 18 * basic(32) first(stride = 2)
    stage 18 * basic(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Severity
from resdsl.linter.main_path import first_of
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile
from resdsl.linter.words import counted
from resdsl.network import operators as op
from resdsl.network.operators import ACTIVATIONS, NORMS
from resdsl.theory.path_gain import has_weights


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        sites = [site for site in network.sites if site.unit.changes_shape and _has_more(site.unit.shortcut)]
        for group in network.grouped(sites, "shortcut"):
            chain = group.unit.shortcut.chain or ()
            kinds = [type(element) for element in chain if not isinstance(element, op.Units)]
            written = " -> ".join(op.OPERATOR_NAMES[kind] for kind in kinds)
            words, help = _judged(group.unit)
            yield Finding(
                Severity.NOTE,
                f"{counted(group.copies, 'projection')} of {written}{words}",
                group.spans,
                network,
                amount=group.copies,
                help=help,
            )


def _judged(unit: op.Unit) -> tuple[str, str]:
    """What is said of a projection, and the help."""
    if not has_weights(unit.shortcut.chain or ()):
        return ": the norm scales the path anew, and no weights stand before it that need one", "leave the norm out"
    if first_of(unit.branch[: unit.lead], NORMS):
        return (
            " beside pre-activated branches; those of He et al. 2016, released code, are the convolution alone",
            "`placement pre` with `projection conv(1x1)` leaves the convolution alone",
        )
    return (
        "; libraries' original ResNets have conv -> bn, the pre-activated ones of He et al. 2016 conv alone",
        "as it should be, if this is meant to be an original ResNet of the libraries",
    )


def _has_more(shortcut: op.Shortcut) -> bool:
    chain = shortcut.chain or ()
    return first_of(chain, (*NORMS, *ACTIVATIONS) if has_weights(chain) else NORMS) is not None
