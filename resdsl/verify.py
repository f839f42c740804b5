"""Whether the targets compute the same network: each against the reference in float64, on the same input."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdsl.network.evaluate import evaluate, random_input
from resdsl.network.initial import Weights
from resdsl.network.network import Network

EXACT = 1e-9
"""Largest relative difference between two float64 computations of the same network."""
FACTOR, FLOOR = 4.0, 1e-6
"""A float32 computation may be FACTOR times as far off as another one, plus FLOOR."""


@dataclass(frozen=True, slots=True)
class Check:
    """One target. error: max|y - y64| / max|y64|, NaN if the output is; None if the target could not be run."""

    target: str
    error: float | None
    tolerance: float
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.error is None or self.error <= self.tolerance


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


def verify(network: Network, weights: Weights, *, batch: int = 4, seed: int = 1) -> Report:
    """Runs every target that is installed on one random batch.

    The reference is resdsl.network.evaluate in float64; float32 targets are held to how far PyTorch's float32 (without
    torch: the reference's own) is off.
    """
    x = random_input(network, batch, seed)
    with np.errstate(all="ignore"):
        y64 = evaluate(network, weights, x.astype(np.float64))
        own = relative_error(evaluate(network, weights, x), y64)
    problems: list[str] = []
    if not np.isfinite(y64).all():
        problems.append("the output is not finite")
    elif batch > 1 and bool((np.abs(y64 - y64[:1]).max(axis=0) <= 1e-12 * np.abs(y64).max()).all()):
        problems.append("the output is the same for different inputs")
    checks = [Check("reference float32", own, float("inf"))]
    baseline = own
    if importlib.util.find_spec("torch") is None:
        checks.append(Check("torch", None, 0.0, "not installed: pip install 'resdsl[torch]'"))
    else:
        from resdsl.targets.torch_module import run_torch

        checks.append(Check("torch float64", relative_error(run_torch(network, weights, x, double=True), y64), EXACT))
        y32 = run_torch(network, weights, x, double=False)
        baseline = relative_error(y32, y64)
        checks.append(Check("torch", baseline, FACTOR * own + FLOOR))
        written = run_torch(network, weights, x, double=False, standalone=True)
        equal = np.array_equal(written, y32)
        checks.append(Check("torch source", 0.0 if equal else relative_error(written, y32), 0.0, "bit for bit"))
    if importlib.util.find_spec("onnxruntime") is None:
        checks.append(Check("onnx", None, 0.0, "onnxruntime is not installed: pip install 'resdsl[ort]'"))
    else:
        from resdsl.targets.onnx_runtime import run_onnx

        for functions in (False, True):
            name = "onnx functions" if functions else "onnx"
            error = relative_error(run_onnx(network, weights, x, functions=functions), y64)
            checks.append(Check(name, error, FACTOR * baseline + FLOOR))
    return Report(network.name, batch, tuple(checks), tuple(problems))


def relative_error(y: NDArray[np.floating], y64: NDArray[np.floating]) -> float:
    """max|y - y64| / max|y64|; NaN where y is not finite."""
    if y.shape != y64.shape or not np.isfinite(y).all():
        return float("nan")
    return float(np.abs(y - y64).max() / max(np.abs(y64).max(), np.finfo(np.float64).tiny))
