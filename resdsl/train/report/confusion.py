"""Which classes are taken for which: as a figure, and as the pairs that are confused most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 20
"""Classes whose names and numbers there is room for."""
LONGEST = 20
"""Characters of a name on an axis."""
PAIRS = 10
GAMMA = 0.4
"""Shares are drawn as their power of this: what is confused rarely is to be seen too."""


@dataclass(frozen=True, slots=True)
class Confused:
    """Samples of class `actual` that were called `called`, by label: `times` of `samples`."""

    actual: int
    called: int
    times: int
    samples: int


def most_confused(confusion: Tensor, most: int = PAIRS) -> list[Confused]:
    """Pairs of two classes by how often they are confused, then by label; none that never is. confusion: as Score's."""
    counts = confusion.clone()
    counts.fill_diagonal_(0)
    samples = confusion.sum(1).tolist()
    size = len(counts)
    times, places = torch.sort(counts.flatten(), descending=True, stable=True)
    found = zip(times[:most].tolist(), places[:most].tolist(), strict=True)
    return [Confused(*divmod(place, size), count, samples[place // size]) for count, place in found if count]


def confusion_figure(confusion: Tensor, classes: Sequence[str]) -> Figure:
    """A row for each class, shaded by the share of its samples. Up to NAMED classes it has names and numbers. Inside `drawing`."""
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    size = len(classes)
    is_named = size <= NAMED
    side = max(3.5, 1.8 + 0.45 * size) if is_named else 7.5
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(False)
    shares = confusion / confusion.sum(1, keepdim=True).clamp(min=1)
    image = axes.imshow(shares.numpy(), cmap="Blues", norm=PowerNorm(GAMMA, 0, 1))
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the class's samples")
    axes.set_xlabel("called")
    axes.set_ylabel("is")
    if is_named:
        names = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in classes]
        axes.set_xticks(range(size), names, rotation=45 if max(map(len, names)) > 2 else 0, parse_math=False)
        axes.set_yticks(range(size), names, parse_math=False)
        for row, column in confusion.nonzero().tolist():
            share = float(shares[row, column]) ** GAMMA
            color = "white" if share > 0.6 else "black"
            axes.text(column, row, f"{int(confusion[row, column]):,}", ha="center", va="center", color=color, size=8)
    return figure
