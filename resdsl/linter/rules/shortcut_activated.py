"""A shortcut that takes what is normalised or activated.

The shortcut is the identity, but it starts behind the norm and the activation at the branch's head instead of before
them. So the path from unit to unit leads through all of them, as if they stood behind the additions. In pre-activation
networks this is an easy slip: the code looks like one identity after the other.

In the network's first unit and where the shape changes, branch and shortcut share their activation; there it is no
defect.

## Evidence

He et al. 2016, Fig. 4 (e), takes the shortcut before BN and ReLU; ResNet-110 on CIFAR-10 has 6.37 %. With BN and ReLU
on the path behind the addition, Table 2 (b), it has 8.17 %, and ResNet-164 has 6.50 instead of 5.46 %. A ReLU alone on
the path leaves it open with a chance of C(2l, l) / 4^l over l units, 7.7 % over 54, as one behind the addition does.

## Severity

By the number of such units, and by what the path carries where there is a closed form.

## Example

```resnet
resnet 1

unit slipped(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity from activated
    projection conv(1x1)
}

network slip {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * slipped(16)
    stage 18 * slipped(32) first(stride = 2)
    stage 18 * slipped(64) first(stride = 2)
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

`from activated` becomes `from input`, where it is written in the unit's shortcut clause. Unsafe: the network computes
something else.
"""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.diagnostics import Fix
from resdsl.linter.direct_path import on_shortcuts
from resdsl.linter.identity import clause_of, written_unit
from resdsl.linter.rule import Finding
from resdsl.linter.shortcuts import Kind, shortcuts
from resdsl.linter.subject import Group, LintedFile
from resdsl.linter.words import counted
from resdsl.syntax import nodes
from resdsl.syntax.nodes import ClauseKind


def check(file: LintedFile) -> Iterator[Finding]:
    for group in shortcuts(file, Kind.ACTIVATED):
        effect = on_shortcuts(group)
        yield Finding(
            effect.severity,
            f"{counted(group.copies, 'shortcut')}{group.shortened} from behind the norm or activation at the branch's head, so the path "
            f"leads through that: {effect.words}; He et al. 2016, Table 2: BN and ReLU on the path have 8.17 %, the "
            "identity from before them 6.37 %",
            group.spans,
            group.network,
            group.label,
            amount=effect.amount,
            help="write `shortcut identity from input`; only the network's first unit shares its activation",
            fix=_fix(file, group),
        )


def _fix(file: LintedFile, group: Group) -> Fix | None:
    unit = written_unit(file, group.network, group.own[0])
    clause = clause_of(unit, ClauseKind.SHORTCUT) if unit is not None else None
    if clause is None or not isinstance(clause.tap, nodes.Name) or clause.tap.name != "activated":
        return None
    return file.replacing("write `from input`", clause.tap.span, "input")
