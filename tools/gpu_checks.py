"""Whether every way computes the network: its output against float64, with the tolerances of resdsl.verify."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from gpu_cases import CASES, Case, Numbers, calm_weights
from gpu_open import attempt
from gpu_problem import Array, Problem
from gpu_rows import Check, Plan, Rows, Skipped, Task
from gpu_ways import EAGER, WAYS, Family
from numpy.typing import NDArray

from resdsl.network.difference import FACTOR, FLOOR, relative_error
from resdsl.network.evaluate import evaluate, random_input
from resdsl.network.initial import Weights
from resdsl.verify import EXACT, Wanted
from resdsl.verify import tolerance_of as allowed

PART = "checks"
EVALUATED = 2
"""Images on which PyTorch's float64 is itself held against resdsl.network.evaluate, which takes seconds for each."""


@dataclass(frozen=True, slots=True)
class Reference:
    """y64: PyTorch's float64 output of x on the device. evaluated: resdsl.network.evaluate's, of the first few.

    own: how far the evaluator's float32 is off. baseline: how far PyTorch's is, on the device and without TF32.
    """

    weights: Weights
    x: NDArray[np.float32]
    y64: Array
    evaluated: Array
    own: float
    baseline: float


def check(task: Task, plan: Plan, rows: Rows) -> None:
    """Holds each way of a family against the reference, in all of its numbers."""
    case, family = CASES[task.network], Family(task.family)
    network = case.build(quick=plan.quick)
    found = reference(case, task.batch, plan)
    for way in WAYS:
        for numbers in way.checks(plan.device) if way.family is family else ():
            what = f"{case.network}: {way.name}, {numbers.value}"
            if plan.is_over:
                rows.tell(Skipped(PART, what, "no time was left"))
                continue
            problem = Problem(network, found.weights, found.x, numbers, plan.device, plan.work)
            y = attempt(lambda way=way, problem=problem: way.open(problem).output(), PART, what, rows)
            if y is None:
                continue
            if numbers is Numbers.FP64:
                error = relative_error(y[:EVALUATED], found.evaluated)
            else:
                error = relative_error(y, found.y64)
            tolerance = tolerance_of(numbers, found, eager=way is EAGER)
            passed = error <= tolerance
            rows.tell(Check(case.network, way.name, numbers.value, _finite(error), tolerance, passed))


def tolerance_of(numbers: Numbers, found: Reference, *, eager: bool) -> float:
    """As resdsl.verify holds its targets: PyTorch to the evaluator's own rounding, others to PyTorch's, few bits to theirs."""
    match numbers:
        case Numbers.FP64:
            return EXACT
        case Numbers.FP32:
            return FACTOR * (found.own if eager else found.baseline) + FLOOR
        case _:
            return allowed(numbers.rounding, found.baseline, Wanted())


def reference(case: Case, batch: int, plan: Plan) -> Reference:
    """Made once, and kept in the plan's folder for the other families."""
    network, kept = case.build(quick=plan.quick), plan.work / f"{case.network}.npz"
    if kept.exists():
        with np.load(kept) as file:
            arrays = dict(file)
    else:
        weights = calm_weights(network, plan.device)
        x = random_input(network, batch, 1)
        evaluated = evaluate(network, weights, x[:EVALUATED].astype(np.float64))
        outputs = {
            numbers: EAGER.open(Problem(network, weights, x, numbers, plan.device, plan.work)).output()
            for numbers in (Numbers.FP64, Numbers.FP32)
        }
        arrays: dict[str, Any] = {
            "x": x,
            "evaluated": evaluated,
            "y64": outputs[Numbers.FP64],
            "own": np.float64(relative_error(evaluate(network, weights, x[:EVALUATED]), evaluated)),
            "baseline": np.float64(relative_error(outputs[Numbers.FP32], outputs[Numbers.FP64])),
            **{f"weights/{name}": array for name, array in weights.items()},
        }
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, **arrays)
        partial.replace(kept)
    weights = {name.removeprefix("weights/"): array for name, array in arrays.items() if name.startswith("weights/")}
    numbers = {name: float(arrays[name]) for name in ("own", "baseline")}
    return Reference(weights, arrays["x"], arrays["y64"], arrays["evaluated"], **numbers)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
