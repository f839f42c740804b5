"""Whether the targets and the passes compute the same network: each against the reference in float64, on the same input."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.network.difference import FACTOR, FLOOR, agreement, relative_error
from resdsl.network.evaluate import evaluate, random_input
from resdsl.network.initial import Weights
from resdsl.network.network import Network
from resdsl.passes.run import Step, run_passes
from resdsl.passes.table import DEFAULT_LEVEL, Pass, passes_of
from resdsl.samples import spread
from resdsl.spec import Origin
from resdsl.targets.precision import Form, Precision
from resdsl.targets.table import Request
from resdsl.targets.tensorrt.options import EngineOptions

if TYPE_CHECKING:  # PyTorch, or onnx, comes with it
    from resdsl.targets.tensorrt.compare import Computed
    from resdsl.targets.tensorrt.engine import Engine

Array: TypeAlias = NDArray[np.floating[Any]]
Trace: TypeAlias = dict[str, Array]
"""By unit (`stage1.17`), in the order of execution: its output, (batch, *output)."""

EXACT = 1e-9
"""Largest relative difference between two float64 computations of the same network."""
ROUNDING = 2.0**-24
"""Of one float32 operation: even a network that hides it in float32 shows it in fewer bits."""
AMPLIFIED = 1e-7
"""What float64 may be off for each unit that float32 is off: where rounding is amplified, it is so in both."""
CALIBRATION_INPUTS = 16
"""On how many of its calibration inputs int8 is compared."""
NO_RUNTIME = "onnxruntime is not installed: pip install 'resdsl[ort]'"
CPU_ROUNDING = "the CPU keeps activations in float32"
COARSER = {Precision.FP16: 2.0**13, Precision.BF16: 2.0**16}
"""How many times larger than float32's the rounding of a type is."""
MOST = {Precision.FP16: 0.1, Precision.BF16: 0.1, Precision.INT8: 0.25}
"""What a precision may be off at most, however much the network amplifies rounding."""


@dataclass(frozen=True, slots=True)
class Departure:
    """The first unit whose output is beyond a check's tolerance. error: relative, as for the whole."""

    unit: str
    error: float


@dataclass(frozen=True, slots=True)
class Check:
    """One target, or one pass. error: max|y - y64| / max|y64|, NaN if the output is; None if it could not be run.

    agreement: the share of inputs whose largest output is the reference's, of precisions. departs: where it failed.
    is_required: asked for, so that it fails if it could not be run.
    """

    target: str
    error: float | None
    tolerance: float
    note: str = ""
    agreement: float | None = None
    departs: Departure | None = None
    is_required: bool = False

    @property
    def passed(self) -> bool:
        return not self.is_required if self.error is None else self.error <= self.tolerance


@dataclass(frozen=True, slots=True)
class Report:
    """problems: what is wrong with the reference output itself (not finite, or the same for different inputs)."""

    network: str
    batch: int
    checks: tuple[Check, ...]
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.problems and all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class EngineFile:
    """An engine that is built already. origin: what it has to be built from. seed: of the initial weights, see open_engine_of."""

    path: str
    origin: Origin
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is compared beside the plain targets. passes: of the ONNX model as it is written. precisions: of ONNX, beside
    fp32. tolerance: for them, and for every engine; by default what the type's rounding explains, and no more than MOST.
    calibration: for int8, whose check runs on these inputs unless others are given. engine: TensorRT engines in these precisions, or fp32, in the
    place of ONNX models, or the one in a file.
    """

    passes: Sequence[Pass] = passes_of(DEFAULT_LEVEL)
    precisions: Sequence[Precision] = ()
    tolerance: float | None = None
    calibration: NDArray[np.float32] | None = None
    form: Form = Form.ORT_CPU
    engine: EngineOptions | EngineFile | None = None

    @property
    def engines(self) -> Sequence[Precision]:
        """Of the engines that are built."""
        return self.precisions or (Precision.FP32,)


def verify(
    network: Network,
    weights: Weights,
    x: NDArray[np.float32] | None = None,
    *,
    batch: int = 4,
    seed: int = 1,
    wanted: Wanted = Wanted(),
) -> Report:
    """Runs every target that is installed, and every pass that changes something, on the inputs x, (n, *input).

    Without x: `batch` random ones. The reference is resdsl.network.evaluate in float64, in evaluation mode. Float32
    targets are held to how far PyTorch's float32 (without torch: the reference's own) is off; a pass in float64 to EXACT.
    Raises SpecError where an engine is wanted that cannot be built or run here, and for one in int8 in a file without x.
    """
    given = x is not None
    opened = _opened(wanted, network, weights)
    if opened is not None and not given:
        _require_floats(opened)
    x = random_input(network, batch, seed) if x is None else x
    with np.errstate(all="ignore"):
        run = _Run(network, weights, x, evaluate(network, weights, x.astype(np.float64)))
        own = run.check("reference float32", lambda trace: evaluate(network, weights, x, trace=trace))
        rounding = own.error or 0.0
        checks = [own, *_torch_checks(run, rounding), *_pass_checks(run, rounding, wanted)]
        torch = [check.error for check in checks if check.target == "torch" and check.error is not None]
        baseline = torch[0] if torch else rounding
        if opened is not None:
            from resdsl.targets.tensorrt.compare import computed_by

            checks.append(_held(run, computed_by(opened, run.x), baseline, wanted))
        elif isinstance(wanted.engine, EngineOptions):
            checks += [
                _engine_check(run, each, baseline, wanted, wanted.engine, given=given) for each in wanted.engines
            ]
        else:
            checks += _onnx_checks(run, baseline, wanted)
            checks += [_precision_check(run, each, baseline, wanted, given=given) for each in wanted.precisions]
    return Report(network.name, len(x), tuple(checks), run.problems())


@dataclass(slots=True)
class _Run:
    """What the checks share. y64: the reference's output."""

    network: Network
    weights: Weights
    x: NDArray[np.float32]
    y64: Array
    units: Trace = field(default_factory=dict[str, Array])

    def check(
        self,
        target: str,
        compute: Callable[[Trace | None], Array],
        tolerance: float = float("inf"),
        note: str = "",
        shifts: Mapping[str, Array] | None = None,
        *,
        counts_classes: bool = False,
        y: Array | None = None,
    ) -> Check:
        """compute: the output, and into the trace, if there is one, the units' outputs. shifts: as a pass tells them. y: the
        output, where it is known.
        """
        y = compute(None) if y is None else y
        kept = agreement(y, self.y64) if counts_classes else None
        check = Check(target, relative_error(y, self.y64), tolerance, note, kept)
        return check if check.passed else replace(check, departs=self._departure(compute, tolerance, shifts or {}))

    def _departure(
        self, compute: Callable[[Trace | None], Array], tolerance: float, shifts: Mapping[str, Array]
    ) -> Departure | None:
        if not self.units:
            evaluate(self.network, self.weights, self.x.astype(np.float64), trace=self.units)
        found: Trace = {}
        compute(found)
        for unit, y64 in self.units.items():
            if unit in found:
                y = found[unit].astype(np.float64)
                shift = shifts.get(unit)
                y = y if shift is None else y - shift.reshape(-1, *(1,) * (y.ndim - 2))
                error = relative_error(y, y64)
                if not error <= tolerance:
                    return Departure(unit, error)
        return None

    def problems(self) -> tuple[str, ...]:
        y64 = self.y64
        if not np.isfinite(y64).all():
            return ("the output is not finite",)
        if len(np.unique(self.x, axis=0)) > 1 and bool(
            (np.abs(y64 - y64[:1]).max(axis=0) <= 1e-12 * np.abs(y64).max()).all()
        ):
            return ("the output is the same for different inputs",)
        return ()


def _torch_checks(run: _Run, own: float) -> list[Check]:
    if importlib.util.find_spec("torch") is None:
        return [Check("torch", None, 0.0, "not installed: pip install 'resdsl[torch]'")]
    from resdsl.targets.torch_module import run_torch

    def compute(double: bool) -> Callable[[Trace | None], Array]:
        return lambda trace: run_torch(run.network, run.weights, run.x, double=double, trace=trace)

    y32 = compute(False)(None)
    written = run_torch(run.network, run.weights, run.x, double=False, standalone=True)
    source = 0.0 if np.array_equal(written, y32) else relative_error(written, y32.astype(np.float64))
    return [
        run.check("torch float64", compute(True), EXACT),
        run.check("torch", compute(False), FACTOR * own + FLOOR, y=y32),
        Check("torch source", source, 0.0, "bit for bit"),
    ]


def _pass_checks(run: _Run, own: float, wanted: Wanted) -> list[Check]:
    """Each pass in float64, behind those before it."""
    exact = {name: array.astype(np.float64) for name, array in run.weights.items()}
    x = run.x.astype(np.float64)

    def compute(step: Step) -> Callable[[Trace | None], Array]:
        return lambda trace: evaluate(step.network, step.weights, x, trace=trace)

    return [
        run.check(
            f"pass {step.name}",
            compute(step),
            EXACT + AMPLIFIED * own,
            f"{len(step.tally.changed)} changed",
            step.tally.shifts,
        )
        for step in run_passes(run.network, exact, wanted.passes)
        if step.tally.changed
    ]


def _onnx_checks(run: _Run, baseline: float, wanted: Wanted) -> list[Check]:
    if importlib.util.find_spec("onnxruntime") is None:
        return [Check("onnx", None, 0.0, NO_RUNTIME)]
    limit = FACTOR * baseline + FLOOR
    checks: list[Check] = []
    for name, functions in (("onnx", False), ("onnx functions", True)):
        compute, _ = _compiled(run, wanted, (), Precision.FP32, functions)
        checks.append(run.check(name, compute, limit))
    if wanted.passes:
        compute, shifts = _compiled(run, wanted, wanted.passes, Precision.FP32)
        checks.append(run.check("onnx with passes", compute, limit, shifts=shifts))
    return checks


def _precision_check(run: _Run, precision: Precision, baseline: float, wanted: Wanted, *, given: bool) -> Check:
    """The ONNX model in a precision. Int8 is made for inputs like its calibration's, and random ones are not."""
    name, tolerance = f"onnx {precision.value}", tolerance_of(precision, baseline, wanted)
    if importlib.util.find_spec("onnxruntime") is None:
        return Check(name, None, tolerance, NO_RUNTIME, is_required=True)
    from resdsl.targets.onnx_runtime import NotRunError

    note = CPU_ROUNDING if precision is Precision.FP16 else ""
    if precision is Precision.INT8 and not given:
        run, note = _on_calibration(run, wanted)
    compute, shifts = _compiled(run, wanted, wanted.passes, precision)
    try:
        return run.check(name, compute, tolerance, note, shifts, counts_classes=True)
    except NotRunError as error:
        return Check(name, None, tolerance, str(error), is_required=True)


def _on_calibration(run: _Run, wanted: Wanted) -> tuple[_Run, str]:
    """On some of int8's own inputs, and words for that."""
    if wanted.calibration is None:
        return run, ""
    x = wanted.calibration[spread(len(wanted.calibration), CALIBRATION_INPUTS)]
    found = _Run(run.network, run.weights, x, evaluate(run.network, run.weights, x.astype(np.float64)))
    return found, f"on {len(x)} of its calibration inputs"


def _opened(wanted: Wanted, network: Network, weights: Weights) -> Engine | None:
    """The engine in a file, if one is wanted. Raises SpecError before anything is computed, also where none can be built."""
    match wanted.engine:
        case None:
            return None
        case EngineFile(path, origin, seed):
            from resdsl.targets.tensorrt.compare import open_engine_of

            return open_engine_of(path, origin, network, weights, seed)
        case EngineOptions():
            from resdsl.targets.tensorrt.compare import require_engines

            require_engines(wanted.engine, wanted.engines)
            return None


def _require_floats(engine: Engine) -> None:
    """Raises SpecError for an engine in int8: its ranges are those of its calibration, and random inputs leave them."""
    if engine.sidecar.precision == Precision.INT8.value:
        message = f"{engine.name} is in int8, for inputs like those that it was calibrated on, and random ones are not"
        raise fail("calibration", message, help="`--input PATH`: some of its calibration inputs, or others like them")


def _engine_check(
    run: _Run, precision: Precision, baseline: float, wanted: Wanted, options: EngineOptions, *, given: bool
) -> Check:
    """An engine that is built for this. It gives its output alone, so no unit is named where it is off."""
    from resdsl.targets.tensorrt.compare import computed_by_built

    note = ""
    if precision is Precision.INT8 and not given:
        run, note = _on_calibration(run, wanted)
    request = Request(
        run.network,
        weights=run.weights,
        passes=tuple(wanted.passes),
        precision=precision,
        calibration=wanted.calibration,
        engine=options,
    )
    return _held(run, computed_by_built(request, run.x), baseline, wanted, note)


def _held(run: _Run, found: Computed, baseline: float, wanted: Wanted, note: str = "") -> Check:
    precision = Precision(found.sidecar.precision)
    kept = None if precision is Precision.FP32 else agreement(found.y, run.y64)
    if precision is Precision.FP32 and not found.sidecar.tf32 and wanted.tolerance is None:
        tolerance = FACTOR * baseline + FLOOR
    else:
        tolerance = tolerance_of(Precision.FP16 if precision is Precision.FP32 else precision, baseline, wanted)
    name = f"trt {precision.value}{' with TF32' if found.sidecar.tf32 else ''}"
    notes = "; ".join(filter(None, (found.runtime, note)))
    return Check(name, relative_error(found.y, run.y64), tolerance, notes, kept)


def tolerance_of(precision: Precision, baseline: float, wanted: Wanted) -> float:
    """What a precision may be off, where float32 is off by `baseline`. TF32 has as many bits as fp16."""
    if wanted.tolerance is not None:
        return wanted.tolerance
    explained = FACTOR * (baseline + ROUNDING) * COARSER[precision] if precision in COARSER else float("inf")
    return min(explained, MOST[precision])


def _compiled(
    run: _Run, wanted: Wanted, passes: Sequence[Pass], precision: Precision, functions: bool = False
) -> tuple[Callable[[Trace | None], Array], dict[str, Array]]:
    """What computes the ONNX model's output, and what its units' outputs are shifted by."""
    from resdsl.targets.onnx_compile import compile_onnx
    from resdsl.targets.onnx_runtime import run_parts

    found = compile_onnx(
        run.network,
        run.weights,
        passes,
        functions=functions,
        precision=precision,
        calibration=wanted.calibration,
        form=wanted.form,
    )
    shifts = {unit: shift for step in found.steps for unit, shift in step.tally.shifts.items()}
    return lambda trace: run_parts(found.parts, run.x, trace), shifts
