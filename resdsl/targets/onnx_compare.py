"""How far passes and precision move a model's output, measured in ONNX Runtime.

The yardstick is what ONNX Runtime's own optimisations do to the model without passes: they round elsewhere, as the passes
do, and change nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdsl.network.difference import agreement, relative_error
from resdsl.targets.onnx import onnx_parts
from resdsl.targets.onnx_compile import Compiled
from resdsl.targets.onnx_file import model_bytes
from resdsl.targets.onnx_runtime import NotRunError, run_model

Array = NDArray[np.floating]

FACTOR, FLOOR = 4.0, 1e-6
"""The passes may move the output FACTOR times as far as ONNX Runtime's own optimisations, plus FLOOR."""


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
    exact = run_model(start, x, optimised=False)
    own = run_model(start, x)
    del start
    folded = run_model(model_bytes(compiled.float32), x)
    rounding, passes = relative_error(own, exact), relative_error(folded, exact)
    final, note = folded, ""
    if compiled.parts is not compiled.float32:
        try:
            final = run_model(model_bytes(compiled.parts), x)
        except NotRunError as error:
            note = str(error)
    has_precision = final is not folded
    return Comparison(
        len(x),
        rounding,
        passes,
        relative_error(final, folded) if has_precision else None,
        agreement(final, exact),
        note,
    )
