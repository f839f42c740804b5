"""A learned scale at the end of a branch that starts too large.

Such a scale is there so that the units start near the identity. Branches that start with a factor above 1 / sqrt(L),
L the units of the network, add more than the signal itself over the depth.

The scale ends the branch if only dropout and drop_path follow it. Branches that start at 0 by their weights are left
alone.

## Evidence

SkipInit (De and Smith 2020): a scalar of at most 1 / sqrt(L), or 0. ReZero (Bachlechner et al. 2020): a scalar of 0.
LayerScale (Touvron et al. 2021): 1e-6 for each channel. If each branch gives back the second moment that it reads,
factors of 1 / sqrt(L) make the whole network multiply it by (1 + 1 / L)^L, less than e = 2.7; factors of 1 make it
2^L.

## Severity

A warning, or a note if the branch has a norm.

## Example

```resnet
resnet 1

unit wide(width, stride = 1) {
    branch     relu -> conv(3x3, width, stride) -> relu -> conv(3x3, width) -> scale(1, learn = true)
    shortcut   identity
    projection conv(1x1)
}

network large {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 4 * wide(64)
    stage 4 * wide(128) first(stride = 2)
    stage 4 * wide(256) first(stride = 2)
    head  relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit wide(width, stride = 1) {
    branch     relu -> conv(3x3, width, stride) -> relu -> conv(3x3, width) -> scale(0, learn = true)
    shortcut   identity
    projection conv(1x1)
}

network skipinit {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 4 * wide(64)
    stage 4 * wide(128) first(stride = 2)
    stage 4 * wide(256) first(stride = 2)
    head  relu -> avgpool -> linear(10)
}
```

## Fix

The factor becomes 0 where it is a number, written in this file. Unsafe: the network starts elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from resdsl.diagnostics import Fix, Severity
from resdsl.linter.main_path import chain_parts, first_of
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile, LintedNetwork, Site
from resdsl.linter.words import counted, power, several
from resdsl.linter.zero_start import Zeros, start_of
from resdsl.network import operators as op
from resdsl.network.network import count_units
from resdsl.network.operators import NORMS
from resdsl.network.types import PerCopy
from resdsl.source import Span
from resdsl.syntax import nodes
from resdsl.syntax.walk import expressions, walk


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        units = sum(count_units(chain) for _, chain in network.network.sections())
        bound = 1 / math.sqrt(max(1, units))
        for group, scales in network.grouped_parts(_large(network, bound)):
            normed = all(first_of(site.unit.branch, NORMS) for site in group.sites)
            large = [start for scale in scales for start in _all(scale.factor) if abs(start) > bound]
            branches = sum(_count(site, scale, bound) for site, scale in zip(group.sites, scales, strict=True))
            yield Finding(
                Severity.NOTE if normed else Severity.WARNING,
                f"{counted(branches, 'branch ends', 'branches end')} in a learned scale that starts at "
                f"{several(tuple(large)) if len(set(large)) > 1 else several(large[0])}, above 1 / sqrt({units}) = "
                f"{power(math.log10(bound))}; De and Smith 2020: at most that, Bachlechner et al. 2020: 0",
                group.spans,
                network,
                amount=max(abs(start) for start in large) + branches / 1e6,
                help="start at 0, `scale(0, learn = true)`, or for each channel at 1e-6 (Touvron et al. 2021)",
                fix=_starting_at_zero(file, group.spans[0]),
            )


def _large(network: LintedNetwork, bound: float) -> Iterator[tuple[Site, str, op.Scale]]:
    """The units that end in a learned scale that starts above the bound, with its pointer."""
    for site in network.sites:
        parts = chain_parts(site.unit.branch, f"{site.pointer}/branch")
        while parts and isinstance(parts[-1].element, op.Dropout | op.DropPath):
            parts.pop()
        match parts[-1].element if parts else None:
            case op.Scale(learn=True) as scale if max(abs(start) for start in _all(scale.factor)) > bound:
                if site.unit.shortcut.chain is not None and start_of(parts) == Zeros():
                    yield site, parts[-1].pointer, scale
            case _:
                pass


def _count(site: Site, scale: op.Scale, bound: float) -> int:
    """The copies of a unit whose scale starts above the bound."""
    if not isinstance(scale.factor, tuple):
        return site.copies
    return site.repeats * sum(abs(start) > bound for start in scale.factor)


def _all(factor: PerCopy) -> tuple[float, ...]:
    return factor if isinstance(factor, tuple) else (factor,)


def _starting_at_zero(file: LintedFile, span: Span) -> Fix | None:
    """0 in the place of the factor of the call that stands there, if that is a number."""
    for item in file.tree.items:
        for expression in expressions(item):
            for node in walk(expression):
                if isinstance(node, nodes.Call) and node.span == span:
                    return _with_zero(file, node)
    return None


def _with_zero(file: LintedFile, call: nodes.Call) -> Fix | None:
    for index, argument in enumerate(call.arguments):
        if argument.name == "factor" or (index == 0 and argument.name is None):
            match argument.value:
                case nodes.Integer() | nodes.Float() | nodes.Unary(operand=nodes.Integer() | nodes.Float()):
                    return file.replacing("let the scale start at 0", argument.value.span, "0")
                case _:
                    return None
    return None
