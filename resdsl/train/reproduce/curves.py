"""Training curves of a table's rows, as in He et al. 2016, Figures 3 and 6: training loss dashed, test error bold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resdsl.train.report.curves import PERCENT, line, pair
from resdsl.train.reproduce.plan import Plan, Row, run_folder
from resdsl.train.run import log
from resdsl.train.run.events import Evaluated, Logged

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = "tab20"
"""A map of 10 pairs of a dark and a light colour: the dark ones come first."""


def table_curves(plan: Plan, title: str) -> Figure:
    """A colour for each row; of its seeds, the first that has a log. Inside `drawing`."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.5), layout="constrained")
    left, right = pair(figure, title)
    for index, row in enumerate(plan.rows):
        events = _log(plan, row)
        color = colormaps[COLOURS](2 * index % 20 + index // 10 % 2)
        trained = [event for event in events if isinstance(event, Logged)]
        tested = [event for event in events if isinstance(event, Evaluated)]
        at = [event.iteration for event in trained]
        line(left, at, [event.loss for event in trained], label="_", color=color, style="--", width=0.8)
        at, errors = [event.iteration for event in tested], [event.error * PERCENT for event in tested]
        line(right, at, errors, label=row.variant.label, color=color, style="-", width=2.2)
    left.set_ylabel("training loss (dashed)")
    right.set_ylabel("test error in % (bold)")
    if right.get_lines():
        right.set_ylim(bottom=0)
        figure.legend(handles=right.get_lines(), loc="outside right upper", fontsize="small")
    return figure


def _log(plan: Plan, row: Row) -> list[Logged | Evaluated]:
    logs = (log.history(run_folder(plan.folder, row, seed)) for seed in plan.seeds)
    return next((events for events in logs if events), [])
