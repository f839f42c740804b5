"""Gates whose bias leaves less than half of the signal on the path.

A gate on the shortcut passes 1 - g, g = sigmoid(conv1x1(x) + bias). All units together pass the product, so the
deeper the network, the lower the bias has to start. What is left is computed with the gates' own weights, for an
input of second moment 1.

Whether the shortcut should have a gate at all is the question of shortcut-gate and shortcut-gate-exclusive.

## Evidence

He et al. 2016, Table 1, ResNet-110 on CIFAR-10, 54 units: gates on the shortcut have 12.86 % error with a bias of 0
and 6.91 % with -6; gates on shortcut and branch fail to converge from 0 to -5, and have 8.70 % with -6 and 9.81 %
with -7. With He initialisation 54 gates leave 5.6e-17 of the signal at 0, 0.57 % at -3, 70 % at -6 and 88 % at -7.
Srivastava et al. 2015 let the biases start negative for the same reason.

With gate weights of zero L gates leave sigmoid(-b)^L, so 90 % at b = log(0.9^(-1/L) - 1).

## Severity

By what the gates leave of the signal: a warning below 50 %, an error below 1 %.

## Example

```resnet
resnet 1

unit gated(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   gate(-3)
    projection conv(1x1)
}

network lost {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * gated(16)
    stage 18 * gated(32) first(stride = 2)
    stage 18 * gated(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```

## Use instead

```resnet
resnet 1

unit gated(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   gate(-8)
    projection conv(1x1)
}

network kept {
    input 3x32x32
    stem  conv(3x3, 16)
    stage 18 * gated(16)
    stage 18 * gated(32) first(stride = 2)
    stage 18 * gated(64) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
```
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from resdsl.linter.rule import Finding
from resdsl.linter.severity import LOST
from resdsl.linter.shortcuts import Kind, across, shortcuts
from resdsl.linter.subject import Group, LintedFile, Site
from resdsl.linter.words import counted, power, several
from resdsl.network import operators as op
from resdsl.network.types import PerCopy, Tap
from resdsl.theory.path_gain import run_gain

_WANTED = 0.9
_TRIES = 40


def check(file: LintedFile) -> Iterator[Finding]:
    for group in (*shortcuts(file, Kind.GATE), *shortcuts(file, Kind.EXCLUSIVE_GATE)):
        kept = _kept(group)
        if kept >= math.log10(0.5):
            continue
        yield Finding(
            LOST.severity(-kept),
            f"{counted(group.copies, 'gate')}{group.shortened} with bias {several(across(group, op.Gate, lambda gate: gate.bias))}: at the "
            f"start they leave {power(kept)} of the signal on the path; He et al. 2016, Table 1: 54 gates of bias 0 have "
            "12.86 % error, of -6 6.91 %",
            group.spans,
            group.network,
            group.label,
            amount=-kept,
            help=_advice(group),
        )


def _advice(group: Group) -> str:
    closed = math.log(_WANTED ** (-1 / group.length) - 1)
    for bias in range(math.floor(closed), math.floor(closed) - _TRIES, -1):
        kept = _kept(group, float(bias))
        if kept >= math.log10(_WANTED):
            return f"a bias of {bias} leaves {power(kept)}; with gate weights of zero {closed:.2f} leaves 0.90"
    return f"with gate weights of zero a bias of {closed:.2f} leaves 0.90"


def _kept(group: Group, bias: PerCopy | None = None) -> float:
    """log10 of what the gates of a group, with another bias if one is given, leave of the signal."""
    known = group.alike.measured
    key = (_kept, bias)
    if key not in known:
        known[key] = sum(_gate_mean(site, bias) for site in group.path)
    return known[key]


def _gate_mean(site: Site, bias: PerCopy | None) -> float:
    """Of all copies, what stands beside the gate on the shortcut aside."""
    gate = next(element for element in site.unit.shortcut.chain or () if isinstance(element, op.Gate))
    gate = gate if bias is None else replace(gate, bias=bias)
    alone = replace(site.unit, input=site.unit.output, shortcut=op.Shortcut(Tap.INPUT, (gate,)), after=())
    gain = run_gain(replace(site.run, unit=alone))
    assert gain is not None, "a gate has a closed form"
    return gain.mean * site.on_path
