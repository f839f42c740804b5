"""A unit without a shortcut.

The direct path ends before it: all that follows learns from what its branch lets through. In a row such units are a
plain network, and that trains worse the deeper it is.

A part that changes the shape between two stages is often a unit without a shortcut. Alone it is a note. A plain unit in
the branch of a residual one cuts only the path inside that branch.

## Evidence

He et al. 2016, Table 1, ResNet-110 on CIFAR-10: without shortcuts 54 units fail to converge (more than 20 % error),
with them 6.61 %. He et al. 2015, Fig. 1: a plain network of 27 units of two layers has a higher error than one of 9, in
training too.

## Severity

By how many such units there are between two shortcuts around them, or in the network.

## Example

```resnet
resnet 1

unit plain(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   none
    projection conv(1x1)
}

network stacked {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * plain(16)
    stage 18 * plain(32) first(stride = 2)
    stage 18 * plain(64) first(stride = 2)
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

`none` becomes `identity`, unless some of the units change the shape and have no projection. Unsafe: the network
computes something else.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Fix
from resdsl.linter.identity import has_projection
from resdsl.linter.rule import Finding
from resdsl.linter.severity import PLAIN
from resdsl.linter.shortcuts import Kind, shortcuts
from resdsl.linter.subject import Group, LintedFile
from resdsl.linter.words import counted
from resdsl.network.shapes import branch_output


def check(file: LintedFile) -> Iterator[Finding]:
    for group in shortcuts(file, Kind.NONE):
        most = _in_a_row(group)
        branches = "its branch" if group.copies == 1 else "their branches"
        message = f"{counted(group.copies, 'unit')} without a shortcut"
        help = "write `shortcut identity`, and `projection conv(1x1)` for where the shape changes"
        if all(site.unit.changes_shape for site in group.sites):
            message += f", where the shape changes: the direct path ends before {branches} and begins anew behind"
            help = "a part between two stages may stay so; elsewhere write `projection conv(1x1)`"
        else:
            message += f" ({most:,} of them in one residual unit)" if most < group.copies else ""
            message += f": nothing passes but through {branches}; He et al. 2016, Table 1: 54 fail to converge"
        yield Finding(
            PLAIN.severity(most),
            message,
            group.spans,
            group.network,
            group.label,
            amount=group.copies,
            help=help,
            fix=_fix(file, group),
        )


def _in_a_row(group: Group) -> int:
    """How many of the units stand behind each other without a shortcut around them that would pass by."""
    known = {site.pointer: site for site in group.network.sites}
    found: dict[str, int] = {}
    for site in group.sites:
        around, repeats = site.pointer, site.repeats
        while around:
            around = around.rpartition("/")[0]
            outer = known.get(around)
            if outer is not None and outer.unit.shortcut.chain is not None:
                repeats = site.repeats // outer.copies
                break
        found[around] = found.get(around, 0) + site.run.count * repeats
    return max(found.values())


def _fix(file: LintedFile, group: Group) -> Fix | None:
    span = group.spans[0]
    sites = (
        (network, site)
        for network in file.networks
        for site in network.sites
        if network.spans(f"{site.pointer}/shortcut")[0] == span
    )
    if span.text != "none" or any(
        branch_output(site.unit) != site.unit.input and not has_projection(file, network, site)
        for network, site in sites
    ):
        return None
    return file.replacing("write `identity`", span, "identity")
