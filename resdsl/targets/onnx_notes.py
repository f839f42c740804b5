"""What is said of a compiled model: what the passes did, and how far each step moves the output."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.network.evaluate import random_input
from resdsl.passes.run import Step
from resdsl.samples import spread
from resdsl.targets.onnx_compile import Compiled, has_runtime
from resdsl.targets.precision import Precision
from resdsl.targets.table import MAX_ONNX_BYTES

if TYPE_CHECKING:  # onnxruntime comes with it
    from resdsl.targets.onnx_compare import Difference

MAX_COMPARED = 256 * 2**20
"""Bytes of weights above which a model is not run for comparison unless that is asked for: it would take several times these."""
RANDOM_INPUTS = 2
"""Enough to see a wrong pass; too few to tell which share keeps its class."""
CALIBRATION_INPUTS = 64
"""How many of the calibration's inputs are compared on, spread evenly over them."""
FEW = 64
"""Below which the error on a calibration's own inputs says little of others."""
SHOWN_PLACES = 4


def notes(
    compiled: Compiled, precision: Precision, calibration: NDArray[np.float32] | None, *, compares: bool | None
) -> tuple[str, ...]:
    """Lines for the user. compares: None for where the weights are not too large for it.

    Raises SpecError where the passes moved the output further than rounding explains.
    """
    lines = list(pass_lines(compiled.steps))
    if compiled.is_changed or precision is not Precision.FP32:
        if compares is not False:
            lines += _difference_lines(compiled, precision, calibration, forced=compares is True)
    elif compares:
        lines.append("nothing to compare: no pass changed anything")
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
    """How far passes and precision move the output.

    Int8 is compared on inputs that its ranges come from, where nothing saturates, and the line says so. From 64 on that
    flatters little: on a network trained on digits, the typical error on other inputs was 0.96 to 1.1 times as large, with
    16 inputs 1.6 to 3.3 times, with 4 of them 4 to 6 times. For fp16, ONNX Runtime's CPU rounds weights and leaves what lies
    between nodes in float32: rounding at every node was 2.6 times as far off, and overflow there is not seen here.
    """
    if not has_runtime():
        return ["not compared with the network without passes: ONNX Runtime is not installed (resdsl[ort])"]
    size = sum(array.nbytes for array in compiled.weights.values())
    told = f"not compared with the network without passes: {size / 2**20:,.0f} MiB of weights"
    if size > MAX_ONNX_BYTES:
        return [f"{told}, and ONNX Runtime takes a model of less than 2 GiB at once"]
    if size > MAX_COMPARED and not forced:
        return [f"{told}; `--verify` does it"]
    from resdsl.targets.onnx_compare import compare

    if calibration is None:
        x, inputs = random_input(compiled.network, RANDOM_INPUTS), f"{RANDOM_INPUTS} random inputs"
    else:
        x = calibration[spread(len(calibration), CALIBRATION_INPUTS)]
        inputs = f"{len(x)} of its calibration inputs"
    with np.errstate(all="ignore"):
        found = compare(compiled, x)
    if not found.is_finite:
        return [f"not compared with the network without passes: its output on {inputs} is not finite"]
    if not found.passed:
        moved = f"move the output of {compiled.network.name} by {found.passes:.1e}"
        if not math.isfinite(found.passes):
            moved = f"take the output of {compiled.network.name} out of float32's range"
        message = f"the passes {moved}, and rounding explains {found.rounding:.1e}; nothing is written"
        help = "`resdsl verify` says which pass and where; `-O0` writes without passes, `--no-verify` without comparing"
        raise fail("passes-differ", message, help=help)
    lines: list[str] = []
    if compiled.is_changed:
        lines.append(
            f"{found.passes:.1e} from the network without passes on {inputs}; rounding alone gives {found.rounding:.1e}"
        )
    if found.precision is not None:
        added = _added(found.precision, inputs, of_classes=calibration is not None)
        rounds = ", the CPU keeping activations in float32" if precision is Precision.FP16 else ""
        lines.append(f"{precision.value} {added}{rounds}")
        if precision is Precision.INT8 and calibration is not None and len(calibration) < FEW:
            lines.append(
                f"int8 adds more on others: {len(calibration)} are few to measure ranges on; give {FEW} or more"
            )
    elif found.note:
        lines.append(f"{precision.value} is not compared: {found.note}")
    return lines


def _added(found: Difference, inputs: str, *, of_classes: bool) -> str:
    if not math.isfinite(found.largest):
        return f"gives an output on {inputs} that is not finite"
    kept = f"; {found.agreement:.1%} keep their class" if of_classes and found.agreement is not None else ""
    return f"adds {found.typical:.1e} (rms; peak {found.largest:.1e}) on {inputs}{kept}"
