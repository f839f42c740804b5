"""From a network and weights to a model in its precision: what is refused on the way."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from resdsl.diagnostics import SpecError
from resdsl.network.evaluate import random_input
from resdsl.spec import build
from resdsl.targets.onnx_compile import compile_onnx
from resdsl.targets.precision import Precision
from resdsl.targets.table import Request
from resdsl.weights import CALIBRATED, network_weights

SPEC = """resnet 1
network small {
    input 1x8x8
    stem  conv(3x3, 8)
    stage 2 * unit(8)
    head  bn -> relu -> avgpool -> linear(3)
}
unit unit(width) { placement pre branch conv(3x3, width) -> conv(3x3, width) shortcut identity }
"""
NETWORK = build(SPEC)
X = random_input(NETWORK, 4, 1)


def int8(calibration: NDArray[np.float32]) -> None:
    weights = network_weights(NETWORK, CALIBRATED)
    compile_onnx(NETWORK, weights, precision=Precision.INT8, calibration=calibration)


@pytest.mark.parametrize(
    ("calibration", "words"),
    [
        (np.zeros_like(X), "the calibration inputs hold nothing but 0"),
        (np.full_like(X[:1], 0.5), "the calibration inputs hold nothing but 0.5"),
        (np.repeat(X[:1], 5, axis=0), "the 5 calibration inputs are all the same"),
    ],
    ids=["zeros", "one constant sample", "copies"],
)
def test_calibration_inputs_that_tell_no_range_are_refused(calibration: NDArray[np.float32], words: str) -> None:
    with pytest.raises(SpecError) as raised:
        int8(calibration)
    (diagnostic,) = raised.value.diagnostics
    assert (diagnostic.code, diagnostic.message) == ("calibration", words)
    assert "different inputs" in diagnostic.help


def test_requests_name_what_they_say() -> None:
    with pytest.raises(TypeError, match="positional"):
        Request(NETWORK, None, 3)  # type: ignore[misc]  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16])
def test_the_float32_model_beside_a_precision_is_inlined(precision: Precision) -> None:
    """Of functions only the model itself is made, so that every value of the other can be measured."""
    made = compile_onnx(NETWORK, network_weights(NETWORK), functions=True, precision=precision)
    assert made.parts.model.functions
    assert not made.float32.model.functions


def test_what_is_said_and_what_is_proven_load_no_table_of_targets() -> None:
    code = "import sys, resdsl.targets.onnx_notes, resdsl.targets.onnx_proof; sys.exit('resdsl.targets.table' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_calibration_inputs_that_differ_are_taken() -> None:
    int8(X[:1])
    int8(np.concatenate([X[:1], np.zeros_like(X)]))
