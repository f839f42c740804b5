"""What is said of a measurement beside its numbers, and that nothing is said where nothing is to be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from resdsl.analysis import signal
from resdsl.api import build
from resdsl.diagnostics import SpecError
from resdsl.network.initial import initial_weights

UNIT = "resnet 1\nunit v {{ branch {branch} shortcut {shortcut} }}\n"
NORMED = UNIT.format(branch="bn -> relu -> linear(4)", shortcut="identity")
LINEAR = UNIT.format(branch="linear(4)", shortcut="identity")


def test_nothing_is_said_of_an_ordinary_network() -> None:
    assert signal("std/resnet110", "resnet110", {"n": 1, "image": (3, 8, 8)}).remarks == ()


@pytest.mark.parametrize("given", [{"samples": 1}, {"inputs": np.ones((1, 4), np.float32)}])
def test_a_norm_that_sees_one_value_is_refused(given: dict[str, object]) -> None:
    """Its variance is 0, and the gradient through ten of them was 1e23."""
    with pytest.raises(SpecError, match="sees one value of a channel") as raised:
        signal(NORMED + "network n { input 4 stage 10 * v }", **given)  # type: ignore[arg-type]
    assert raised.value.diagnostics[0].code == "wrong-input"


def test_a_norm_that_sees_one_value_of_given_statistics_is_none_the_worse() -> None:
    text = NORMED + "network n { input 4 stage 3 * v }"
    found = signal(text, samples=1, weights=initial_weights(build(text)))
    assert np.isfinite(found.log10_gradient).all()
    assert not any("batch norm" in remark for remark in found.remarks)


@pytest.mark.parametrize(
    ("network", "samples", "values"),
    [("input 4 stage v", 31, 31), ("input 4 stage v", 32, None), ("input 4x1x1 stem avgpool stage v", 2, 2)],
)
def test_few_values_of_a_norm_are_said(network: str, samples: int, values: int | None) -> None:
    found = [each for each in signal(f"{NORMED}network n {{ {network} }}", samples=samples).remarks if "norm" in each]
    expected = [] if values is None else [f"A batch norm sees {values} values of a channel"]
    assert [each.partition(",")[0] for each in found] == expected


def test_positions_are_values() -> None:
    unit = "resnet 1\nunit v { branch bn -> conv(3x3, 4) shortcut identity }\nnetwork n { input 4x4x4 stage v }"
    assert signal(unit, samples=2).remarks == ()  # 2 x 16 are 32
    assert "sees 16 values" in signal(unit, samples=1).remarks[0]


def test_a_closed_form_is_of_initial_weights() -> None:
    """A scale that was learned to be 0.9 measures 0.9 a unit, and 0.5, where it started, is no closed form of that."""
    text = UNIT.format(branch="linear(4)", shortcut="scale(0.5, learn = true)") + "network n { input 4 stage 3 * v }"
    weights = {name: array.copy() for name, array in initial_weights(build(text)).items()}
    assert signal(text, samples=4).log10_expected == pytest.approx(math.log10(0.5) * np.array([3, 2, 1]))
    scales = [name for name, array in weights.items() if array.size == 1]
    assert len(scales) == 3
    for name in scales:
        weights[name][...] = 0.9
    found = signal(text, samples=4, weights=weights)
    assert found.log10_direct == pytest.approx(math.log10(0.9) * np.array([3, 2, 1]), abs=1e-5)
    assert np.isnan(found.log10_expected).all()
    assert np.isnan(found.expected.mean).all()
    assert found.remarks == (
        "Closed forms are of initial weights, and these are others: there is none for a shortcut.",
    )


def test_nothing_comes_through_no_shortcut_whatever_the_weights() -> None:
    text = UNIT.format(branch="linear(4)", shortcut="none") + "network n { input 4 stage 3 * v }"
    found = signal(text, samples=4, weights=initial_weights(build(text)))
    assert (found.log10_expected == -math.inf).all()
    assert (found.expected.backward == 0).all()


@pytest.mark.parametrize(("head", "said"), [("linear(2, init = zero)", True), ("linear(2)", False)])
def test_a_gradient_that_does_not_start_at_the_output_is_said(head: str, said: bool) -> None:
    found = signal(f"{LINEAR}network n {{ input 4 stage v head {head} }}", samples=4)
    assert any("hands back no gradient" in remark for remark in found.remarks) == said


def test_units_inside_concat_are_said() -> None:
    found = signal(LINEAR + "network n { input 4 stem concat(2 * v, linear(4)) -> linear(4) stage v }", samples=4)
    assert len(found.units) == 1
    assert found.remarks == ("2 units inside concat, beside the units here: without a row, and in no count.",)
    with pytest.raises(SpecError, match="n has no units but 2 units inside concat"):
        signal(LINEAR + "network n { input 4 stem concat(2 * v, linear(4)) }", samples=4)


def test_units_in_a_unit_that_is_measured_as_a_whole_are_said() -> None:
    text = f"""{LINEAR}unit gated {{ branch 3 * v shortcut gate(-1, branch = true) }}
unit joined {{ branch concat(v, linear(4)) -> linear(4) shortcut identity }}
unit opened {{ branch 2 * v -> linear(4) shortcut identity }}
network n {{ input 4 stage gated stage joined stage opened }}
"""
    found = signal(text, samples=4)
    assert found.units == ("stage1.0", "stage2.0", "stage3.0.v.0", "stage3.0.v.1")
    assert found.remarks == (
        "Measured as a whole with 4 units inside concat or behind a gate on the branch: stage1.0, stage2.0.",
    )


def test_a_dead_signal_is_said_with_the_unit() -> None:
    """scale(-1) makes of what a ReLU left something that the next ReLU leaves nothing of."""
    unit = "resnet 1\nunit v { branch linear(4) -> scale(0) shortcut identity after scale(-1) -> relu }\n"
    found = signal(unit + "network n { input 4 stage 4 * v }", samples=64)
    assert found.output.variance[0] > 0
    assert [each for each in found.remarks if "Nothing of the signal" in each] == [
        "Nothing of the signal is left behind stage1.1: all is 0 from there on."
    ]


def growth(text: str) -> list[str]:
    return [each for each in signal(text, samples=64, lengths=False).remarks if "grows by a factor" in each]


def test_growth_is_said_with_its_factor() -> None:
    """He weights and no norm: each unit doubles the second moment, and adding xavier's halved branch makes it 1.25."""
    unit = "resnet 1\nunit v(start) {{ init start branch relu -> linear(256) shortcut identity }}\nnetwork n {{ input 256 stage {n} * v({start}) }}"
    (said,) = growth(unit.format(n=12, start="he"))
    assert 1.7 < float(said.split("a factor of ")[1].split()[0]) < 2.3
    assert "stage1" in said
    assert not growth(unit.format(n=12, start="xavier(gain = 0.7)"))
    assert not growth(unit.format(n=8, start="he"))  # too few to say it of all


def test_branches_that_decide_every_mask_are_said() -> None:
    unit = "resnet 1\nunit v {{ branch linear(64) -> scale({factor}) shortcut identity after relu }}\nnetwork n {{ input 64 stage 10 * v }}"
    said = [each for each in signal(unit.format(factor=2), samples=64).remarks if "decides anew" in each]
    assert [each.partition(" units")[0] for each in said] == ["Var(F)/Var(x) is 1 or more in 10 of 10"]
    found = signal(unit.format(factor=2), samples=64)
    assert found.log10_direct[0] < found.log10_expected[0]
    assert not any("decides anew" in each for each in signal(unit.format(factor=0.1), samples=64).remarks)
