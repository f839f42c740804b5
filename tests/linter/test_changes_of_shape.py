"""Changes of shape: how many, what stands on their shortcuts, and what says where a bottleneck strides."""

from __future__ import annotations

import pytest

import resdsl
from resdsl.diagnostics import Diagnostic, Severity
from resdsl.network.costs import summarise

UNITS = """resnet 1
unit u(width, stride = 1, fit = conv(1x1), placement = pre, shortcut = identity) {
    placement  placement
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   shortcut
    projection fit
}
"""


def lint(text: str, rule: str) -> list[Diagnostic]:
    found = resdsl.lint(text, [rule])
    assert {diagnostic.name for diagnostic in found} <= {rule}, [diagnostic.render() for diagnostic in found]
    return found


def network(*stages: str, image: str = "4x16x16") -> str:
    return f"{UNITS}network n {{\n    input {image}\n" + "".join(f"    stage {stage}\n" for stage in stages) + "}\n"


@pytest.mark.parametrize(
    ("stages", "severity"),
    [
        (["u(8)", "u(16) -> u(16)"], None),
        (["u(8) -> u(16)"], Severity.WARNING),
        (["u(8, fit = pad) -> u(16, fit = pad)"], Severity.NOTE),
        (["u(8) -> u(16, fit = pad)"], Severity.NOTE),
        (["u(8, fit = pad) -> u(16)", "u(32)"], Severity.NOTE),
        (["u(8, fit = pad) -> u(16)", "u(32) -> u(64)"], Severity.WARNING),
        (["u(8, 2) -> u(16, 2) -> u(32, 2)"], None),
        (["u(8) -> u(16, 2) -> u(32, 2)"], None),
        (["u(8) -> u(12) -> u(16, 2) -> u(32, 2)"], Severity.WARNING),
        (["u(8, shortcut = none) -> u(16, shortcut = none)"], None),
        (["8 * u(4 + 4 * index)"], Severity.WARNING),
    ],
)
def test_shape_changes(stages: list[str], severity: Severity | None) -> None:
    found = lint(network(*stages), "shape-changes")
    assert [diagnostic.severity for diagnostic in found] == ([] if severity is None else [severity])


def test_shape_changes_are_shown_from_the_first_too_many() -> None:
    (found,) = lint(network("u(8)", "u(16) -> u(24) -> u(32)"), "shape-changes")
    assert found.span is not None
    assert (found.span.text, found.label) == ("u(24)", "number 3 is here")
    assert found.message.startswith("4 of 4 units change the shape, in 2 stages")


@pytest.mark.parametrize(
    ("shortcut", "fires"),
    [
        ("conv(1x1) from input", True),
        ("conv(1x1) -> bn from input", True),
        ("avgpool(2x2, 2) -> conv(1x1, 8, 1) from input", True),
        ("partial(0.5, conv(1x1, 4, 2)) -> pad(8, 1) from input", True),
        ("conv(1x1) from activated", False),
        ("conv(1x1)", False),
        ("relu -> conv(1x1) from input", False),
        ("avgpool(2x2, 2) -> bn -> relu -> conv(1x1, 8, 1) from input", False),
        ("partial(1.0, bn -> conv(1x1, 8, 2)) from input", False),
        ("partial(1.0, conv(1x1, 8, 2) -> bn) -> conv(1x1, 8, 1) from input", True),
        ("pad from input", False),
        ("none", False),
    ],
)
def test_raw_projection(shortcut: str, fires: bool) -> None:
    text = f"""resnet 1
unit u {{
    placement  pre
    branch     conv(3x3, 8, 2)
    shortcut   identity
    projection {shortcut}
}}
network n {{ input 4x16x16 stage u }}
"""
    assert bool(lint(text, "raw-projection")) is fires
    assert lint(text.replace("placement  pre", "placement  post"), "raw-projection") == []


@pytest.mark.parametrize(
    ("unit", "empty"),
    [
        ("u(8, fit = pad)", "4 of 8 channels start empty"),
        ("u(8, 2, fit = pad)", "4 of 8 channels start empty, and one pixel in 4 goes on"),
        ("u(12, 3, fit = pad)", "8 of 12 channels start empty, and one pixel in 9 goes on"),
        ("u(8, 2, fit = avgpool(2x2, 2) -> pad)", "4 of 8 channels start empty"),
        ("u(8, fit = pad -> dropout(0.1))", "4 of 8 channels start empty"),
        ("u(4, 2, fit = pad)", None),
        ("u(8, fit = conv(1x1, 6) -> pad)", None),
        ("u(8, fit = conv(1x1))", None),
    ],
)
def test_pad(unit: str, empty: str | None) -> None:
    found = lint(network(unit), "pad-shortcut")
    assert [diagnostic.message.partition(": ")[2] for diagnostic in found] == ([] if empty is None else [empty])


def test_what_the_pages_count() -> None:
    """Parameters of ResNet-110 by option, and of the two ResNet-152; multiply-accumulates of ResNet-164 by stride."""

    def cost(spec: str, name: str, **parameters: str | bool) -> tuple[int, int]:
        found = summarise(resdsl.build(spec, name, parameters)).costs
        return found.parameters, found.macs

    option_a, option_b = cost("std/resnet110", "preact110")[0], cost("std/cifar_options", "preact110_b")[0]
    assert (option_a, option_b) == (1_727_962, 1_730_522)
    assert option_b - option_a == 16 * 32 + 32 * 64 == 2_560
    assert cost("std/cifar_options", "resnet110_b")[0] - option_b == 2 * (32 + 64) == 192
    assert cost("std/imagenet", "preact152")[0] == 60_185_128
    assert cost("std/imagenet", "preact152", first="pre")[0] == 60_185_128 + 2 * 64 == 60_185_256
    assert cost("std/imagenet", "preact152", first="pre", lead="identity")[0] == 60_185_128
    in_1x1, in_3x3 = (cost("std/resnet164", "preact164", stride_3x3=where)[1] for where in (False, True))
    assert (in_1x1, in_3x3) == (244_500_992, 247_646_720)
    assert round(100 * (in_3x3 / in_1x1 - 1), 1) == 1.3


BOTTLENECK = """resnet 1
{above}unit b(width, stride = 1) {{
    branch     {branch}
    shortcut   identity
    projection conv(1x1)
}}
{between}network n {{
    input 4x16x16
    stage 2 * b(8) first(stride = 2)
}}
"""


@pytest.mark.parametrize(
    ("branch", "fires"),
    [
        ("conv(1x1, width, stride) -> conv(3x3, width)", True),
        ("conv(1x1, width) -> relu -> conv(3x3, width, stride)", True),
        ("conv(3x3, width, stride) -> conv(3x3, width)", False),
        ("conv(1x1, width) -> maxpool(3x3, stride) -> conv(3x3, width)", False),
        ("conv(1x1, width) -> concat(conv(3x3, 4, stride), conv(3x3, 4, stride))", True),
        ("concat(conv(3x3, 4, stride), conv(1x1, 4, stride))", False),
        ("concat(conv(3x3, 4, stride) -> conv(1x1, 4), conv(1x1, 4, stride))", True),
        ("partial(0.5, conv(3x3, width, stride)) if stride == 1 else conv(3x3, width, stride)", False),
        ("partial(1.0, conv(1x1, width) -> conv(3x3, width, stride))", True),
    ],
)
def test_strides_that_could_stand_elsewhere(branch: str, fires: bool) -> None:
    text = BOTTLENECK.format(branch=branch, above="", between="")
    assert bool(lint(text, "stride-position")) is fires


@pytest.mark.parametrize(
    ("above", "inside", "between", "fires"),
    [
        ("# It strides in the 1x1.\n", "", "", False),
        ("# It strides in the 1x1,\n# as the paper.\n", "", "", False),
        ("# It strides in the 1x1.\n\n", "", "", True),
        ("let x = 1  # strides\n", "", "", True),
        ("# STRIDE: first\n", "", "", False),
        ("# In a straddle.\n", "", "", True),
        ("# resdsl: allow shape-changes (not of stride-position)\n", "", "", True),
        ('"""Strided in the first."""\n', "", "", False),
        ("", "  # striding here", "", False),
        ("", "", "# strides\n", True),
        ("", "", '"""Strides in the first 1x1."""\n', False),
    ],
)
def test_what_says_it(above: str, inside: str, between: str, fires: bool) -> None:
    branch = f"conv(1x1, width, stride){inside}\n -> conv(3x3, width)"
    text = BOTTLENECK.format(branch=branch, above=above, between=between)
    assert bool(lint(text, "stride-position")) is fires
