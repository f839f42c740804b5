"""Figures of made-up signals: what they say follows from the numbers, and what they leave out is said."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from resdsl.analysis.quantities import Lengths, Moments
from resdsl.analysis.report.comparison_pictures import OVERVIEW, comparison_pictures
from resdsl.analysis.report.pictures import Picture, pictures
from resdsl.analysis.style import COLOURS, LINES, finite, look, power
from resdsl.figures import as_png, as_svg, drawing
from tests.analysis.made_up import made_up


def drawn(found: list[Picture]) -> dict[str, Picture]:
    return {picture.name: picture for picture in found}


def curves(figure: Figure) -> dict[str, np.ndarray]:
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    return {str(line.get_label()): np.asarray(line.get_ydata()) for line in lines}


def test_titles_are_computed() -> None:
    with drawing():
        found = drawn(pictures(made_up(stages=(18, 18, 18))))
        found_clean = drawn(pictures(made_up(factor=1.0)))
    assert list(found) == ["signal", "ratio", "gradient", "cosine", "lengths"]
    assert (
        found["gradient"].says
        == "Through the shortcuts alone 5.6e-17 of the gradient's norm reaches the first unit; closed form 5.6e-17"
    )  # 0.5 ** 54
    assert found_clean["gradient"].says.startswith("Through the shortcuts alone 1.00 of")
    assert found["signal"].says == "At the end the stream's variance is 55 times what the first unit reads"
    assert found["ratio"].says == "Var(F) / Var(x) falls from 1 in the first unit to 0.0185 in the last"  # 1 / 54
    assert found["cosine"].says == "Gradients of two inputs have cosine 0.9 at the first unit and 0.1 at the last"
    assert found["lengths"].says == "The gradient passes 1 of 54 branches on average; independent units would make it 1"
    for picture in found.values():
        assert picture.figure.axes[0].get_title(loc="left").replace("\n", " ") == picture.says
        assert not picture.note


def test_lines_are_the_numbers() -> None:
    signal = made_up()
    with drawing():
        found = drawn(pictures(signal))
    lines = curves(found["gradient"].figure)
    np.testing.assert_array_equal(lines["direct term, measured"], signal.log10_direct)
    np.testing.assert_array_equal(lines["gradient"], signal.log10_gradient)
    np.testing.assert_allclose(curves(found["ratio"].figure)["1 / unit"], -np.log10(np.arange(1, 11)))
    low, high = found["gradient"].figure.axes[0].get_ylim()
    assert low < signal.log10_direct.min()
    assert high > signal.log10_gradient.max()


def test_what_is_not_finite_is_a_gap_and_said() -> None:
    with drawing():
        cut = drawn(pictures(made_up(factor=0.0)))["gradient"]
        unknown = drawn(pictures(made_up(factor=-0.5)))["gradient"]
    assert (
        cut.says == "Through the shortcuts alone nothing of the gradient's norm reaches the first unit; closed form 0"
    )
    assert "direct term, measured" not in curves(cut.figure)
    assert (
        cut.note
        == "Not drawn: direct term, measured: 0 in 10 of 10 units; direct term, closed form: 0 in 10 of 10 units."
    )
    assert unknown.says.endswith("there is no closed form")
    assert unknown.note == "Not drawn: direct term, closed form: unknown in 10 of 10 units."


def test_a_variance_of_zero_is_a_gap_where_the_axis_is_logarithmic() -> None:
    signal = made_up()
    variance = np.logspace(0, 9, 10)
    branch = np.where(np.arange(10) == 3, 0.0, variance)
    with drawing():
        found = drawn(pictures(replace(signal, stream=Moments(variance, variance), branch=Moments(variance, branch))))
    values = curves(found["signal"].figure)["branch, Var(F)"]
    assert math.isnan(values[3])
    assert np.isfinite(np.delete(values, 3)).all()
    assert found["signal"].note == "Not drawn: branch, Var(F): 0 in 1 of 10 units."


def test_one_sample_has_no_cosine_and_lengths_may_be_missing() -> None:
    signal = replace(made_up(lengths=False), cosine=np.full(10, np.nan))
    with drawing():
        assert list(drawn(pictures(signal))) == ["signal", "ratio", "gradient"]


def test_long_ways_that_are_not_drawn_are_said() -> None:
    shares = np.full(20_000, 5e-5)  # each below what is drawn
    with drawing():
        found = drawn(pictures(replace(made_up(), lengths=Lengths(shares, shares, 0.0))))
    assert found["lengths"].note == "Beyond the last bar lies 1 of the energy."


def test_networks_keep_their_look() -> None:
    named = [(f"net{i}", made_up(factor=factor)) for i, factor in enumerate((1.0, 0.5, 0.0))]
    with drawing():
        found = drawn(comparison_pictures(named))
        direct = [
            line for line in found["direct"].figure.axes[0].get_lines() if str(line.get_label()).startswith("net")
        ]
        ratio = [line for line in found["ratio"].figure.axes[0].get_lines() if str(line.get_label()).startswith("net")]
    assert next(iter(found)) == OVERVIEW
    assert [line.get_label() for line in direct] == ["net0", "net1"]
    assert [line.get_label() for line in ratio] == ["net0", "net1", "net2"]
    assert ratio[0].get_zorder() > max(line.get_zorder() for line in ratio[1:])
    assert ratio[0].get_linewidth() > max(line.get_linewidth() for line in ratio[1:])
    assert [line.get_color() for line in direct] == [line.get_color() for line in ratio[:2]]
    assert found["direct"].says == "Through the shortcuts alone: 0 (net2) to 1.00 (net0)"
    assert found["direct"].note == "Not drawn: direct of net2: 0 in 10 of 10 units."
    assert found["ratio"].says == "Mean Var(F) / Var(x): 0.29 in all"  # the tenth harmonic number, 2.929, over 10
    (legend,) = found[OVERVIEW].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["net0", "net1", "net2"]


def test_networks_of_other_depths_and_names_with_dollars() -> None:
    named = [("a$b$c", made_up(stages=(2, 2))), ("$x", made_up(stages=(9, 9), lengths=False))]
    with drawing():
        found = comparison_pictures(named)
        svg = as_svg(found[0].figure).decode()
    assert "a$b$c" in svg


def test_no_two_lines_look_alike() -> None:
    looks = [(each.colour, each.line) for each in map(look, range(28))]
    assert len(set(looks)) == 28
    assert len(COLOURS) == 7
    assert len(LINES) == 4


def test_pictures_are_the_same_bytes() -> None:
    with drawing():
        first, second = (pictures(made_up())[2].figure for _ in range(2))
        assert as_svg(first) == as_svg(second)
        assert as_png(first)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("exponent", "text"), [(0, "1"), (-1, "0.1"), (3, "1000"), (-16, "10⁻¹⁶"), (200, "10²⁰⁰"), (0.30103, "2")]
)
def test_ticks(exponent: float, text: str) -> None:
    assert power(exponent) == text


def test_finite() -> None:
    np.testing.assert_array_equal(finite([1, math.inf, -math.inf, math.nan]), [1, math.nan, math.nan, math.nan])
