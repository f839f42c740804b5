"""Where numbers leave the range of floats, forward and back: the place is named, and no innocent unit."""

from __future__ import annotations

import numpy as np
import pytest

from resdsl.analysis import signal
from resdsl.diagnostics import SpecError

UNITS = """resnet 1
unit v { branch linear(4) shortcut identity }
unit backwards { branch linear(8, init = zero) -> scale(1e30) -> scale(1e15) shortcut identity }
unit outer(lead = identity, shortcut = identity) { branch lead -> 2 * v shortcut shortcut after tanh }
unit hidden { branch linear(4) shortcut scale(1e30) -> scale(1e30) after tanh }
"""
FAR = "scale(1e30) -> scale(1e30)"
FORWARD = {
    f"input 4 stem {FAR} -> linear(4) stage 2 * v": "numbers are not finite in the stem, before stage1.0",
    f"input 4 stage v -> {FAR} -> v": "numbers are not finite in stage1, before stage1_v2.0",
    f"input 4 stage v stage {FAR} -> v": "numbers are not finite in stage2, before stage2_v.0",
    f"input 4 stage 2 * v head {FAR} -> linear(2)": "numbers are not finite in the head, behind stage1.1",
    "input 4 stage 2 * hidden": "numbers are not finite from stage1.0 on, hidden",
    "input 4 stage v -> outer(shortcut = scale(1e30) -> scale(1e30))": "numbers are not finite from stage1.1 on, outer",
}
BACK = {
    "input 8 stage backwards": "the gradient is not finite from stage1.0 on, backwards",
    "input 8 stage 2 * backwards head linear(2)": "the gradient is not finite from stage1.1 on, backwards",
    f"input 4 stage v head linear(4, init = zero) -> {FAR}": "the gradient is not finite in the head",
    f"input 4 stage v -> linear(4, init = zero) -> {FAR} -> v": "the gradient is not finite in stage1, before stage1_v2.0",
}


@pytest.mark.parametrize(("network", "message"), [*FORWARD.items(), *BACK.items()])
@pytest.mark.parametrize("lengths", [True, False])
def test_the_place_is_named(network: str, message: str, lengths: bool) -> None:
    text = f"{UNITS}network n {{ {network} }}"
    with pytest.raises(SpecError) as raised:
        signal(text, samples=3, lengths=lengths)
    (found,) = raised.value.diagnostics
    assert found.code == "not-finite"
    assert found.message.startswith(message)
    assert np.isfinite(signal(text, samples=3, lengths=lengths, precision="fp64").output.variance).all()


def test_in_float64_no_larger_range_is_promised() -> None:
    text = f"{UNITS}network n {{ input 4 stem {' -> '.join(['scale(1e30)'] * 6)} -> linear(4) stage 2 * v }}"
    with pytest.raises(SpecError) as raised:
        signal(text, samples=3, precision="fp64")  # the numbers themselves would fit
    (found,) = raised.value.diagnostics
    assert (found.code, found.help) == ("not-finite", "")
    assert "1e154" in found.notes[-1]
