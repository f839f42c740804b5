"""The weights that have a name instead of a file."""

from __future__ import annotations

import numpy as np
import pytest

import resdsl
from resdsl.diagnostics import SpecError
from resdsl.network.initial import initial_weights
from resdsl.weights import CALIBRATED, INITIAL, network_weights

SPEC = """\
resnet 1
network small { input 3x8x8 stem conv(3x3, 4) -> bn -> relu head avgpool -> linear(5) }
"""


def test_initial_weights_have_a_name() -> None:
    network = resdsl.build(SPEC)
    expected = initial_weights(network, 3)
    for source in (None, INITIAL):
        found = network_weights(network, source, 3)
        assert list(found) == list(expected)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
    others = network_weights(network, CALIBRATED, 3)
    assert any(not np.array_equal(others[name], expected[name]) for name in expected)


def test_the_names_are_told_where_there_is_no_such_file() -> None:
    with pytest.raises(SpecError) as raised:
        network_weights(resdsl.build(SPEC), "no.pt")
    assert "a PyTorch checkpoint, `random-calibrated` or `initial`" in str(raised.value)


def test_a_model_is_compiled_with_them() -> None:
    assert resdsl.compile(SPEC, "onnx", weights=INITIAL) == resdsl.compile(SPEC, "onnx")
