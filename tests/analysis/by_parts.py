"""Walking a network by its parts, nothing measured."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from resdsl.analysis.parts import Cut, Part, Span


def walked(parts: Sequence[Part], x: Tensor) -> Tensor:
    """What the parts make of x, those in opened units one by one."""
    for part in parts:
        x = part(x) if isinstance(part, Span) else passed(part, x)
    return x


def passed(cut: Cut, x: Tensor) -> Tensor:
    """What a unit makes of x."""
    if cut.branch is None:
        shortcut, branch = cut.meets(x)
    else:
        activated = cut.lead(x)
        shortcut, branch = cut.join(x, activated, walked(cut.branch, activated))
    return cut.after(branch if shortcut is None else shortcut + branch)
