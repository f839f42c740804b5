"""From a request to an ONNX model that computes what the network does, and what is said of it: for files, and for engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resdsl.targets.onnx_compile import Compiled, compile_onnx
from resdsl.targets.onnx_notes import notes
from resdsl.targets.onnx_proof import prove

if TYPE_CHECKING:
    from resdsl.network.initial import Weights
    from resdsl.targets.table import Request


def proven(request: Request, weights: Weights) -> tuple[Compiled, tuple[str, ...]]:
    """The model of a request with these weights, compared as it asks for, and lines for the user. Raises SpecError."""
    compiled = compile_onnx(
        request.network,
        weights,
        request.passes,
        opset=request.opset,
        functions=request.functions,
        precision=request.precision,
        calibration=request.calibration,
        form=request.form,
        metadata=request.metadata(),
    )
    proof = prove(compiled, request.precision, request.calibration, compares=request.compares)
    return compiled, notes(compiled, request.precision, proof)
