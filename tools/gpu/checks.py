"""Whether every way computes the network: its output against resdsl.network.evaluate in float64, with resdsl.verify's tolerances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.cases import CASES, Array, Case, Numbers, Problem, calm_weights
from gpu.rows import Check, Part, Plan, Rows, Skipped, Task
from gpu.ways import WAYS
from resdsl.network.difference import FACTOR, FLOOR, relative_error
from resdsl.network.evaluate import evaluate, random_input
from resdsl.network.initial import Weights
from resdsl.verify import EXACT, Wanted, tolerance_of


@dataclass(frozen=True, slots=True)
class Reference:
    """y64: the evaluator's float64 output of x. baseline: how far its float32 is off."""

    weights: Weights
    x: NDArray[np.float32]
    y64: Array
    baseline: float


def check(task: Task, plan: Plan, rows: Rows) -> None:
    """Holds each way of a family against the reference, in all of its numbers."""
    case = CASES[task.network]
    network = case.build(quick=plan.quick)
    found = reference(case, task.batch, plan)
    for way in WAYS:
        for numbers in way.checks(plan.device) if way.family is task.family else ():
            what = f"{case.network}: {way.name}, {numbers}"
            if plan.is_over:
                rows.tell(Skipped(Part.CHECKS, what, "no time was left"))
                continue
            problem = Problem(network, found.weights, found.x, numbers, plan.device, plan.work)
            y = rows.attempt(lambda way=way, problem=problem: way.open(problem).output(), Part.CHECKS, what)
            if y is not None:
                error, limit = relative_error(y, found.y64), tolerance(numbers, found.baseline)
                shown = error if math.isfinite(error) else None
                rows.tell(Check(case.network, way.name, numbers, shown, limit, error <= limit))


def tolerance(numbers: Numbers, baseline: float) -> float:
    """As resdsl.verify holds its targets, with the evaluator's own rounding as the baseline: it is there without PyTorch too."""
    match numbers:
        case Numbers.FP64:
            return EXACT
        case Numbers.FP32:
            return FACTOR * baseline + FLOOR
        case _:
            return tolerance_of(numbers.rounding, baseline, Wanted())


def reference(case: Case, batch: int, plan: Plan) -> Reference:
    """Made once, and kept in the plan's folder for the other families. The evaluator takes up to a second for each image."""
    kept = plan.work / f"{case.network}.npz"
    if kept.exists():
        with np.load(kept) as file:
            arrays = dict(file)
    else:
        network = case.build(quick=plan.quick)
        weights, x = calm_weights(network), random_input(network, batch, 1)
        y64 = evaluate(network, weights, x.astype(np.float64))
        baseline = np.float64(relative_error(evaluate(network, weights, x), y64))
        named = {f"weights/{name}": array for name, array in weights.items()}
        arrays: dict[str, Any] = {"x": x, "y64": y64, "baseline": baseline, **named}
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, **arrays)
        partial.replace(kept)
    weights = {name.removeprefix("weights/"): array for name, array in arrays.items() if name.startswith("weights/")}
    return Reference(weights, arrays["x"], arrays["y64"], float(arrays["baseline"]))
