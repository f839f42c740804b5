"""What is drawn, as data: axes with a line for each network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from resdsl.analysis.demystify.nets import Net


class Scale(Enum):
    LINEAR = "linear"
    LOG = "log"
    LOG_DOWN = "log, downwards"


@dataclass(frozen=True, slots=True)
class Line:
    """at, values: (n,), NaN for what is not there. errors: (n,), standard errors, drawn as a band; or nothing. net: whose line it is, as each looks
    the same in all figures. label: its name where the network's is not meant. second: a line of the same network that is to look different.
    """

    net: Net
    at: Sequence[float]
    values: Sequence[float]
    errors: Sequence[float] = ()
    label: str = ""
    second: bool = False

    @property
    def name(self) -> str:
        return self.label or self.net.name


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Panel:
    """across, up: what the axes are. ticks: on the horizontal axis, instead of its own."""

    lines: Sequence[Line]
    across: str
    up: str
    x: Scale = Scale.LINEAR
    y: Scale = Scale.LINEAR
    ticks: Sequence[int] = ()
    level: Level | None = None
