"""The ways to compute a network's output that tools/gpu_report.py holds against the reference and times.

All take float32 images and have the same weights. PyTorch's are its own module; ONNX Runtime and TensorRT get what the targets
`onnx` and `trt` write, with the default passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from gpu_cases import Numbers
from gpu_problem import Opened, Problem
from gpu_torch import compiled, compiled_units, eager, graph, graph_of_compiled_units

from resdsl.passes.table import DEFAULT_LEVEL, passes_of
from resdsl.targets.onnx_provider import Provider
from resdsl.targets.table import TARGETS, Request
from resdsl.targets.tensorrt.options import Batch, Builder, EngineOptions, Via

if TYPE_CHECKING:
    from torch import Tensor


class Family(Enum):
    """Ways that need the same library. Those of a family are timed in one process, beside PyTorch's eager way.

    UNITS and WHOLE are PyTorch's, and apart because compiling takes its time. The value is what reports say.
    """

    TORCH = "torch"
    ONNX_RUNTIME = "onnxruntime"
    TENSORRT = "tensorrt"
    TORCH_TENSORRT = "torch_tensorrt"
    RTX = "tensorrt_rtx"
    UNITS = "torch.compile of units"
    WHOLE = "torch.compile"

    @property
    def module(self) -> str:
        """The Python package without which there is none of it."""
        return "torch" if self.compiles else self.value

    @property
    def compiles(self) -> bool:
        return self in (Family.UNITS, Family.WHOLE)


CALIBRATED = 8
"""Images on which ranges are measured for int8, on the CPU."""


@dataclass(frozen=True, slots=True)
class Way:
    """checked, timed: the numbers in which it is held against the reference, and timed. on: the devices that it is for."""

    name: str
    family: Family
    open: Callable[[Problem], Opened]
    checked: tuple[Numbers, ...] = ()
    timed: tuple[Numbers, ...] = ()
    on: tuple[str, ...] = ("cuda", "cpu")

    def checks(self, device: str) -> list[Numbers]:
        return _possible(self.checked, device) if device in self.on else []

    def timings(self, device: str) -> list[Numbers]:
        return _possible(self.timed, device) if device in self.on else []


def _possible(numbers: tuple[Numbers, ...], device: str) -> list[Numbers]:
    return [each for each in numbers if device == "cuda" or each is not Numbers.TF32]


def onnx_runtime(provider: Provider, problem: Problem) -> Opened:
    from resdsl.targets.onnx_session import open_model

    session = open_model(TARGETS["onnx"].to_bytes(_request(problem)), provider, name=problem.network.name)
    x = session.fitted(problem.x, "the input")
    return Opened(session.call(x), lambda: next(iter(session.run(x).values())).astype(np.float64))


def engine(builder: Builder, via: Via, cuda_graph: bool, problem: Problem) -> Opened:
    """Built for this batch size alone; what its builder timed is kept for the next ones."""
    import torch

    from resdsl.targets.tensorrt import Engine
    from resdsl.targets.tensorrt.write import build

    batch = len(problem.x)
    cache = str(problem.work / "timing.cache") if builder is Builder.TENSORRT and via is Via.ONNX else None
    options = EngineOptions(
        builder, via, Batch(batch, batch, batch), timing_cache=cache, tf32=problem.numbers is Numbers.TF32
    )
    built = build(_request(problem, options))
    opened = Engine.from_bytes(built.engine, built.sidecar, cuda_graph=cuda_graph)
    x = torch.from_numpy(problem.x).to(problem.device)

    def call() -> Tensor:
        y = opened(x)
        torch.cuda.synchronize()
        return y

    return Opened(call, lambda: call().double().cpu().numpy())


def _request(problem: Problem, options: EngineOptions | None = None) -> Request:
    return Request(
        problem.network,
        weights=problem.weights,
        passes=passes_of(DEFAULT_LEVEL),
        precision=problem.numbers.held,
        calibration=problem.x[:CALIBRATED] if problem.numbers is Numbers.INT8 else None,
        engine=options or EngineOptions(),
    )


FP64, FP32, TF32, FP16, BF16, INT8 = Numbers
EAGER = Way("eager", Family.TORCH, eager, (FP64, FP32, TF32, FP16, BF16), (FP32, TF32, FP16))
_NO_CPU = ("cuda",)
_ENGINES = (FP32, TF32, FP16, BF16, INT8)
WAYS = (
    EAGER,
    Way("CUDA graph", Family.TORCH, graph, (FP32, FP16), (TF32, FP16), _NO_CPU),
    Way("units compiled", Family.UNITS, compiled_units, (FP16,), (FP16,), _NO_CPU),
    Way("units compiled, CUDA graph", Family.UNITS, graph_of_compiled_units, (FP16,), (FP16,), _NO_CPU),
    Way("compiled", Family.WHOLE, compiled, (), (FP16,), _NO_CPU),
    # Held against the reference everywhere, and timed beside other ways on the CPU alone.
    Way("ONNX Runtime, CPU", Family.ONNX_RUNTIME, partial(onnx_runtime, Provider.CPU), (FP32, INT8)),
    Way("ONNX Runtime, CPU", Family.ONNX_RUNTIME, partial(onnx_runtime, Provider.CPU), (), (FP32,), ("cpu",)),
    # Both compute float32 models in TF32 unless they are told otherwise.
    Way("ONNX Runtime, CUDA", Family.ONNX_RUNTIME, partial(onnx_runtime, Provider.CUDA), (TF32, FP16), (TF32, FP16), _NO_CPU),
    Way("ONNX Runtime, TensorRT", Family.ONNX_RUNTIME, partial(onnx_runtime, Provider.TENSORRT), (TF32, FP16), (FP16,), _NO_CPU),
    Way("TensorRT", Family.TENSORRT, partial(engine, Builder.TENSORRT, Via.ONNX, False), _ENGINES, (TF32, FP16, INT8), _NO_CPU),
    Way("TensorRT, CUDA graph", Family.TENSORRT, partial(engine, Builder.TENSORRT, Via.ONNX, True), (FP16,), (FP16,), _NO_CPU),
    Way("torch-tensorrt", Family.TORCH_TENSORRT, partial(engine, Builder.TENSORRT, Via.TORCH, False), (FP32, FP16), (FP16,), _NO_CPU),
    Way("TensorRT for RTX", Family.RTX, partial(engine, Builder.RTX, Via.ONNX, False), (FP32, FP16, BF16, INT8), (FP16,), _NO_CPU),
)  # fmt: skip
