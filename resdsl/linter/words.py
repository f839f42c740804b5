"""Numbers and counts in messages."""

from __future__ import annotations

import math

from resdsl.network.types import PerCopy
from resdsl.semantics.values import format_number


def power(log10: float) -> str:
    """10 ** log10 with two digits, as in `0.70` and `5.6e-17`, also where no float could hold it."""
    if log10 == -math.inf:
        return "0"
    if -3 <= log10 < 4:
        value = 10**log10
        return f"{value:.2f}" if 0.095 <= value < 9.95 else f"{value:.2g}" if value < 9.95 else f"{value:.0f}"
    exponent = math.floor(log10)
    mantissa = f"{10 ** (log10 - exponent):.1f}"
    if mantissa == "10.0":
        exponent, mantissa = exponent + 1, "1.0"
    return f"{mantissa}e{exponent:+03d}"


def counted(count: int, thing: str, things: str = "") -> str:
    """`1 shortcut`, `54 shortcuts`."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def listed(names: list[str], most: int = 6) -> str:
    """`a, b, c and 11 more`."""
    return (
        ", ".join(names) if len(names) <= most else f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    )


def several(value: PerCopy) -> str:
    """A number, or the least and the greatest of one a copy: `0.5`, `0.1 to 0.9`; six digits."""
    if not isinstance(value, tuple):
        return format_number(float(f"{value:.6g}"))
    return f"{several(min(value))} to {several(max(value))}"
