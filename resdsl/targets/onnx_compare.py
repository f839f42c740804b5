"""How far passes and precision move a model's output, measured in ONNX Runtime.

The yardstick is what ONNX Runtime's own optimisations do to the model without passes: they round elsewhere, as the passes
do, and change nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from resdsl.targets.onnx import onnx_parts
from resdsl.targets.onnx_compile import Compiled, model_bytes

Array = NDArray[np.floating]

FACTOR, FLOOR = 4.0, 1e-6
"""The passes may move the output FACTOR times as far as ONNX Runtime's own optimisations, plus FLOOR."""
BATCH = 16


@dataclass(frozen=True, slots=True)
class Comparison:
    """Each difference is max|y - y'| / max|y'|. samples: on how many inputs.

    rounding: ONNX Runtime's optimisations on and off, without passes. passes: with passes from without. precision: from
    the same model in float32; None where there is none, or where `note` says why it could not be run. agreement: the
    share of samples whose largest output is the same in the end as at the start; None for outputs that are no classes.
    """

    samples: int
    rounding: float
    passes: float
    precision: float | None = None
    agreement: float | None = None
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the passes changed no more than rounding explains; so if there is no finite output to compare."""
        return not np.isfinite(self.passes) or self.passes <= FACTOR * self.rounding + FLOOR


def compare(compiled: Compiled, x: NDArray[np.float32]) -> Comparison:
    """Runs the model without passes, with them, and in its precision, on the inputs x, (n, *input)."""
    start = model_bytes(onnx_parts(compiled.network, compiled.weights))
    exact = run(start, x, optimised=False)
    own = run(start, x)
    del start
    folded = run(model_bytes(compiled.float32), x)
    rounding, passes = relative_difference(own, exact), relative_difference(folded, exact)
    final, note = folded, ""
    if compiled.parts is not compiled.float32:
        try:
            final = run(model_bytes(compiled.parts), x)
        except Exception as error:  # ONNX Runtime's have no class in common
            note = f"ONNX Runtime's CPU does not run it: {str(error).splitlines()[0]}"
    has_precision = final is not folded
    return Comparison(
        len(x),
        rounding,
        passes,
        relative_difference(final, folded) if has_precision else None,
        agreement(final, exact),
        note,
    )


def run(model: bytes, x: NDArray[np.float32], *, optimised: bool = True) -> Array:
    """The output of a model for (n, *input), a few inputs at a time, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    parts = [session.run(["output"], {"input": x[at : at + BATCH]})[0] for at in range(0, len(x), BATCH)]
    return np.concatenate(parts).astype(np.float64)


def relative_difference(y: Array, reference: Array) -> float:
    """max|y - reference| / max|reference|; NaN where a number is not finite."""
    if not (np.isfinite(y).all() and np.isfinite(reference).all()):
        return float("nan")
    return float(np.abs(y - reference).max() / max(float(np.abs(reference).max()), np.finfo(np.float64).tiny))


def agreement(y: Array, reference: Array) -> float | None:
    """The share of samples whose largest output is the same; None where outputs are no scores of several classes."""
    if y.ndim != 2 or y.shape[1] < 2 or not np.isfinite(y).all():
        return None
    return float((y.argmax(axis=1) == reference.argmax(axis=1)).mean())
