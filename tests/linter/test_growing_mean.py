"""By how much branches that are never below 0 raise the mean of the signal."""

from __future__ import annotations

import pytest

import resdsl
from resdsl.diagnostics import Severity


def grown(unit: str, stage: str) -> list[str]:
    text = f"resnet 1\nunit u(width, stride = 1) {{ {unit} }}\nnetwork n {{ input 8x8x8 stage {stage} }}\n"
    found = [each for each in resdsl.lint(text, ["activation-before-addition"]) if each.severity is not Severity.ERROR]
    assert {each.name for each in found} <= {"activation-before-addition"}, [each.render() for each in found]
    return [each.message.partition("grows by ")[2].partition(" ")[0] for each in found]


@pytest.mark.parametrize(
    ("end", "shortcut", "mean"),
    [
        ("relu", "identity", "8.0"),  # 20 / sqrt(2 pi)
        ("sigmoid", "identity", "10.0"),
        ("relu", "scale(0.5)", "0.8"),  # 0.399 * (1 - 0.5^20) / (1 - 0.5)
        ("relu", "scale(2)", "4.2e+05"),  # 0.399 * (2^20 - 1)
        ("relu", "gate(0)", "0.8"),
        ("relu", "scale(0)", "0.4"),
        ("relu", "dropout(0.5)", "8.0"),
        ("relu", "drop_path(0.5, rescale = false)", "0.8"),
        ("relu", "relu", "8.0"),
        ("relu", "scale(1, branch = 0.01)", "0.08"),
        ("relu -> scale(0.01)", "identity", "0.08"),
        ("relu -> scale(0.5)", "scale(1, branch = 0.5)", "2.0"),
        ("relu -> scale((index + 1) / 20)", "identity", "4.2"),  # 0.399 * 10.5
        ("relu -> drop_path(0.5, rescale = false)", "identity", "4.0"),
        ("relu -> se(2)", "identity", "4.0"),
        ("concat(conv(1x1, 4) -> relu -> scale(0.5), conv(1x1, 4) -> sigmoid) -> scale(0.5)", "identity", "2.0"),
        ("relu", "bn", None),
        ("relu", "conv(1x1)", None),
        ("relu", "scale(-1)", None),
        ("relu", "scale(1, branch = -1)", None),
        ("relu", "tanh", None),
    ],
)
def test_one_row_of_units(end: str, shortcut: str, mean: str | None) -> None:
    found = grown(f"branch conv(3x3, width) -> {end}\nshortcut {shortcut}", "20 * u(8)")
    assert found == ([] if mean is None else [mean])


def test_a_projection_adds_nothing() -> None:
    unit = "branch conv(3x3, width, stride) -> relu\nshortcut identity\nprojection conv(1x1)"
    assert grown(unit, "20 * u(16) first(stride = 2)") == ["7.6"]  # 19 of them
    assert grown(
        unit.replace("conv(1x1)", "avgpool(2x2, stride) -> pad(width, 1)"), "20 * u(16) first(stride = 2)"
    ) == ["8.0"]


def test_what_follows_the_addition_counts() -> None:
    unit = "branch conv(3x3, width) -> relu\nshortcut identity\nafter scale(0.5)"
    assert grown(unit, "20 * u(8)") == ["0.4"]
    assert grown(unit.replace("scale(0.5)", "bn"), "20 * u(8)") == []


def test_no_float_overflows() -> None:
    unit = "branch conv(3x3, width) -> relu\nshortcut scale(10)"
    assert grown(unit, "1000 * u(8)") == ["1.0e+200"]
