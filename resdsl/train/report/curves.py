"""Loss and error over the iterations of a run, drawn as in He et al. 2016, Figure 6: training dashed, test bold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from resdsl.train.run.events import Evaluated, Logged

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSS, TRAIN, TEST = "training loss", "training error", "test error"
LOSS_COLOUR, TRAIN_COLOUR, TEST_COLOUR = "tab:blue", "tab:orange", "tab:red"
FEW = 30
"""Points up to which each is marked: between them a line says nothing."""
PERCENT = 100


def curves(trained: Sequence[Logged], tested: Sequence[Evaluated], title: str) -> Figure:
    """Training loss on the left, on a logarithmic axis; errors in % on the right. Inside `drawing`.

    What is not finite is a gap. A single point is a dot.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    left, right = pair(figure, title)
    at = [event.iteration for event in trained]
    line(left, at, [event.loss for event in trained], label=LOSS, color=LOSS_COLOUR, style="--", width=1)
    line(right, at, [event.error * PERCENT for event in trained], label=TRAIN, color=TRAIN_COLOUR, style="-", width=0.8)
    at = [event.iteration for event in tested]
    line(right, at, [event.error * PERCENT for event in tested], label=TEST, color=TEST_COLOUR, style="-", width=2.4)
    left.set_ylabel(LOSS, color=LOSS_COLOUR)
    drawn = [*left.get_lines(), *right.get_lines()]
    if drawn:
        right.set_ylim(bottom=0)
        right.legend(handles=drawn, loc="upper right")
    return figure


def pair(figure: Figure, title: str) -> tuple[Axes, Axes]:
    """Axes for loss, logarithmic, and for error, over the same iterations."""
    left = figure.add_subplot()
    left.set_title(title, parse_math=False)
    left.set_xlabel("iterations")
    left.set_ylabel(LOSS)
    left.set_yscale("log")
    right = left.twinx()
    right.set_ylabel("error (%)")
    right.grid(False)
    return left, right


def line(
    axes: Axes, at: Sequence[int], values: Sequence[float], *, label: str, color: object, style: str, width: float
) -> None:
    """Nothing where there is no finite value."""
    finite = [value if math.isfinite(value) else math.nan for value in values]
    count = sum(not math.isnan(value) for value in finite)
    if count:
        marker = "o" if count == 1 else "." if count <= FEW else None
        axes.plot(at, finite, label=label, color=color, linestyle=style, linewidth=width, marker=marker)
