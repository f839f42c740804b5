"""The spectrum of a Hessian as a figure, Theorem 2's beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resdsl.analysis.hessian.result import Curvature, Method
from resdsl.analysis.hessian.text import predicted_for
from resdsl.analysis.report.panels import legend_below, panel, spans_decades
from resdsl.analysis.report.pictures import Picture
from resdsl.analysis.style import BLUE, GREY, VERMILLION, Look, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

FAINTEST = 1e-6
"""Of the largest |eigenvalue| drawn: on a logarithmic axis what is smaller lies on the straight part around 0."""
MEANING = (
    "The eigenvalues of the loss's Hessian in ascending order, over the share of them that lies to the left. Where the line crosses 0 is the share of directions "
    "in which the loss curves downwards."
)


def spectrum_picture(curvature: Curvature) -> Picture:
    """All eigenvalues that were measured, from the lowest on, and those that Theorem 2 predicts. Inside `drawing`."""
    says, note = _says(curvature), " ".join(_notes(curvature))
    figure, axes = panel(says, note, "eigenvalue")
    axes.set_xlabel("share of the eigenvalues")
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    measured = curvature.eigenvalues
    plot(axes, _shares(measured), measured, "measured", Look(BLUE, _line(curvature.method), "o"))
    if curvature.method is Method.LANCZOS:
        axes.get_lines()[-1].set(markersize=9, zorder=3)
    predicted = _predicted(curvature)
    if predicted is not None:
        plot(axes, _shares(predicted), predicted, predicted_for(curvature), Look(VERMILLION, "--", "s"))
    _scaled(axes, np.concatenate([measured, measured[:0] if predicted is None else predicted]))
    legend_below(axes, axes.get_legend_handles_labels()[0], 2)
    return Picture("spectrum", says, MEANING, note, figure)


def _predicted(curvature: Curvature) -> Floats | None:
    return None if curvature.prediction is None else curvature.prediction.at_zero.eigenvalues


def _shares(eigenvalues: Floats) -> Floats:
    """From 0 for the lowest to 1 for the highest."""
    return np.linspace(0, 1, len(eigenvalues))


def _line(method: Method) -> str:
    """Between the two ends that Lanczos finds nothing is known."""
    match method:
        case Method.EXACT:
            return "-"
        case Method.LANCZOS:
            return ""


def _says(curvature: Curvature) -> str:
    low, high = float(curvature.eigenvalues[0]), float(curvature.eigenvalues[-1])
    if low == high == 0:
        return f"{curvature.network}: the Hessian is zero"
    found = curvature.spectrum
    below = "" if found.index is None else f", {found.index:.3g} of them below 0"
    condition = "" if found.condition is None else f"; condition number {found.condition:.4g}"
    beside = None if curvature.prediction is None else curvature.prediction.spectrum
    theory = f", {beside.condition:.4g} by Theorem 2" if condition and beside and beside.condition else ""
    return f"{curvature.network}: eigenvalues from {low:.3g} to {high:.3g}{below}{condition}{theory}"


def _notes(curvature: Curvature) -> Iterator[str]:
    if curvature.method is Method.LANCZOS:
        yield "Of those measured the lowest and the highest are known."
    match curvature.prediction:
        case None:
            yield "Theorem 2 says nothing of this network."
        case prediction if prediction.at_zero.eigenvalues is None:
            yield "The predicted eigenvalues are too many to be computed."
        case prediction if not prediction.here:
            yield "The prediction is for zero weights, the measurement for those given."
        case _:
            pass


def _scaled(axes: Axes, eigenvalues: Floats) -> None:
    """Logarithmic to either side of 0 where they span decades."""
    from matplotlib.ticker import FuncFormatter

    sizes = np.abs(eigenvalues)
    seen = sizes[sizes > FAINTEST * sizes.max()]
    if not spans_decades(seen):
        return
    axes.set_yscale("symlog", linthresh=10.0 ** np.ceil(np.log10(seen.min())))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
