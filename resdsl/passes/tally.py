"""What a pass did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from resdsl.passes.draft import Array


@dataclass(frozen=True, slots=True)
class Kept:
    """What a pass looked at and left as it was: where (the names of layers or units), and why."""

    reason: str
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """changed: the layers or units that are different now. shifts: by unit, what its output is shifted by, a channel."""

    changed: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()
    shifts: Mapping[str, Array] = field(default_factory=dict[str, Array])
