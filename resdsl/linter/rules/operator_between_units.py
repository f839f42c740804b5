"""An operator between two units that leaves the shape as it is.

It stands on the path from one unit to the next as if it followed the addition, though no unit has it. A norm, an
activation, a scale, dropout or squeeze and excitation there belongs into a branch.

A stretch with a pooling, a weight layer or anything else that may change the shape is a transition, and no defect. Nor
is one beside a unit without a shortcut, where no path leads through.

## Evidence

He et al. 2016, Table 2, CIFAR-10, ResNet-110: ReLU behind the addition has 6.61 %, BN and ReLU there 8.17 %, nothing
6.37 %. One of them between units costs the path what one behind an addition does.

## Severity

As for the same operators behind additions: for ReLUs by the chance that all leave the path open, for scales and dropout
by what the path carries, for norms and all others by their number.

## Example

```resnet
resnet 1

unit clean(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}

network interrupted {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 9 * clean(16) -> relu -> 9 * clean(16)
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
    head  bn -> relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from resdsl.diagnostics import Severity
from resdsl.linter.direct_path import activations_behind, behind_additions, norms_behind
from resdsl.linter.main_path import Part, chain_parts, main_path
from resdsl.linter.rule import Finding
from resdsl.linter.severity import worst
from resdsl.linter.subject import Group, LintedFile, LintedNetwork, Site
from resdsl.linter.words import counted, listed
from resdsl.network import operators as op
from resdsl.network.operators import ACTIVATIONS, NORMS, OPERATOR_NAMES
from resdsl.network.types import Tap

STANDING = (*NORMS, *ACTIVATIONS, op.Scale, op.Dropout, op.DropPath, op.SqueezeExcite)
"""What leaves every shape as it is."""


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        stretches = ((site, site.pointer, None) for site in _stretches(network))
        for group, _ in network.grouped_parts(stretches):
            severity, words = _severity(group)
            names = [OPERATOR_NAMES[type(element)] for element in group.unit.after if not isinstance(element, op.Units)]
            yield Finding(
                severity,
                f"{listed(names)} between units, {counted(group.copies, 'time')}: {words}; He et al. 2016, Table 2, "
                "behind additions: ReLU 6.61 %, BN and ReLU 8.17 %, nothing 6.37 %",
                group.spans,
                network,
                amount=group.copies,
                help="let the units follow each other, and the branches have what they need",
            )


def _severity(group: Group) -> tuple[Severity, str]:
    """As of what follows additions."""
    standing = group.unit.after
    activations = tuple(element for element in standing if isinstance(element, ACTIVATIONS))
    rest = behind_additions(group)
    found = [] if rest.is_nothing else [(rest.severity, rest.words)]
    if any(isinstance(element, NORMS) for element in standing):
        found.append(norms_behind(group.length))
    elif activations:
        found.append(activations_behind(activations, group.length))
    return worst(*(severity for severity, _ in found)), ", and ".join(words for _, words in found)


def _stretches(network: LintedNetwork) -> Iterator[Site]:
    """What stands between two units, as if it followed the addition of the first."""
    yield from _between(main_path(network.network), 1)
    for site in network.sites:
        yield from _between(chain_parts(site.unit.branch, f"{site.pointer}/branch"), site.copies)


def _between(path: list[Part], times: int) -> Iterator[Site]:
    before: op.Unit | None = None
    stretch: list[Part] = []
    for part in path:
        match part.element:
            case op.Run(unit=unit):
                if before is not None and stretch and _is_on_path(before, stretch, unit):
                    yield Site(stretch[0].pointer, "", op.Run(1, _followed_by(before, stretch)), times, on_path=times)
                before, stretch = unit, []
            case op.Scale(factor=1, learn=False):
                pass
            case _:
                stretch.append(part)
        yield from _inside(part, times)


def _inside(part: Part, times: int) -> Iterator[Site]:
    """In the chains inside an operator."""
    match part.element:
        case op.Concat(chains=chains):
            for number, chain in enumerate(chains):
                yield from _between(chain_parts(chain, f"{part.pointer}/concat/chains/{number}"), times)
        case op.Partial(chain=chain):
            yield from _between(chain_parts(chain, f"{part.pointer}/partial/chain"), times)
        case _:
            pass


def _is_on_path(before: op.Unit, stretch: list[Part], follows: op.Unit) -> bool:
    """Whether it stands on the way from shortcut to shortcut, and is no transition."""
    between = before.shortcut.chain is not None and follows.shortcut.chain is not None
    return between and all(isinstance(part.element, STANDING) for part in stretch)


def _followed_by(unit: op.Unit, stretch: list[Part]) -> op.Unit:
    operators = tuple(part.element for part in stretch if not isinstance(part.element, op.Run))
    return replace(unit, input=unit.output, branch=(), shortcut=op.Shortcut(Tap.INPUT, ()), after=operators)
