"""Zeros for the new channels of a shortcut, option A of He et al. 2015.

`pad` needs no parameters. But the new channels of the path start empty behind it: what stands there was put there by
this branch and those that follow. With a stride, one pixel of each square goes on and the others are dropped.

A shortcut with weights beside the `pad` is no option A.

## Evidence

He et al. 2015 compare A, zeros where channels are new; B, a convolution there; and C, a convolution on every
shortcut. All three train. Their ResNets for CIFAR have A, so this is a note. For ResNet-110 B costs 2,560 parameters,
512 + 2,048 for two 1x1 convolutions: pre-activated it has 1,727,962 with A and 1,730,522 with B.

## Severity

Always a note.

## Example

```resnet
resnet 1

unit basic(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection pad
}

network option_a {
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

network option_b {
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
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile, Site
from resdsl.linter.words import counted, listed
from resdsl.network import operators as op
from resdsl.network.shapes import output, shortcut_input
from resdsl.theory.path_gain import has_weights


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        padded = (part for site in network.sites if (part := _padded(site)) is not None)
        for group, pads in network.grouped_parts(padded):
            empty = dict.fromkeys(f"{pad.channels - read} of {pad.channels}" for pad, read in pads)
            squares = [f"in {stride**2}" for stride in sorted({pad.stride for pad, _ in pads}) if stride > 1]
            yield Finding(
                Severity.NOTE,
                f"{counted(group.copies, 'shortcut')} padded with zeros (option A of He et al. 2015): {listed(list(empty))} "
                f"channels start empty" + (f", and one pixel {' or '.join(squares)} goes on" if squares else ""),
                group.spans,
                network,
                amount=group.copies,
                help="option B has weights for all of them: `projection conv(1x1)`",
            )


def _padded(site: Site) -> tuple[Site, str, tuple[op.Pad, int]] | None:
    """The first `pad` that appends channels to a shortcut without weights, where the shape changes.

    With its pointer, and how many channels it reads.
    """
    chain = site.unit.shortcut.chain or ()
    if not site.unit.changes_shape or has_weights(chain):
        return None
    shape = shortcut_input(site.unit)
    for index, element in enumerate(chain):
        if isinstance(element, op.Pad) and element.channels > shape.channels:
            return site, f"{site.pointer}/shortcut/chain/{index}", (element, shape.channels)
        shape = output(element, shape)
    return None
