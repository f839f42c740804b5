"""Networks at the edges of the language: no rule may fail on them."""

from __future__ import annotations

import pytest

import resdsl

UNITS = """resnet 1
unit nothing { branch identity shortcut identity }
unit gone { branch identity shortcut none }
unit norm_only(after = identity) { branch bn shortcut identity after after }
unit lead(shortcut = identity, end = identity) {
    placement  pre
    branch     conv(3x3, 4) -> end
    shortcut   shortcut
    projection conv(1x1) from input
}
unit placed {
    branch   conv(1x1, 4) -> scale(position, learn = true) -> dropout(0.5 * position) -> drop_path(0.1 * position)
    shortcut gate(-position) -> scale(1 - position, branch = position)
}
unit nested(n) { branch n * nothing -> n * lead -> concat(placed, lead -> relu) -> conv(1x1, 4) shortcut identity }
unit vector { branch linear(4) shortcut scale(0, learn = true) after layernorm }
unit flat { branch flatten -> linear(4) shortcut none after relu }
unit wide { branch concat(identity, conv(1x1, 4 + index)) shortcut none }
"""
BODIES = {
    "nothing": "input 10",
    "empty": "input 4x5x5 stem identity stage identity stage 0 * lead head identity",
    "operators": "input 4x5x5 stage conv(1x1, 4) stage bn -> relu head avgpool",
    "stem": "input 4x5x5 stem 3 * lead -> norm_only -> gone head avgpool -> linear(10)",
    "head": "input 4x5x5 head 3 * lead -> norm_only(relu) -> nested(1) -> avgpool -> 2 * vector",
    "idle": "input 4x5x5 stage 20 * nothing -> 20 * gone -> 20 * norm_only",
    "places": "input 4x5x5 stem 2 * placed stage placed -> 2 * nested(2) -> 3 * placed head avgpool -> linear(2)",
    "inside": "input 4x5x5 stage concat(2 * lead, partial(0.5, nothing)) head avgpool",
    "vectors": "input 4 stem linear(4) stage 60 * vector head linear(3, init = zero)",
    "both": "input 4x5x5 stage lead -> flat -> vector",
    "chain": "input 4x5x5 stage lead(avgpool(3x3, 1, padding = 1) -> bn -> gate(0), relu -> scale(0, learn = true))",
    "growing": "input 4x5x5 stage 30 * wide",
    "huge": "input 4x5x5 stage lead(1200 * conv(1x1, 4), 1200 * conv(3x3, 4)) -> 1000 * lead(scale(1e38), scale(1e-38))",
}


@pytest.mark.parametrize("body", BODIES)
def test_every_rule(body: str) -> None:
    found = resdsl.lint(f"{UNITS}network n {{ {BODIES[body]} }}\nnetwork m = n\n")
    assert all(diagnostic.name and diagnostic.message and diagnostic.span for diagnostic in found), found
