"""How far passes and precision move a model's output, measured in ONNX Runtime.

The yardstick is what ONNX Runtime's own optimisations do to the model without passes: they round elsewhere, as the passes
do, and change nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdsl.network.difference import FACTOR, FLOOR, agreement, relative_error
from resdsl.targets.onnx import onnx_parts
from resdsl.targets.onnx_compile import Compiled
from resdsl.targets.onnx_file import model_bytes
from resdsl.targets.onnx_runtime import NotRunError, run_model

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far outputs y are from y'; NaN where a number is not finite.

    largest: max|y - y'| / max|y'|. typical: the root mean square of y - y' over that of y'; in a deep network that was
    never trained, the largest is a matter of chance. agreement: the share of samples whose largest output is the same;
    None for outputs that are no scores of several classes.
    """

    largest: float
    typical: float
    agreement: float | None


def difference(y: Array, reference: Array) -> Difference:
    """How far the outputs y, (n, *output), are from the reference's."""
    largest = relative_error(y, reference)
    if not np.isfinite(largest):
        return Difference(np.nan, np.nan, None)
    exact = reference.astype(np.float64)
    square = max(float(np.square(exact).mean()), np.finfo(np.float64).tiny)
    return Difference(largest, float(np.sqrt(np.square(y - exact).mean() / square)), agreement(y, reference))


@dataclass(frozen=True, slots=True)
class Comparison:
    """rounding: ONNX Runtime's optimisations on and off, without passes, max|y - y'| / max|y'|. passes: likewise, with
    passes from without. precision: from the same model in float32; None where there is none, or where `note` says why
    it could not be run.
    """

    rounding: float
    passes: float
    precision: Difference | None = None
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the passes changed no more than rounding explains."""
        return self.passes <= FACTOR * self.rounding + FLOOR

    @property
    def is_finite(self) -> bool:
        """Whether the model without passes has a finite output, which alone can be compared with."""
        return bool(np.isfinite(self.rounding))


def compare(compiled: Compiled, x: NDArray[np.float32]) -> Comparison:
    """Runs the model without passes, with them, and in its precision, on the inputs x, (n, *input)."""
    start = model_bytes(onnx_parts(compiled.network, compiled.weights))
    exact = run_model(start, x, optimised=False)
    own = run_model(start, x)
    del start
    folded = run_model(model_bytes(compiled.float32), x)
    rounding, passes = relative_error(own, exact), relative_error(folded, exact)
    if compiled.parts is compiled.float32:
        return Comparison(rounding, passes)
    try:
        return Comparison(rounding, passes, difference(run_model(model_bytes(compiled.parts), x), folded))
    except NotRunError as error:
        return Comparison(rounding, passes, note=str(error))
