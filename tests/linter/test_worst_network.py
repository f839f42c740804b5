"""Where several networks share a place, what is worst is told, whichever comes first."""

from __future__ import annotations

import pytest

import resdsl

UNIT = """resnet 1
unit u(width, stride = 1) {{
    {unit}
}}
"""
NETWORK = """network {name} {{
    input 8x16x16
    {stages}
}}
"""


@pytest.mark.parametrize(
    ("rule", "unit", "stage"),
    [
        ("relu-only-preactivation", "branch relu -> conv(3x3, width) -> bn\nshortcut identity", "{n} * u(8)"),
        ("activation-before-addition", "branch conv(3x3, width) -> relu\nshortcut identity", "{n} * u(8)"),
        ("shortcut-dropout", "branch conv(3x3, width)\nshortcut dropout(0.001)", "{n} * u(8)"),
        ("linear-branch", "branch conv(3x3, 8) -> conv(3x3, 8) -> conv(3x3, 8)\nshortcut identity", "{n} * u(8)"),
        (
            "raw-projection",
            "branch bn -> conv(3x3, width)\nshortcut conv(1x1) from input",
            "{n} * u(8 + 8 * (index + 1))",
        ),
        ("projection-with-norm", "branch conv(3x3, width)\nshortcut pad -> bn", "{n} * u(8 + 8 * (index + 1))"),
        (
            "learned-scale-start",
            "branch conv(3x3, width) -> scale(1, learn = true)\nshortcut identity",
            "{n} * u(8) -> 20 * (conv(1x1, 8))",
        ),
    ],
)
def test_the_deepest_network_is_told(rule: str, unit: str, stage: str) -> None:
    for depths in ((2, 4, 3), (4, 3, 2), (2, 3, 4)):
        networks = "".join(NETWORK.format(name=f"n{n}", stages=f"stage {stage.format(n=n)}") for n in depths)
        (found,) = resdsl.lint(UNIT.format(unit=unit) + networks, [rule])
        assert found.notes[-1].startswith("in n4; also in"), found.render()
        assert found.message.startswith(("4 ", "one")), found.render()


def test_the_deepest_network_is_told_of_operators_between_units() -> None:
    text = (
        UNIT.format(unit="branch conv(3x3, width)\nshortcut identity")
        + """
unit pair(width) {
    branch   u(width) -> relu -> u(width)
    shortcut identity
}
"""
    )
    text += "".join(NETWORK.format(name=f"n{n}", stages=f"stage {n} * pair(8)") for n in (2, 4, 3))
    (found,) = resdsl.lint(text, ["operator-between-units"])
    assert found.message.startswith("relu between units, 4 times"), found.render()
