"""The GPU that engines run on, and why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from resdsl.diagnostics import SpecError, fail

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Gpu:
    """compute_capability: as "9.0"."""

    name: str
    compute_capability: str

    def __str__(self) -> str:
        return f"{self.name}, compute capability {self.compute_capability}"


def require_gpu(what: str) -> Gpu:
    """The GPU that PyTorch uses now. what: needs it, as the beginning of a sentence. Raises SpecError if there is none."""
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        message = f"{what} needs an NVIDIA GPU, and PyTorch, which holds its memory there and is not installed"
        raise fail("missing-library", message, help="on a machine with a GPU: pip install 'resdsl[torch]'") from None
    if not torch.version.cuda:
        message = f"{what} needs an NVIDIA GPU, and this PyTorch ({torch.__version__}) computes without CUDA"
        raise fail(
            "missing-gpu",
            message,
            help="on a machine with one: `pip install --force-reinstall torch`, which brings a build with CUDA on Linux",
        )
    try:
        torch.cuda.init()
        index = torch.cuda.current_device()
        name, capability = torch.cuda.get_device_name(index), torch.cuda.get_device_capability(index)
    except (RuntimeError, AssertionError) as error:
        raise _no_gpu(what, str(error)) from None
    return Gpu(name, f"{capability[0]}.{capability[1]}")


def current_device() -> torch.device:
    """The device of `require_gpu`'s GPU."""
    import torch

    return torch.device("cuda", torch.cuda.current_device())


def enter(index: int) -> None:
    """Makes that GPU the one of this thread: CUDA keeps one for each thread, which is the first one at the start."""
    import torch

    torch.cuda.set_device(index)


def _no_gpu(what: str, said: str) -> SpecError:
    """said: PyTorch's reason."""
    reason = said.split(". ")[0].strip().rstrip(".")
    if "too old" in said:
        message = f"{what} needs an NVIDIA GPU, and its driver is too old for this PyTorch: {reason}"
        return fail(
            "old-driver",
            message,
            help="update the driver (https://www.nvidia.com/drivers), or install a PyTorch for its CUDA",
        )
    help = "`nvidia-smi` shows the driver and the GPUs there are"
    return fail("missing-gpu", f"{what} needs an NVIDIA GPU, and PyTorch finds none: {reason}", help=help)
