"""The ways to compute a network that tools/gpu_report.py holds against the reference and times.

All take float32 images and have the same weights. PyTorch's are its own module; ONNX Runtime and TensorRT get what the targets
`onnx` and `trt` write, with the default passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gpu.cases import Numbers, Opened, Problem
from gpu.torch_ways import compiled, compiled_units, eager, graph, graph_of_compiled_units, training_step
from resdsl.passes.table import DEFAULT_LEVEL, passes_of
from resdsl.targets.onnx_provider import Provider
from resdsl.targets.table import TARGETS, Request
from resdsl.targets.tensorrt.options import Batch, Builder, EngineOptions, Via

if TYPE_CHECKING:
    from torch import Tensor


class Family(StrEnum):
    """Ways that need the same libraries, and are timed in one process. UNITS, WHOLE and TRAINING are PyTorch's too, and apart
    because they take their time. Those of STEP are gpu/training.py's, each in a process by itself.
    """

    TORCH = "torch"
    RUNTIME_CPU = "onnxruntime"
    RUNTIME_GPU = "onnxruntime on CUDA"
    TENSORRT = "tensorrt"
    TORCH_TENSORRT = "torch_tensorrt"
    RTX = "tensorrt_rtx"
    TRAINING = "training"
    UNITS = "torch.compile of units"
    WHOLE = "torch.compile"
    STEP_OURS = "steps of resdsl train"
    STEP_EAGER = "eager steps"
    STEP_WHOLE = "steps of torch.compile"

    @property
    def needs(self) -> frozenset[str]:
        """Packages and ONNX Runtime's providers without which there is none of it. Engines take and give PyTorch's tensors."""
        match self:
            case Family.TORCH | Family.TRAINING | Family.UNITS | Family.WHOLE:
                return frozenset({"torch"})
            case Family.STEP_OURS | Family.STEP_EAGER | Family.STEP_WHOLE:
                return frozenset({"torch"})
            case Family.RUNTIME_CPU:
                return frozenset({"onnxruntime"})
            case Family.RUNTIME_GPU:
                return frozenset({Provider.CUDA.runtime_name})
            case Family.TENSORRT | Family.TORCH_TENSORRT | Family.RTX:
                return frozenset({self.value, "torch"})


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
_NO_CPU = ("cuda",)
_ENGINES = (FP32, TF32, FP16, BF16, INT8)
EAGER = Way("eager", Family.TORCH, eager, (FP64, FP32, TF32, FP16, BF16), (FP32, TF32, FP16))
STEP = Way("step", Family.TRAINING, partial(training_step, False), (), (FP32, TF32, BF16))
WAYS = (
    EAGER,
    Way("CUDA graph", Family.TORCH, graph, (FP32, FP16), (TF32, FP16), _NO_CPU),
    STEP,
    Way("step, channels last", Family.TRAINING, partial(training_step, True), (), (BF16,)),
    Way("step, channels last", Family.TRAINING, partial(training_step, True), (), (TF32, FP16), _NO_CPU),
    Way("units compiled", Family.UNITS, compiled_units, (FP16,), (FP16,), _NO_CPU),
    Way("units compiled, CUDA graph", Family.UNITS, graph_of_compiled_units, (FP16,), (FP16,), _NO_CPU),
    Way("compiled", Family.WHOLE, compiled, (), (FP16,), _NO_CPU),
    # Held against the reference everywhere, and timed beside other ways on the CPU alone.
    Way("ONNX Runtime, CPU", Family.RUNTIME_CPU, partial(onnx_runtime, Provider.CPU), (FP32, INT8)),
    Way("ONNX Runtime, CPU", Family.RUNTIME_CPU, partial(onnx_runtime, Provider.CPU), (), (FP32,), ("cpu",)),
    # Both compute float32 models in TF32 unless they are told otherwise.
    Way("ONNX Runtime, CUDA", Family.RUNTIME_GPU, partial(onnx_runtime, Provider.CUDA), (TF32, FP16), (TF32, FP16), _NO_CPU),
    Way("ONNX Runtime, TensorRT", Family.RUNTIME_GPU, partial(onnx_runtime, Provider.TENSORRT), (TF32, FP16), (FP16,), _NO_CPU),
    Way("TensorRT", Family.TENSORRT, partial(engine, Builder.TENSORRT, Via.ONNX, False), _ENGINES, (TF32, FP16, INT8), _NO_CPU),
    Way("TensorRT, CUDA graph", Family.TENSORRT, partial(engine, Builder.TENSORRT, Via.ONNX, True), (FP16,), (FP16,), _NO_CPU),
    Way("torch-tensorrt", Family.TORCH_TENSORRT, partial(engine, Builder.TENSORRT, Via.TORCH, False), (FP32, FP16), (FP16,), _NO_CPU),
    Way("TensorRT for RTX", Family.RTX, partial(engine, Builder.RTX, Via.ONNX, False), (FP32, FP16, BF16, INT8), (FP16,), _NO_CPU),
)  # fmt: skip
