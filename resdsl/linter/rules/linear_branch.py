"""Three or more weight layers in a row on a branch, with no activation between.

Together they compute one linear map, which a single layer could. And they make the start flat: each derivative of the
branch by its weights has a factor from every layer that it spares, so near weights of zero, where residual branches
belong, gradient and curvature vanish with them.

What counts is the longest row on any path. Norms are no activations; a max pooling, `se` or a unit ends a row.

## Evidence

Li et al. 2016, Theorem 2: a network of shortcuts around n layers, with all weights zero, has no derivative other than
0 of any order from 1 to n - 1. For n >= 3 the Hessian is 0: at weights of size e loss, gradient and Hessian scale as
e^n, e^(n-1) and e^(n-2). For n = 2 its condition number does not depend on depth. The theorem holds with activations
too; without, the layers bring nothing for it.

This is about the start near zero. Networks of three layers a unit that start at 0.3 times Xavier's initialisation
train well: what fails is leaving the flat place.

## Severity

Always a warning.

## Example

```resnet
resnet 1

unit triple(width) {
    branch   linear(width) -> linear(width) -> linear(width)
    shortcut identity
}

network shortcut3 {
    input 10
    stage 5 * triple(10)
}
```

## Use instead

```resnet
resnet 1

unit pair(width) {
    branch   linear(width) -> relu -> linear(width, init = zero)
    shortcut identity
}

network shortcut2 {
    input 10
    stage 8 * pair(10)
}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Severity
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile, Site
from resdsl.linter.words import counted
from resdsl.network import operators as op
from resdsl.network.operators import ACTIVATIONS

_LEAST = 3
_ENDS_ROW = (*ACTIVATIONS, op.MaxPool, op.SqueezeExcite, op.Units)


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        rows = {site.pointer: row for site in network.sites if (row := _row_of(site)) >= _LEAST}
        for group in network.grouped([site for site in network.sites if site.pointer in rows], "branch"):
            row = max(rows[site.pointer] for site in group.sites)
            yield Finding(
                Severity.WARNING,
                f"{counted(group.copies, 'branch', 'branches')} with {row} weight layers in a row and no activation between: "
                "one linear map, whose gradient and Hessian vanish at zero weights (Li et al. 2016, Theorem 2)",
                group.spans,
                network,
                amount=row + group.copies / 1e6,
                help="put an activation between the layers, or keep to two",
            )


def _row_of(site: Site) -> int:
    return 0 if site.unit.shortcut.chain is None else _longest_row(site.unit.branch, 0)[0]


def _longest_row(chain: op.Chain, before: int) -> tuple[int, int]:
    """The longest row of a chain that follows a row of `before`, and the row at its end."""
    longest = row = before
    for element in chain:
        match element:
            case op.Conv() | op.Linear():
                row += 1
            case op.Concat(chains=chains):
                inside = [_longest_row(inner, row) for inner in chains]
                longest, row = max(longest, *(most for most, _ in inside)), max(end for _, end in inside)
            case op.Partial(chain=inner):
                most, row = _longest_row(inner, row)
                longest = max(longest, most)
            case _ if isinstance(element, _ENDS_ROW):
                row = 0
            case _:
                pass
        longest = max(longest, row)
    return longest, row
