"""When a figure says that one thing is less than another, that a training has arrived, and how the networks of which it does are listed."""

from __future__ import annotations

import math
from collections.abc import Iterable

from resdsl.analysis.demystify.nets import Net
from resdsl.analysis.demystify.summary import Mean

ERRORS = 2
"""Standard errors of a difference, from which on it is one."""
NEAR = 0.01
"""Part of the least loss of linear maps: a loss no further above it has come near."""


def clearly_below(one: Mean, other: Mean) -> bool:
    """Not so for a single run, whose error is not known, nor where all runs diverged."""
    return other.mean - one.mean > ERRORS * math.hypot(one.error, other.error)


def near(loss: float, least: float) -> bool:
    """Or below, as networks with ReLU are. Not so for NaN."""
    return loss <= (1 + NEAR) * least


def number(value: float, form: str) -> str:
    """In this form; for NaN, that there is none."""
    return "no finite value" if math.isnan(value) else format(value, form)


def listed(names: Iterable[str]) -> str:
    """`1-shortcut, 2-shortcut and 3-shortcut`, each once. Nothing for none."""
    *most, last = list(dict.fromkeys(names)) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def spoken(net: Net) -> str:
    """Its name without a comma, for lists."""
    name, _, more = net.name.partition(", ")
    return f"{name} ({more})" if more else name
