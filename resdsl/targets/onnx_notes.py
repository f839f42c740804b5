"""What is said of a compiled model: what the passes did, and how far each step moves the output."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.network.evaluate import random_input
from resdsl.passes.run import Step
from resdsl.targets.onnx_compile import Compiled, has_runtime
from resdsl.targets.precision import Precision

MAX_COMPARED = 256 * 2**20
"""Bytes of weights above which a model is not run for comparison unless that is asked for: it would take several times these."""
RANDOM_INPUTS = 2
CALIBRATION_INPUTS = 64
SHOWN_PLACES = 4


def notes(
    compiled: Compiled, precision: Precision, calibration: NDArray[np.float32] | None, *, compares: bool | None
) -> tuple[str, ...]:
    """Lines for the user. compares: None for where the weights are not too large for it.

    Raises SpecError where the passes moved the output further than rounding explains.
    """
    lines = list(pass_lines(compiled.steps))
    if compares is not False and (compiled.is_changed or precision is not Precision.FP32):
        lines += _difference_lines(compiled, precision, calibration, forced=compares is True)
    return tuple(lines)


def pass_lines(steps: tuple[Step, ...]) -> list[str]:
    """One line with how much each pass changed, and one for each reason for which a pass left something."""
    counts = [f"{step.name} {len(step.tally.changed):,}" for step in steps if step.tally.changed]
    lines = [", ".join(counts)] if counts else []
    for step in steps:
        for kept in step.tally.kept:
            places = ", ".join(kept.places[:SHOWN_PLACES]) + (", …" if len(kept.places) > SHOWN_PLACES else "")
            lines.append(f"{step.name} leaves {len(kept.places):,}: {kept.reason} ({places})")
    return lines


def _difference_lines(
    compiled: Compiled, precision: Precision, calibration: NDArray[np.float32] | None, *, forced: bool
) -> list[str]:
    if not has_runtime():
        return ["not compared with the network without passes: ONNX Runtime is not installed (resdsl[ort])"]
    size = sum(array.nbytes for array in compiled.weights.values())
    if size > MAX_COMPARED and not forced:
        return [f"not compared with the network without passes: {size / 2**20:,.0f} MiB of weights; `--verify` does it"]
    from resdsl.targets.onnx_compare import compare

    if calibration is None:
        x, inputs = random_input(compiled.network, RANDOM_INPUTS), f"{RANDOM_INPUTS} random inputs"
    else:
        x = calibration[:CALIBRATION_INPUTS]
        inputs = f"{len(x)} of the calibration's inputs"
    with np.errstate(all="ignore"):
        found = compare(compiled, x)
    if not math.isfinite(found.passes):
        return [f"not compared with the network without passes: its output on {inputs} is not finite"]
    if not found.passed:
        message = (
            f"the passes move the output of {compiled.network.name} by {found.passes:.1e}, and rounding explains "
            f"{found.rounding:.1e}; nothing is written"
        )
        help = "`resdsl verify` says which pass and where; `-O0` writes without passes, `--no-verify` without comparing"
        raise fail("passes-differ", message, help=help)
    lines: list[str] = []
    if compiled.is_changed:
        lines.append(
            f"{found.passes:.1e} from the network without passes on {inputs}; rounding alone gives {found.rounding:.1e}"
        )
    if found.precision is not None:
        kept = "" if found.agreement is None else f", {found.agreement:.1%} keep their class"
        lines.append(f"{precision.value} adds {found.precision:.1e} on {inputs}{kept}")
    elif found.note:
        lines.append(f"{precision.value} is not compared: {found.note}")
    return lines
