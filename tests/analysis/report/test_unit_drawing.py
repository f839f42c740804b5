"""Drawings of units: what stands on the path is said and marked, and a clean path is one straight line."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from resdsl.analysis.report.unit_drawing import draw_unit
from resdsl.analysis.report.unit_forms import unit_forms
from resdsl.api import build
from resdsl.network.network import distinct_units
from resdsl.network.operators import Unit

UNIT = """resnet 1
unit u(width, stride = 1) {{ placement {placement} branch conv(3x3, width, stride) -> conv(3x3, width) shortcut {shortcut} projection conv(1x1) }}
network n {{ input 3x8x8 stem conv(3x3, 8) stage 2 * u(8) stage 3 * u(16) first(stride = 2) head avgpool -> linear(10) }}
"""


def units(placement: str, shortcut: str) -> list[Unit]:
    return distinct_units(build(UNIT.format(placement=placement, shortcut=shortcut)))


def elements(svg: str, name: str, kind: str) -> list[ET.Element]:
    return [each for each in ET.fromstring(svg).iter(name) if kind in each.get("class", "").split()]


def test_a_clean_path_is_one_straight_line() -> None:
    drawing = draw_unit(units("pre", "identity")[0])
    assert drawing.on_path == ()
    assert not elements(drawing.svg, "rect", "warns")
    lines = elements(drawing.svg, "polyline", "path")
    across = {point.split(",")[0] for line in lines for point in line.get("points", "").split()}
    assert len(lines) == 2  # to the addition, and on from there
    assert len(across) == 1
    assert "one straight line" in ET.fromstring(drawing.svg).get("aria-label", "")


def test_boxes_of_the_branch_stand_in_their_order() -> None:
    svg = draw_unit(units("pre", "identity")[0]).svg
    texts = sorted((float(each.get("y", "")), each.text) for each in elements(svg, "text", "label"))
    assert [text for _, text in texts] == ["BN", "ReLU", "3×3 conv, 8"] * 2


@pytest.mark.parametrize(
    ("placement", "shortcut", "on_path"),
    [
        ("post", "identity", ("ReLU",)),
        ("bn_after_add", "identity", ("BN", "ReLU")),
        ("pre", "scale(0.5)", ("× 0.5",)),
        ("pre", "gate(-6)", ("× (1 − g), bias −6",)),
        ("pre", "identity from activated", ("BN", "ReLU")),
        ("pre", "dropout(0.5)", ("dropout 0.5",)),
        ("pre", "scale(1, branch = 0.3)", ()),
    ],
)  # fmt: skip
def test_what_stands_on_the_path(placement: str, shortcut: str, on_path: tuple[str, ...]) -> None:
    drawing = draw_unit(units(placement, shortcut)[0])
    assert drawing.on_path == on_path
    assert len(elements(drawing.svg, "rect", "warns")) == len(on_path)


def test_what_a_shortcut_does_to_the_branch_stands_at_its_end() -> None:
    svg = draw_unit(units("pre", "gate(-6, branch = true)")[0]).svg
    texts = sorted((float(each.get("y", "")), each.text) for each in elements(svg, "text", "label"))
    assert texts[-1][1] == "× g"


def test_a_plain_unit_has_no_addition() -> None:
    svg = draw_unit(units("post", "none")[0]).svg
    assert not elements(svg, "circle", "plus")
    assert not elements(svg, "rect", "warns")
    assert "no shortcut" in elements(svg, "text", "warning")[0].text  # type: ignore[operator]


def test_units_that_differ_in_width_are_one_form() -> None:
    forms = unit_forms(build(UNIT.format(placement="pre", shortcut="identity")))
    assert [(form.count, form.labels) for form in forms] == [(4, ("u(8)", "u(16)")), (1, ("u(16, stride = 2)",))]
    assert forms[1].drawing.on_path == ("BN", "ReLU", "1×1 conv, 16, /2")


@pytest.mark.parametrize(
    "spec", ["std/inception_resnet", "std/rir", "std/ror", "std/highway", "std/stochastic_depth", "std/senet"]
)
def test_every_kind_of_unit_is_inside_its_drawing(spec: str) -> None:
    name = {"std/ror": "ror3_110"}.get(spec)
    from resdsl import spec as specs

    networks = [each.name for each in specs.open_spec(spec).networks()]
    for form in unit_forms(build(spec, name or networks[0])):
        root = ET.fromstring(form.drawing.svg)
        width, height = float(root.get("width", "")), float(root.get("height", ""))
        for rect in root.iter("rect"):
            left, top = float(rect.get("x", "")), float(rect.get("y", ""))
            assert left >= 0
            assert left + float(rect.get("width", "")) <= width + 0.01
            assert top >= 0
            assert top + float(rect.get("height", "")) <= height
        for text in root.iter("text"):
            half = len(text.text or "") * 6.7 / 2
            assert float(text.get("x", "")) - half >= -1, text.text
            assert float(text.get("x", "")) + half <= width + 1, text.text
