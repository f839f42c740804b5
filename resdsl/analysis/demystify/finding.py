"""What a figure shows: a table, sentences on it, and what is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.panel import Panel
from resdsl.analysis.demystify.points import Point, Results
from resdsl.analysis.demystify.sizes import Sizes

Cell: TypeAlias = str | int | float | None
"""None and NaN for what does not exist or is not known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """title: what to see. rows: under the columns. remarks: what came of it, and what does not reproduce, a sentence or two each."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    remarks: tuple[str, ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Of a figure. subject: of the paper's figure. points: what is to be computed; found: what came of them, all of which are there."""

    subject: str
    points: Callable[[Sizes], list[Point]]
    found: Callable[[Sizes, Data, Results], Finding]
