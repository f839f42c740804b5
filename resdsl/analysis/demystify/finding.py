"""What a figure shows: a table, sentences on it, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.points import Point, Results
from resdsl.analysis.demystify.sizes import Sizes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell: TypeAlias = str | int | float | None
"""None for what does not exist or is not known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """title: what to see. remarks: what came of it, and what does not reproduce, a sentence or two each. draw: inside `drawing`."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    remarks: tuple[str, ...]
    draw: Callable[[Figure], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Of a figure. subject: of the paper's figure. points: what is to be computed; found: what came of them, all of which are there."""

    subject: str
    points: Callable[[Sizes], list[Point]]
    found: Callable[[Sizes, Data, Results], Finding]
