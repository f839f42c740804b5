"""Figures by their structure: which lines and texts there are. Pixels are not compared."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from resdsl.figures import as_png, as_svg, drawing
from resdsl.train.report.confusion import GAMMA, confusion_figure
from resdsl.train.report.curves import LOSS, TEST, TRAIN, curves
from resdsl.train.run.events import Evaluated, Logged
from tests.train.report.runs import TESTED, TRAINED, score

SVG = "{http://www.w3.org/2000/svg}"


def drawn(trained: Sequence[Logged] = TRAINED, tested: Sequence[Evaluated] = TESTED, title: str = "title") -> Figure:
    with drawing():
        return curves(trained, tested, title)


def lines(figure: Figure) -> dict[str, tuple[list[float], list[float]]]:
    return {
        str(line.get_label()): (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
        for axes in figure.axes
        for line in axes.get_lines()
    }


def texts(svg: bytes) -> list[str]:
    return ["".join(text.itertext()).strip() for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_lines_hold_the_log() -> None:
    at = [20, 40, 60]
    assert lines(drawn()) == {
        LOSS: (at, [2.5, 1.0, 0.25]),
        TRAIN: (at, [75.0, 50.0, 12.5]),
        TEST: (at, [50.0, 6.25, 9.375]),
    }


def test_training_is_dashed_and_test_is_bold() -> None:
    left, right = drawn().axes
    (loss,), (train, test) = left.get_lines(), right.get_lines()
    assert loss.get_linestyle() == "--"
    assert test.get_linewidth() > 2 * train.get_linewidth()
    assert left.get_yscale() == "log"
    assert right.get_yscale() == "linear"


def test_an_svg_has_its_lines_and_words() -> None:
    with drawing():
        svg = as_svg(curves(TRAINED, TESTED, "small, digits"))
    ids = re.findall(r'<g id="(line2d_\d+)">\s*<path d="M [^"]*L [^"]*"[^>]*stroke-dasharray', svg.decode())
    assert len(ids) >= 1
    for word in ("small, digits", "iterations", "error (%)", LOSS, TRAIN, TEST):
        assert word in texts(svg)
    assert texts(svg).count(TEST) == 1


def test_the_same_log_gives_the_same_bytes() -> None:
    with drawing():
        first, second = (curves(TRAINED, TESTED, "t") for _ in range(2))
        assert as_svg(first) == as_svg(second)
        assert as_png(first) == as_png(second)
    for word in (b"<dc:date>", b"dc:creator"):
        assert word not in as_svg(first)


def test_the_users_style_is_neither_used_nor_changed() -> None:
    with drawing():
        plain = as_svg(curves(TRAINED, TESTED, "t"))
    with mpl.rc_context({"lines.linewidth": 9, "axes.facecolor": "black", "svg.fonttype": "path"}):
        with drawing():
            assert as_svg(curves(TRAINED, TESTED, "t")) == plain
        assert mpl.rcParams["svg.fonttype"] == "path"


@pytest.mark.parametrize(
    ("trained", "tested", "expected"),
    [
        ((), (), set()),
        (TRAINED[:1], (), {LOSS, TRAIN}),
        ((), TESTED[:1], {TEST}),
        (TRAINED, (), {LOSS, TRAIN}),
    ],
)
def test_short_logs(trained: Sequence[Logged], tested: Sequence[Evaluated], expected: set[str]) -> None:
    figure = drawn(trained, tested)
    assert set(lines(figure)) == expected
    for axes in figure.axes:
        assert all((line.get_marker() == "o") == (len(line.get_xdata()) == 1) for line in axes.get_lines())
    with drawing():
        assert as_svg(figure).startswith(b"<?xml")
        assert as_png(figure).startswith(b"\x89PNG")


def test_what_is_not_finite_is_a_gap() -> None:
    events = [Logged(at, 0, 0.1, loss, 0.9, 1.0) for at, loss in enumerate((2.0, math.inf, math.nan, 1.0), 1)]
    figure = drawn(events, ())
    assert np.isnan(lines(figure)[LOSS][1]).tolist() == [False, True, True, False]
    with drawing():
        assert as_svg(figure)
    assert LOSS not in lines(drawn(events[1:3], ()))


def test_a_title_is_no_formula() -> None:
    with drawing():
        assert "small, a$b$.npz" in texts(as_svg(curves(TRAINED, TESTED, "small, a$b$.npz")))


def test_up_to_twenty_classes_have_names_and_numbers() -> None:
    with drawing():
        figure = confusion_figure(score().confusion, [f"${label}$" for label in range(10)])
        words = texts(as_svg(figure))
    for label in range(10):
        assert words.count(f"${label}$") == 2
    numbers = sorted(words.count(str(times)) for times in (4, 2))  # 4 once; 2 twice
    assert numbers == [1, 2]
    assert len(figure.axes[0].texts) == 13  # nothing is written where nothing is
    assert words.count("10") == 7


def test_shares_are_of_the_class() -> None:
    with drawing():
        figure = confusion_figure(score().confusion, [str(label) for label in range(10)])
    (image,) = figure.axes[0].get_images()
    shares = np.asarray(image.get_array())
    assert shares.sum(1).tolist() == pytest.approx([1] * 10)
    assert shares[3, 9] == pytest.approx(0.4)
    assert image.norm(0.4) == pytest.approx(0.4**GAMMA)


@pytest.mark.parametrize("classes", [1, 2, 20, 21, 100, 1000])
def test_any_number_of_classes(classes: int) -> None:
    names = [f"a class with a long name, number {label}" for label in range(classes)]
    with drawing():
        figure = confusion_figure(score(classes, ()).confusion, names)
        svg = as_svg(figure)
    assert len(figure.axes[0].texts) == (classes if classes <= 20 else 0)
    assert sum("a class with" in word for word in texts(svg)) == (2 * classes if classes <= 20 else 0)
    assert len(svg) < 3_000_000


def test_a_class_without_samples() -> None:
    matrix = score(3, ()).confusion
    matrix[1] = 0
    with drawing():
        (image,) = confusion_figure(matrix, ["a", "b", "c"]).axes[0].get_images()
    assert np.asarray(image.get_array())[1].tolist() == [0, 0, 0]
