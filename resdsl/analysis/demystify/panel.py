"""One set of axes with a line for each network, which looks the same in all figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from resdsl.analysis.demystify.nets import NETS, Net
from resdsl.analysis.style import look, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (7.2, 3.9)
"""In inches."""


@dataclass(frozen=True, slots=True)
class Line:
    """at, values: (n,). errors: (n,), drawn as a band, NaN for none; or nothing."""

    net: Net
    at: Sequence[float]
    values: Sequence[float]
    errors: Sequence[float] = ()
    label: str = ""

    @property
    def name(self) -> str:
        return self.label or self.net.name


def draw_lines(axes: Axes, lines: Sequence[Line], *, across: str, up: str) -> None:
    for line in lines:
        looks = look(NETS.index(line.net))
        plot(axes, line.at, line.values, line.name, looks)
        if line.errors and line.values:
            middle, spread = np.array(line.values), np.nan_to_num(np.array(line.errors))
            axes.fill_between(line.at, middle - spread, middle + spread, color=looks.colour, alpha=0.18, linewidth=0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)


def depths_across(axes: Axes, depths: Sequence[int]) -> None:
    """A logarithmic axis with the depths themselves as ticks."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.minorticks_off()


def legend_right(figure: Figure, axes: Axes) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize="small", frameon=False)
