"""What is drawn stands where its numbers say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from resdsl.analysis.demystify.draw import draw
from resdsl.analysis.demystify.nets import SHORTCUT2, XAVIER
from resdsl.analysis.demystify.panel import Level, Line, Panel, Scale
from resdsl.figures import drawing

LINES = (
    Line(XAVIER, [2, 4, 8], [0.1, 0.0, 1000.0], [0.05, 0.0, 2000.0]),
    Line(SHORTCUT2, [2, 4, 8], [1.0, math.nan, 10.0]),
)


@pytest.mark.parametrize(
    ("scale", "expected"), [(Scale.LINEAR, [0.1, 0.0, 1000.0]), (Scale.LOG, [-1.0, math.nan, 3.0])]
)
def test_values_and_their_ticks(scale: Scale, expected: list[float]) -> None:
    """On a logarithmic axis stand logarithms, with the numbers themselves at the ticks, and gaps for what has none."""
    with drawing():
        figure = draw(
            "title", [Panel(LINES, "depth", "loss", Scale.LOG, scale, ticks=(2, 4, 8), level=Level(100.0, "least"))]
        )
        figure.canvas.draw()
        axes = figure.axes[0]
        xavier, shortcut2, level = axes.lines
        np.testing.assert_allclose(np.asarray(xavier.get_ydata(), float), expected)
        assert np.isnan(np.asarray(shortcut2.get_ydata(), float)).tolist() == [False, True, False]
        assert level.get_ydata()[0] == pytest.approx(100.0 if scale is Scale.LINEAR else 2.0)
        ticks = {label.get_text() for label in axes.get_yticklabels()}
        assert {"1", "1000"} <= ticks if scale is Scale.LOG else "1000" in ticks
        assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4", "8"]
        assert [text.get_text() for text in figure.legends[0].texts] == ["Xavier", "2-shortcut", "least"]


def test_a_band_of_errors_in_logarithms() -> None:
    line = Line(XAVIER, [2, 4], [10.0, 100.0], [5.0, 50.0])
    with drawing():
        axes = draw("title", [Panel([line], "depth", "loss", Scale.LOG, Scale.LOG)]).axes[0]
        (band,) = axes.collections
        heights = {round(float(y), 9) for _, y in band.get_paths()[0].vertices}
    assert heights == {round(math.log10(value), 9) for value in (5, 15, 50, 150)}


def test_long_titles_go_on_below() -> None:
    title = "a sentence on what came of all this, " * 4
    with drawing():
        lines = draw(title, [Panel(LINES, "depth", "loss")]).get_suptitle().splitlines()
    assert len(lines) > 1
    assert " ".join(lines) == title.strip()
