"""PyTorch's ways to a network's output, the module as it is, as a CUDA graph, and compiled; and its training steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu.cases import Numbers, Opened, Problem

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

WARM_UP_STEPS = 3


def eager(problem: Problem) -> Opened:
    return _called(problem, *_module(problem))


def compiled_units(problem: Problem) -> Opened:
    """Each unit compiled by itself: equal units share what is compiled, so that depth costs nothing."""
    module, x = _module(problem)
    _compile_units(module)
    return _called(problem, module, x)


def compiled(problem: Problem) -> Opened:
    import torch

    module, x = _module(problem)
    return _called(problem, torch.compile(module, dynamic=False), x)


def graph(problem: Problem) -> Opened:
    """All kernels of the eager way as one CUDA graph."""
    return _captured(problem, *_module(problem))


def graph_of_compiled_units(problem: Problem) -> Opened:
    module, x = _module(problem)
    _compile_units(module)
    return _captured(problem, module, x)


def training_step(channels_last: bool, problem: Problem) -> Opened:
    """Forward, cross entropy, backward, and SGD with momentum. Weights are float32; types of 16 bits are autocast's.

    Raises ArithmeticError if the first step's loss is not finite.
    """
    import torch
    from torch.nn import functional

    from resdsl.targets.torch_module import torch_module

    device, numbers, is_gpu = problem.device, problem.numbers, problem.device == "cuda"
    before = torch.cuda.memory_allocated() if is_gpu else 0
    layout = torch.channels_last if channels_last else torch.contiguous_format
    module = torch_module(problem.network, problem.weights).train().to(device, memory_format=layout)
    x = torch.from_numpy(problem.x).to(device, memory_format=layout)
    classes = torch.arange(len(x), device=device) % 10  # every network here has at least ten
    optimiser = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
    halves = numbers in (Numbers.FP16, Numbers.BF16)
    scaler = torch.amp.GradScaler(device, enabled=numbers is Numbers.FP16)

    def step() -> float:
        _tf32(numbers)
        with torch.autocast(device, _dtype(numbers) if halves else None, enabled=halves):
            loss = functional.cross_entropy(module(x), classes)
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        _synchronise(device)
        return loss.item()

    if not math.isfinite(step()):
        raise ArithmeticError("the loss of the first step is not finite")
    peak = None
    if is_gpu:
        for _ in range(WARM_UP_STEPS):  # trying kernels out takes memory that training does not
            step()
        torch.cuda.reset_peak_memory_stats()
        step()
        peak = torch.cuda.max_memory_allocated() - before
    return Opened(step, lambda: np.array(step()), peak)


def _tf32(numbers: Numbers) -> None:
    """Lets PyTorch multiply float32 in TF32, or not."""
    import torch

    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = numbers is Numbers.TF32


def _dtype(numbers: Numbers) -> torch.dtype:
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


def _synchronise(device: str) -> None:
    """Waits until all that was asked of the device is done."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _module(problem: Problem) -> tuple[nn.Module, Tensor]:
    """In types of 16 bits with channels last, which is what tensor cores read."""
    import torch

    from resdsl.targets.torch_module import torch_module

    halves = problem.numbers in (Numbers.FP16, Numbers.BF16)
    layout = torch.channels_last if halves else torch.contiguous_format
    place: dict[str, Any] = {"device": problem.device, "dtype": _dtype(problem.numbers), "memory_format": layout}
    module = torch_module(problem.network, problem.weights).eval().requires_grad_(False)
    return module.to(**place), torch.from_numpy(problem.x).to(**place)


def _compile_units(module: nn.Module) -> None:
    """The residual units; their names end in a number."""
    import torch

    torch._dynamo.config.recompile_limit = 256  # of one function: each shape of its units is another compilation
    for name, part in module.named_modules():
        if name.rpartition(".")[2].isdecimal():
            part.compile(dynamic=False)


def _called(problem: Problem, function: Callable[[Tensor], Tensor], x: Tensor) -> Opened:
    import torch

    def call() -> Tensor:
        _tf32(problem.numbers)
        with torch.no_grad():
            y = function(x)
        _synchronise(problem.device)
        return y

    return Opened(call, lambda: call().double().cpu().numpy())


def _captured(problem: Problem, function: Callable[[Tensor], Tensor], x: Tensor) -> Opened:
    import torch

    _tf32(problem.numbers)
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
