"""A shortcut for part of the channels.

The other channels of the sum are the branch's alone: for them the unit is a plain one. The same channels pass in every
unit, so the share of the signal that has a direct path is that of one unit, however many follow. What stands on the
part that passes counts besides.

Networks of two streams are built so (Targ et al. 2016): one half of the channels passes, the other is computed anew in
every unit.

## Evidence

Derived: of channels of equal size the direct path carries the share that passes. Where none passes, He et al. 2016,
Table 1, 54 units: fails to converge; where all pass, 6.61 %. For shares between there is no measurement.

## Severity

By the share of the channels that pass, times what the operators on them keep.

## Example

```resnet
resnet 1

unit halved(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   partial(0.5)
    projection conv(1x1)
}

network streams {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * halved(16)
    stage 18 * halved(32) first(stride = 2)
    stage 18 * halved(64) first(stride = 2)
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

import math
from collections.abc import Iterator

from resdsl.linter.direct_path import on_shortcuts
from resdsl.linter.rule import Finding
from resdsl.linter.severity import LOST, worst
from resdsl.linter.shortcuts import Kind, shortcuts
from resdsl.linter.subject import Group, LintedFile
from resdsl.linter.words import counted
from resdsl.network import operators as op
from resdsl.network.shapes import shortcut_input


def check(file: LintedFile) -> Iterator[Finding]:
    for group in shortcuts(file, Kind.PARTIAL):
        share, channels, of = _least_share(group)
        effect = on_shortcuts(group)
        mean = 0.0 if effect.gain is None or effect.weights else effect.gain.mean
        rest = "the same pass in every unit, and the others have no direct path" if channels < of else "all pass"
        inside = "" if effect.is_nothing else f"; among those that pass {effect.words}"
        yield Finding(
            worst(effect.severity, LOST.severity(-math.log10(share) - mean)),
            f"{counted(group.copies, 'shortcut')} for {channels} of {of} channels: {rest}{inside}; He et al. 2016, Table "
            "1: with none 54 units fail to converge, with all they have 6.61 %",
            group.spans,
            group.network,
            group.label,
            amount=effect.amount,
            help="write `shortcut identity`, unless the other channels are meant to be a stream of their own",
        )


def _least_share(group: Group) -> tuple[float, int, int]:
    """Of the channels that pass, with both numbers."""
    found: list[tuple[float, int, int]] = []
    for site in group.sites:
        of = shortcut_input(site.unit).channels
        match site.unit.shortcut.chain:
            case (op.Partial(channels=channels), *_):
                found.append((channels / of, channels, of))
            case _:
                pass
    return min(found)
