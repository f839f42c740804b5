"""More units that change the shape than there are stages.

Where a unit changes the shape its shortcut cannot be the identity: the path from unit to unit ends there, and begins
anew. Once a stage, that is what it costs to have stages. A network that widens from unit to unit has no identity path
at all.

Only units of the stages themselves count, those in other units' branches do not. As stages count the clauses, or the
different heights and widths of the path where there are more of them.

## Evidence

He et al. 2016, section 3: few projections, one for each change of shape, leave ResNets trainable. With a 1x1
convolution on every shortcut, ResNet-110 has 12.22 % error on CIFAR-10 instead of 6.61 % (Table 1).

## Severity

A warning if more of these shortcuts have a weight layer than there are stages; a note if they pad or pool.

## Example

```resnet
resnet 1

unit basic(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network widening {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 9 * basic(16 + 4 * index)
    stage 9 * basic(16 + 4 * index) first(stride = 2)
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

network constant {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 9 * basic(32)
    stage 9 * basic(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Severity
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile, LintedNetwork, Site
from resdsl.linter.words import counted
from resdsl.network.types import Image
from resdsl.theory.path_gain import has_weights


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        path = [site for site in network.sites if site.nesting == 0 and site.section.startswith("stage")]
        changing = [site for site in path if site.unit.changes_shape and site.unit.shortcut.chain is not None]
        stages = _stages(network, path)
        if len(changing) <= stages:
            continue
        weighted = [site for site in changing if has_weights(site.unit.shortcut.chain or ())]
        units = sum(site.copies for site in path)
        yield Finding(
            Severity.WARNING if len(weighted) > stages else Severity.NOTE,
            f"{len(changing):,} of {counted(units, 'unit')} change the shape, in {counted(stages, 'stage')}: each of them "
            f"ends the identity path, {len(weighted):,} by weights on the shortcut; those of He et al. 2016 have one a stage",
            network.spans(changing[stages].pointer),
            network,
            label=f"number {stages + 1} is here",
            amount=len(changing),
            help="keep one width in a stage, and let its first unit change the shape: `n * unit(…) first(stride = 2)`",
        )


def _stages(network: LintedNetwork, path: list[Site]) -> int:
    """As many as are written, or as many as the path has heights and widths."""
    shapes = [shape for site in path for shape in (site.unit.input, site.unit.output)]
    sizes = {(shape.height, shape.width) if isinstance(shape, Image) else () for shape in shapes}
    return max(len(network.network.stages), len(sizes))
