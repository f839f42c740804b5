"""What is said of a compiled model: what the passes did, and how far each step moves the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from resdsl.passes.run import Done
from resdsl.targets import onnx_proof
from resdsl.targets.onnx_compile import Compiled
from resdsl.targets.onnx_proof import (
    Compared,
    NoRuntime,
    NotFinite,
    NothingChanged,
    NotWanted,
    Proof,
    TooLarge,
    TooMany,
    said,
)
from resdsl.targets.precision import Precision

if TYPE_CHECKING:  # onnxruntime comes with it
    from resdsl.targets.onnx_compare import Difference

FEW = 64
"""Below which the error on a calibration's own inputs says little of others."""
SHOWN_PLACES = 4
NOT_COMPARED = "not compared with the network without passes"


def notes(compiled: Compiled, precision: Precision, proof: Proof) -> tuple[str, ...]:
    """Lines for the user."""
    return (*pass_lines(compiled.steps), *proof_lines(proof, compiled, precision))


def pass_lines(steps: tuple[Done, ...]) -> list[str]:
    """One line with how much each pass changed, and one for each reason for which a pass left something."""
    counts = [f"{step.name} {len(step.tally.changed):,}" for step in steps if step.tally.changed]
    lines = [", ".join(counts)] if counts else []
    for step in steps:
        for kept in step.tally.kept:
            places = ", ".join(kept.places[:SHOWN_PLACES]) + (", …" if len(kept.places) > SHOWN_PLACES else "")
            lines.append(f"{step.name} leaves {len(kept.places):,}: {kept.reason} ({places})")
    return lines


def proof_lines(proof: Proof, compiled: Compiled, precision: Precision) -> list[str]:
    """What was compared with what, or why nothing was."""
    match proof:
        case NotWanted():
            return []
        case NothingChanged(was_asked):
            return ["nothing to compare: no pass changed anything"] if was_asked else []
        case NoRuntime():
            return [f"{NOT_COMPARED}: ONNX Runtime is not installed (resdsl[ort])"]
        case TooMany(size, nodes):
            much = f"{_mebibytes(size)} of weights" if size > onnx_proof.MAX_COMPARED else f"{nodes:,} nodes"
            return [f"{NOT_COMPARED}: {much}; `--verify` does it"]
        case TooLarge(size):
            return [
                f"{NOT_COMPARED}: {_mebibytes(size)} of weights, and ONNX Runtime takes a model of less than 2 GiB at once"
            ]
        case NotFinite(inputs):
            return [
                f"{NOT_COMPARED}: its output on {said(inputs)} is not finite; `--weights random-calibrated` can be compared"
            ]
        case Compared():
            return _compared_lines(proof, compiled, precision)
    assert_never(proof)


def _compared_lines(proof: Compared, compiled: Compiled, precision: Precision) -> list[str]:
    """How far passes and precision move the output.

    Int8 is compared on inputs that its ranges come from, where nothing saturates, and the line says so. From 64 on that
    flatters little: on a network trained on digits, the typical error on other inputs was 0.96 to 1.1 times as large, with
    16 inputs 1.6 to 3.3 times, with 4 of them 4 to 6 times. For fp16, ONNX Runtime's CPU rounds weights and leaves what lies
    between nodes in float32: rounding at every node was 2.6 times as far off.
    """
    found, inputs = proof.found, proof.inputs
    lines: list[str] = []
    if compiled.is_changed:
        rounding = f"rounding alone gives {found.rounding:.1e}"
        lines.append(f"{found.passes:.1e} from the network without passes on {said(inputs)}; {rounding}")
    if found.precision is not None:
        added = _added(found.precision, said(inputs), of_classes=inputs.are_calibration)
        rounds = ", the CPU keeping activations in float32" if precision is Precision.FP16 else ""
        lines.append(f"{precision.value} {added}{rounds}")
        if precision is Precision.INT8 and inputs.count < FEW:
            few = f"{inputs.count} are few to measure ranges on; give {FEW} or more"
            lines.append(f"int8 adds more on others: {few}")
    elif found.note:
        lines.append(f"{precision.value} is not compared: {found.note}")
    return lines


def _added(found: Difference, inputs: str, *, of_classes: bool) -> str:
    kept = f"; {found.agreement:.1%} keep their class" if of_classes and found.agreement is not None else ""
    return f"adds {found.typical:.1e} (rms; peak {found.largest:.1e}) on {inputs}{kept}"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
