"""The figure of a spectrum: its lines are the eigenvalues, and its words follow them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from resdsl import build
from resdsl.analysis.hessian import measure as curved
from resdsl.analysis.hessian.measure import measure_curvature
from resdsl.analysis.hessian.page import curvature_report
from resdsl.analysis.hessian.pictures import spectrum_picture
from resdsl.analysis.hessian.result import Curvature
from resdsl.analysis.report.pictures import Picture
from resdsl.figures import as_png, as_svg, drawing
from resdsl.spec import Parameter

SAMPLES = (np.array([[1.0, 0], [0, 2]]), np.array([[0.0, 0], [0, -2]]))
"""M = [[0.5, 0], [0, 4]]: eigenvalues -4, -0.5, 0.5 and 4, each twice a unit."""


def measured(**parameters: Parameter) -> Curvature:
    network = build("std/n_shortcut", "shortcut2", {"units": 3, "width": 2, "start": "zero", **parameters})
    return measure_curvature(network, None, SAMPLES)


def drawn(found: Curvature) -> Picture:
    with drawing():
        return spectrum_picture(found)


def lines(picture: Picture) -> dict[str, NDArray[np.float64]]:
    (axes,) = picture.figure.axes
    return {str(line.get_label()): np.asarray(line.get_ydata(), np.float64) for line in axes.get_lines()}


def test_prediction_and_measurement_lie_on_each_other() -> None:
    picture = drawn(measured())
    found, expected = lines(picture), np.repeat([-4, -0.5, 0.5, 4], 6)
    np.testing.assert_allclose(found["measured"], expected, atol=1e-12)
    np.testing.assert_allclose(found["Theorem 2 of Li et al. 2016"], expected, atol=1e-12)
    assert (
        picture.says == "shortcut2: eigenvalues from -4 to 4, 0.5 of them below 0; condition number 8, 8 by Theorem 2"
    )
    assert picture.note == ""


def test_elsewhere_than_at_zero_the_title_has_both_numbers_and_the_note_says_why() -> None:
    found = measured(start="xavier")
    picture = drawn(found)
    assert found.spectrum.condition is not None
    assert f"condition number {found.spectrum.condition:.4g}, 8 by Theorem 2" in picture.says
    assert picture.note == "The prediction is for zero weights, the measurement for those given."
    assert set(lines(picture)) >= {"measured", "Theorem 2 of Li et al. 2016, for zero weights"}


def test_of_a_large_network_the_ends_are_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curved, "EXACT_UP_TO", 3)
    picture = drawn(measured(units=5))
    np.testing.assert_allclose(lines(picture)["measured"], [-4, 4], rtol=1e-6)
    assert len(lines(picture)["Theorem 2 of Li et al. 2016"]) == 40
    (line,) = (each for each in picture.figure.axes[0].get_lines() if each.get_label() == "measured")
    assert line.get_linestyle() == "None"
    assert picture.says == "shortcut2: eigenvalues from -4 to 4"
    assert picture.note == "Of those measured the lowest and the highest are known."


def test_a_flat_loss_and_a_network_without_prediction() -> None:
    assert drawn(measured(n=3)).says == "shortcut2: the Hessian is zero"
    other = build("resnet 1\nnetwork one { input 2\nhead linear(2) }\n")
    picture = drawn(measure_curvature(other, None, SAMPLES))
    assert "Theorem 2" not in picture.says
    assert picture.note == "Theorem 2 says nothing of this network."


def test_decades_are_drawn_on_a_logarithmic_axis() -> None:
    inputs = np.array([[1.0, 0], [0, 1]])
    near = measure_curvature(build("std/n_shortcut", "shortcut2", {"units": 2, "width": 2, "start": "zero"}), None, (inputs, np.diag([1.0 - 1e-3, -9])))  # fmt: skip
    assert drawn(near).figure.axes[0].get_yscale() == "symlog"
    assert drawn(measured()).figure.axes[0].get_yscale() == "linear"


def test_files_are_the_same_again() -> None:
    with drawing():
        first, again = (spectrum_picture(measured()).figure for _ in range(2))
        assert as_svg(first) == as_svg(again)
        assert as_png(first) == as_png(again)


def test_the_page_holds_the_picture_and_the_table() -> None:
    found = measured()
    with drawing():
        html = curvature_report(found)
    assert html.count("<svg role=") == 1
    assert "<td>8</td><td>8</td>" in html
    assert "Predicted: Theorem 2 of Li et al. 2016." in html
    assert all(remark in html for remark in found.remarks)
    assert "<b>0.5</b><span>share below 0</span>" in html
