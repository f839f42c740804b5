"""The ways to compute a network's output that tools/gpu_report.py holds against the reference and times.

All take float32 images and have the same weights. PyTorch's are its own module; ONNX Runtime and TensorRT get what the targets
`onnx` and `trt` write, with the default passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gpu_cases import Numbers, units
from numpy.typing import NDArray

from resdsl.network.initial import Weights
from resdsl.network.network import Network
from resdsl.passes.table import DEFAULT_LEVEL, passes_of
from resdsl.targets.onnx_provider import Provider
from resdsl.targets.table import TARGETS, Request
from resdsl.targets.tensorrt.options import Batch, Builder, EngineOptions, Via

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Array = NDArray[np.floating[Any]]


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


@dataclass(frozen=True, slots=True)
class Problem:
    """What a way is to compute. x: (batch, *input). device: PyTorch's name of it. work: a folder for what is kept."""

    network: Network
    weights: Weights
    x: NDArray[np.float32]
    numbers: Numbers
    device: str
    work: Path


@dataclass(frozen=True, slots=True)
class Opened:
    """call: computes the output to its end, to be timed. output: computes it, as float64."""

    call: Callable[[], object]
    output: Callable[[], Array]


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


# PyTorch


def tf32(numbers: Numbers) -> None:
    """Lets PyTorch multiply float32 in TF32, or not."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = numbers is Numbers.TF32


def torch_dtype(numbers: Numbers) -> torch.dtype:
    import torch

    match numbers:
        case Numbers.FP64:
            return torch.float64
        case Numbers.FP16:
            return torch.float16
        case Numbers.BF16:
            return torch.bfloat16
        case _:
            return torch.float32


def synchronise(device: str) -> None:
    """Waits until all that was asked of the device is done."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def eager(problem: Problem) -> Opened:
    return _torch(problem, *_module(problem))


def compiled_units(problem: Problem) -> Opened:
    """Each unit compiled by itself: equal units share what is compiled, so that depth costs nothing."""
    module, x = _module(problem)
    _compile_units(module)
    return _torch(problem, module, x)


def compiled(problem: Problem) -> Opened:
    import torch

    module, x = _module(problem)
    return _torch(problem, torch.compile(module, dynamic=False), x)


def graph(problem: Problem) -> Opened:
    """All kernels of the eager way as one CUDA graph."""
    return _captured(problem, *_module(problem))


def graph_of_compiled_units(problem: Problem) -> Opened:
    module, x = _module(problem)
    _compile_units(module)
    return _captured(problem, module, x)


def _module(problem: Problem) -> tuple[nn.Module, Tensor]:
    """In types of 16 bits with channels last, which is what tensor cores read."""
    import torch

    from resdsl.targets.torch_module import torch_module

    halves = problem.numbers in (Numbers.FP16, Numbers.BF16)
    layout = torch.channels_last if halves else torch.contiguous_format
    place = {"device": problem.device, "dtype": torch_dtype(problem.numbers), "memory_format": layout}
    module = torch_module(problem.network, problem.weights).eval().requires_grad_(False)
    return module.to(**place), torch.from_numpy(problem.x).to(**place)


def _compile_units(module: nn.Module) -> None:
    import torch

    torch._dynamo.config.recompile_limit = 256  # of one function: each shape of its units is another compilation
    for unit in units(module):
        unit.compile(dynamic=False)


def _torch(problem: Problem, function: Callable[[Tensor], Tensor], x: Tensor) -> Opened:
    import torch

    def call() -> Tensor:
        tf32(problem.numbers)
        with torch.no_grad():
            y = function(x)
        synchronise(problem.device)
        return y

    return Opened(call, lambda: call().double().cpu().numpy())


def _captured(problem: Problem, function: Callable[[Tensor], Tensor], x: Tensor) -> Opened:
    import torch

    tf32(problem.numbers)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.no_grad(), torch.cuda.stream(aside):
        for _ in range(3):  # kernels are chosen and compiled before they are captured
            function(x)
    torch.cuda.current_stream().wait_stream(aside)
    recorded = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(recorded):
        y = function(x)

    def call() -> Tensor:
        recorded.replay()
        torch.cuda.synchronize()
        return y

    return Opened(call, lambda: call().double().cpu().numpy())


# ONNX Runtime and TensorRT


def onnx_runtime(provider: Provider, problem: Problem) -> Opened:
    from resdsl.targets.onnx_session import open_model

    session = open_model(TARGETS["onnx"].to_bytes(_request(problem)), provider, name=problem.network.name)
    x = session.fitted(problem.x, "the input")
    return Opened(session.call(x), lambda: next(iter(session.run(x).values())).astype(np.float64))


def engine(builder: Builder, via: Via, cuda_graph: bool, problem: Problem) -> Opened:
    """Built for this batch size alone. Kernels are timed once for all engines of a process's GPU."""
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
        calibration=problem.x if problem.numbers is Numbers.INT8 else None,
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
