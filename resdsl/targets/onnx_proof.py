"""Whether a compiled model computes what its network does, as far as it can be run: what does not is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.network.evaluate import random_input
from resdsl.samples import spread
from resdsl.targets.onnx_compile import Compiled, has_runtime
from resdsl.targets.onnx_file import Parts
from resdsl.targets.onnx_limits import MAX_ONNX_BYTES
from resdsl.targets.precision import Precision

if TYPE_CHECKING:  # onnxruntime comes with it
    from resdsl.targets.onnx_compare import Comparison

MAX_COMPARED = 256 * 2**20
"""Bytes of weights above which a model is not run for comparison unless that is asked for: it would take several times these."""
MAX_COMPARED_NODES = 10_000
"""Likewise nodes: the time that ONNX Runtime takes to read a graph grows faster than these. Units with 8 channels took 1 s
for 1,700 nodes, 12 s for 10,000, 61 s for 20,000 and four minutes for 50,000; the 1001 layers have 2,300."""
RANDOM_INPUTS = 2
"""Enough to see a wrong pass; too few to tell which share keeps its class."""
CALIBRATION_INPUTS = 64
"""How many of the calibration's inputs are compared on, spread evenly over them."""
FP16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True)
class Inputs:
    """How many a model was compared on, and whether these are of its calibration or random."""

    count: int
    are_calibration: bool


@dataclass(frozen=True, slots=True)
class NotWanted:
    """It was not to be compared."""


@dataclass(frozen=True, slots=True)
class NothingChanged:
    """Neither passes nor a precision changed the model. was_asked: it was to be compared whatever it costs."""

    was_asked: bool


@dataclass(frozen=True, slots=True)
class NoRuntime:
    """ONNX Runtime is not installed."""


@dataclass(frozen=True, slots=True)
class TooMany:
    """It would take long: this many bytes of weights and nodes, of which one is beyond its limit."""

    size: int
    nodes: int


@dataclass(frozen=True, slots=True)
class TooLarge:
    """ONNX Runtime does not take so many bytes of weights at once."""

    size: int


@dataclass(frozen=True, slots=True)
class NotFinite:
    """The network without passes has an output on these inputs that is not finite."""

    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Compared:
    """The passes moved the output by no more than rounding explains, and that of the precision is finite."""

    inputs: Inputs
    found: Comparison


Proof: TypeAlias = NotWanted | NothingChanged | NoRuntime | TooMany | TooLarge | NotFinite | Compared


def prove(
    compiled: Compiled, precision: Precision, calibration: NDArray[np.float32] | None, *, compares: bool | None
) -> Proof:
    """Runs the model beside the network without passes, on some of `calibration` or on random inputs.

    compares: None for where that costs little; True for in any case. Raises SpecError where the passes moved the output
    further than rounding explains, where the output in `precision` is not finite or a value leaves fp16's range, and
    where it was to be compared in any case and cannot be.
    """
    if compares is False:
        return NotWanted()
    if not compiled.is_changed and precision is Precision.FP32:
        return NothingChanged(compares is True)
    obstacle = _obstacle(compiled, forced=compares is True)
    if obstacle is None:
        obstacle = _compared(compiled, precision, calibration)
    if compares:
        _require_compared(obstacle, compiled.network.name)
    return obstacle


def _obstacle(compiled: Compiled, *, forced: bool) -> Proof | None:
    size, nodes = sum(array.nbytes for array in compiled.weights.values()), node_count(compiled.float32)
    if not has_runtime():
        return NoRuntime()
    if size > MAX_ONNX_BYTES:
        return TooLarge(size)
    if not forced and (size > MAX_COMPARED or nodes > MAX_COMPARED_NODES):
        return TooMany(size, nodes)
    return None


def node_count(parts: Parts) -> int:
    """Of the graph with its functions inlined."""
    bodies = {function.name: len(function.node) for function in parts.model.functions}
    return sum(bodies.get(node.op_type, 1) for node in parts.model.graph.node)


def _compared(
    compiled: Compiled, precision: Precision, calibration: NDArray[np.float32] | None
) -> NotFinite | Compared:
    from resdsl.targets.onnx_compare import compare

    if calibration is None:
        x, inputs = random_input(compiled.network, RANDOM_INPUTS), Inputs(RANDOM_INPUTS, are_calibration=False)
    else:
        x = calibration[spread(len(calibration), CALIBRATION_INPUTS)]
        inputs = Inputs(len(x), are_calibration=True)
    with np.errstate(all="ignore"):
        found = compare(compiled, x)
    if found.is_finite and not found.passed:
        _refuse_passes(compiled.network.name, found)
    if precision is Precision.FP16:
        _require_fp16_range(compiled.float32, x, inputs)
    if not found.is_finite:
        return NotFinite(inputs)
    if found.precision is not None and not math.isfinite(found.precision.largest):
        message = f"{precision.value} gives an output on {said(inputs)} that is not finite; nothing is written"
        raise fail("out-of-range", message, help="write with `--precision fp32`")
    return Compared(inputs, found)


def _require_fp16_range(float32: Parts, x: NDArray[np.float32], inputs: Inputs) -> None:
    """ONNX Runtime's CPU leaves what lies between nodes in float32, so that its fp16 hides what overflows elsewhere."""
    from resdsl.targets.onnx_int8.ranges import extremes

    graph = float32.model.graph
    values = [value.name for value in graph.input] + [value for node in graph.node for value in node.output]
    _, found = extremes(float32, values, x)
    for value, largest in zip(values, np.abs(found).max(axis=1), strict=True):
        if not largest <= FP16_MAX:
            reaches = f"reaches {largest:.5g}" if math.isfinite(largest) else "is not finite"
            message = f"{value} {reaches} on {said(inputs)}, and fp16 ends at {FP16_MAX:.5g}; nothing is written"
            raise fail(
                "out-of-range",
                message,
                help="trained weights stay in range, as do those of `--weights random-calibrated`; or `--precision bf16`, which has that of float32",
            )


def _refuse_passes(network: str, found: Comparison) -> NoReturn:
    moved = f"move the output of {network} by {found.passes:.1e}"
    if not math.isfinite(found.passes):
        moved = f"take the output of {network} out of float32's range"
    message = f"the passes {moved}, and rounding explains {found.rounding:.1e}; nothing is written"
    help = "`resdsl verify` says which pass and where; `-O0` writes without passes, `--no-verify` without comparing"
    raise fail("passes-differ", message, help=help)


def _require_compared(proof: Proof, network: str) -> None:
    match proof:
        case NoRuntime():
            message = "`--verify` runs the model with ONNX Runtime, which is not installed"
            raise fail("missing-library", message, help="pip install 'resdsl[ort]'")
        case TooLarge(size):
            message = (
                f"{network} has {size / 2**30:,.1f} GiB of weights, and ONNX Runtime compares models of less than 2"
            )
            raise fail("not-compared", message, help="leave `--verify` out")
        case NotFinite(inputs):
            message = f"the output of {network} on {said(inputs)} is not finite, so nothing can be compared with it"
            help = "give trained weights or `--weights random-calibrated`, or leave `--verify` out"
            raise fail("not-compared", message, help=help)
        case _:
            return


def said(inputs: Inputs) -> str:
    """As a text names them."""
    return f"{inputs.count} of its calibration inputs" if inputs.are_calibration else f"{inputs.count} random inputs"
