"""How a step is computed: compiled or not, captured or not, in which precision and layout."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch

from resdsl.diagnostics import fail
from resdsl.train.batches import Share


class Compile(Enum):
    """What torch.compile is given."""

    NONE = "none"
    UNITS = "units"  # each distinct unit, once
    WHOLE = "whole"  # the network at once; takes minutes for hundreds of units


class Precision(Enum):
    """What activations and gradients are computed in; weights and statistics are float32, or float64 in fp64."""

    FP32 = "fp32"
    TF32 = "tf32"  # products of float32 rounded to 10 bits, on tensor cores
    BF16 = "bf16"  # autocast
    FP64 = "fp64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a user asked for; None is for `choose` to pick. accumulate: parts of a process's share of a batch, one after the
    other. recompute: activations of each unit anew in the backward pass, instead of kept. sync_norm: BatchNorm over the
    batches of all processes.
    """

    compile: Compile | None = None
    graph: bool | None = None
    precision: Precision | None = None
    channels_last: bool | None = None
    recompute: bool = False
    sync_norm: bool = False
    accumulate: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """See Wanted. backend: of torch.compile."""

    compile: Compile = Compile.NONE
    graph: bool = False
    precision: Precision = Precision.FP32
    channels_last: bool = False
    recompute: bool = False
    sync_norm: bool = False
    accumulate: int = 1
    backend: str = "inductor"

    def __str__(self) -> str:
        words = [f"compile {self.compile.value}", self.precision.value]
        words += ["channels last"] * self.channels_last + ["step captured as a CUDA graph"] * self.graph
        words += ["units recomputed"] * self.recompute + ["norms over all processes"] * self.sync_norm
        return ", ".join(words + [f"{self.accumulate} parts a step"] * (self.accumulate > 1))


def choose(wanted: Wanted, device: torch.device, share: Share = Share()) -> Execution:
    """What was asked for, and for the rest what the device does best. Raises SpecError for what it cannot do."""
    on_gpu = device.type == "cuda"
    if wanted.sync_norm and not on_gpu:
        raise _unsupported("--sync-norm: PyTorch synchronises batch norms on GPUs alone")
    if wanted.graph and not on_gpu:
        raise _unsupported("--graph: there are CUDA graphs on NVIDIA GPUs alone")
    if wanted.graph and share.world > 1:
        raise _unsupported("--graph: steps of several processes are not captured")
    if wanted.precision is Precision.TF32 and not on_gpu:
        raise _unsupported("--precision tf32: this is how NVIDIA GPUs multiply float32")
    bf16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    return Execution(
        compile=wanted.compile or (Compile.UNITS if on_gpu else Compile.NONE),
        graph=on_gpu and share.world == 1 if wanted.graph is None else wanted.graph,
        precision=wanted.precision or (Precision.BF16 if bf16 else Precision.FP32),
        channels_last=on_gpu if wanted.channels_last is None else wanted.channels_last,
        recompute=wanted.recompute,
        sync_norm=wanted.sync_norm,
        accumulate=wanted.accumulate,
    )


def _unsupported(message: str) -> Exception:
    return fail("unsupported-option", message)
