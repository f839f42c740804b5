"""A part of a branch that starts at zero and never leaves it.

Two things keep it there. A ReLU that reads nothing but zeros passes no gradient back: frameworks take its derivative
at 0 to be 0. Norms, weight layers, dropout and scales between the two change nothing, since biases and shifts start
at 0 too. And of two layers at zero on one path neither gets a gradient, since that of each has the other as a factor.

A learned scale that starts at 0 counts as a layer at zero. A single one at the end of a branch is as it should be:
the gradient reaches it, and then all before it. A ReLU behind the addition reads the shortcut too, so it does no harm
unless there is none.

## Evidence

Li et al. 2016, Theorem 2: with all weights zero, networks of shortcuts around two or more layers have a gradient of
zero. With a ReLU behind the layers all further derivatives vanish too, as the derivative of ReLU at 0 is taken to be
0; so one starts near zero, for instance at 0.01 times Xavier's initialisation.

## Severity

Always an error: what is written there cannot be trained.

## Example

```resnet
resnet 1

unit rezero(width) {
    branch   conv(3x3, width) -> bn -> relu -> conv(3x3, width, init = zero) -> bn -> relu
    shortcut identity
}

network dead {
    input 3x32x32
    stem  conv(3x3, 16) -> bn -> relu
    stage 9 * rezero(16)
    head  avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit rezero(width) {
    branch   bn -> relu -> conv(3x3, width) -> bn -> relu -> conv(3x3, width, init = zero)
    shortcut identity
}

network alive {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 9 * rezero(16)
    head  bn -> relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Severity
from resdsl.linter.main_path import Part, chain_parts
from resdsl.linter.rule import Finding
from resdsl.linter.subject import LintedFile, LintedNetwork, Site
from resdsl.linter.words import counted
from resdsl.linter.zero_start import Dead, start_of
from resdsl.network import operators as op


def check(file: LintedFile) -> Iterator[Finding]:
    for network in file.networks:
        for group, (dead, *_) in network.grouped_parts(_dead(network)):
            yield Finding(
                Severity.ERROR,
                f"{counted(group.copies, 'branch', 'branches')} with a {_name(dead.part)} that starts at zero and gets no "
                f"gradient: {_reason(dead)}",
                group.spans,
                network,
                amount=group.copies,
                help="let only the last layer start at zero, with nothing behind it, or start near it: `init = xavier(gain = "
                "0.01)`",
            )


def _dead(network: LintedNetwork) -> Iterator[tuple[Site, str, Dead]]:
    for site in network.sites:
        unit = site.unit
        parts = chain_parts(unit.branch, f"{site.pointer}/branch")
        if unit.shortcut.chain is None:
            parts += chain_parts(unit.after, f"{site.pointer}/after")
        start = start_of(parts)
        if isinstance(start, Dead):
            yield site, start.part.pointer, start


def _reason(dead: Dead) -> str:
    if dead.cause == dead.part:
        return "both its layers do, with a ReLU between"
    if isinstance(dead.cause.element, op.Relu):
        return "the ReLU behind it reads nothing but zeros, where its derivative is taken to be 0"
    return (
        f"the {_name(dead.cause)} behind it starts at zero too, and the gradient of each has the other as a factor "
        "(Li et al. 2016, Theorem 2)"
    )


def _name(part: Part) -> str:
    assert not isinstance(part.element, op.Run)
    name = op.OPERATOR_NAMES[type(part.element)]
    return f"learned {name}" if isinstance(part.element, op.Scale) else name
