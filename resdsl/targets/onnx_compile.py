"""From a network and its weights to an ONNX model: passes, and then a precision."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.network.network import Network
from resdsl.passes.fold_preactivation import LIMIT
from resdsl.passes.run import Done, fold
from resdsl.passes.table import Pass
from resdsl.targets.onnx import onnx_parts
from resdsl.targets.onnx_file import Parts
from resdsl.targets.precision import Form, Precision

Weights = Mapping[str, NDArray[np.floating]]

LIMITS = {Precision.FP32: LIMIT, Precision.FP16: 4.0, Precision.BF16: 4.0, Precision.INT8: 4.0}
"""How far the stream may be shifted, as for fold_preactivation: with fewer bits, fewer can be spent on it."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """network, weights: as they were given. steps: what each pass did. parts: the model in its precision.

    float32: the model behind the passes and before the precision, inlined; the same as `parts` for fp32.
    """

    network: Network
    weights: Weights
    steps: tuple[Done, ...]
    float32: Parts
    parts: Parts

    @property
    def is_changed(self) -> bool:
        """Whether a pass changed anything."""
        return any(step.tally.changed for step in self.steps)


def compile_onnx(
    network: Network,
    weights: Weights,
    passes: Sequence[Pass] = (),
    *,
    opset: int | None = None,
    functions: bool = False,
    precision: Precision = Precision.FP32,
    calibration: NDArray[np.float32] | None = None,
    form: Form = Form.ORT_CPU,
    metadata: Mapping[str, str] | None = None,
) -> Compiled:
    """The network's model behind these passes.

    calibration: inputs that int8 measures the ranges of activations on, (n, *input). form: for whom int8 is written. The
    other arguments are those of onnx_model. Raises SpecError.
    """
    if precision is Precision.INT8 and calibration is None:
        message = "int8 needs inputs to measure the ranges of activations on"
        raise fail("calibration", message, help="`--calibration PATH`: arrays or images like those in use")
    folded, numbers, steps = fold(network, weights, passes, LIMITS[precision])
    typed = {
        each: onnx_parts(
            folded,
            numbers,
            opset=opset,
            functions=functions and (each is precision or precision is Precision.INT8),  # int8 refuses them
            precision=each,
            metadata=metadata,
        )
        for each in {Precision.FP32, precision} - {Precision.INT8}
    }
    float32 = typed[Precision.FP32]
    parts = typed[precision] if precision in typed else _quantised(float32, calibration, form)
    return Compiled(network, weights, steps, float32, parts)


def _quantised(float32: Parts, calibration: NDArray[np.float32], form: Form) -> Parts:
    if not has_runtime():
        message = "int8 measures ranges with ONNX Runtime, which is not installed"
        raise fail("missing-library", message, help="pip install 'resdsl[ort]'")
    _require_variety(calibration)
    from resdsl.targets.onnx_int8.write import quantise

    return quantise(float32, calibration, form)


def _require_variety(calibration: NDArray[np.float32]) -> None:
    """Raises SpecError for inputs that tell no range. One sample is enough, if its numbers are not all the same."""
    if not calibration.size:
        return
    if (calibration == calibration.flat[0]).all():
        message = f"the calibration inputs hold nothing but {calibration.flat[0]:g}"
    elif len(calibration) > 1 and (calibration == calibration[0]).all():
        message = f"the {len(calibration)} calibration inputs are all the same"
    else:
        return
    raise fail("calibration", message, help="calibrate with 64 or more different inputs, like those in use")


def has_runtime() -> bool:
    """Whether ONNX Runtime is installed."""
    return importlib.util.find_spec("onnxruntime") is not None
