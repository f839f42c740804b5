"""PyTorch's ways to a network's output: the module as it is, as a CUDA graph, and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpu_cases import Numbers, units
from gpu_problem import Opened, Problem

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


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
    place: dict[str, Any] = {"device": problem.device, "dtype": torch_dtype(problem.numbers), "memory_format": layout}
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
