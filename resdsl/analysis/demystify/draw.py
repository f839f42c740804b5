"""Draws panels side by side, with one legend below them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

import numpy as np
from numpy.typing import ArrayLike, NDArray

from resdsl.analysis.demystify.nets import NETS
from resdsl.analysis.demystify.panel import Panel, Scale
from resdsl.analysis.style import look, plot, powers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (7.2, 4.2)
"""In inches."""
WIDE = 92
"""Letters in a line of the title."""
COLUMNS = 3
"""Of the legend."""


def draw(title: str, panels: Sequence[Panel]) -> Figure:
    """Inside `drawing`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    figure.suptitle(textwrap.fill(title, WIDE), fontsize="medium")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, panel)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=COLUMNS,
        fontsize="small",
        frameon=False,
    )
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    shown = np.asarray if panel.y is Scale.LINEAR else _logs
    for line in panel.lines:
        looks = look(NETS.index(line.net) + len(NETS) * line.second)
        plot(axes, line.at, shown(line.values), line.name, looks)
        if line.errors:
            middle, spread = np.array(line.values), np.nan_to_num(np.array(line.errors))
            axes.fill_between(
                line.at, shown(middle - spread), shown(middle + spread), color=looks.colour, alpha=0.18, linewidth=0
            )
    if panel.level is not None:
        axes.axhline(
            float(shown(panel.level.value)), color="black", linestyle=":", linewidth=1, label=panel.level.label
        )
    axes.set_xlabel(panel.across)
    axes.set_ylabel(panel.up)
    match panel.x:
        case Scale.LINEAR:
            pass
        case Scale.LOG:
            axes.set_xscale("log")
        case Scale.LOG_DOWN:
            axes.set_xscale("log")
            axes.invert_xaxis()
        case _:
            assert_never(panel.x)
    if panel.y is not Scale.LINEAR:
        powers(axes)
    if panel.ticks:
        axes.set_xticks(panel.ticks, [str(tick) for tick in panel.ticks])
        axes.xaxis.minorticks_off()


def _logs(values: ArrayLike) -> NDArray[np.float64]:
    """To the base 10, with gaps where values are not above 0."""
    array = np.asarray(values, np.float64)
    return np.log10(np.where(array > 0, array, np.nan))
