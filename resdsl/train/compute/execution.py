"""How a step is computed: compiled or not, captured or not, in which precision and layout."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum

import torch

from resdsl.diagnostics import fail
from resdsl.train.data.batches import Share

FORMS = 4096
"""Compiled forms of one class of units, at most: one for each of its distinct units, and for each copy's own number."""


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
    FP64 = "fp64"  # the learning rate is rounded to float32 on a GPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a user asked for; None is for `choose` to pick. accumulate: parts of a process's share of a batch, one after the
    other. recompute: activations of units anew in the backward pass, instead of kept. sync_norm: BatchNorm over the
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
    """See Wanted. backend: of torch.compile. reasons: a line for each thing that was picked, not asked for."""

    compile: Compile = Compile.NONE
    graph: bool = False
    precision: Precision = Precision.FP32
    channels_last: bool = False
    recompute: bool = False
    sync_norm: bool = False
    accumulate: int = 1
    backend: str = "inductor"
    reasons: tuple[str, ...] = field(default=(), compare=False)

    @property
    def layout(self) -> torch.memory_format:
        """Of images, activations and kernels. PyTorch computes channels last where either of input and kernel is."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def __str__(self) -> str:
        words = [f"compile {self.compile.value}", self.precision.value]
        words += ["channels last"] * self.channels_last + ["step captured as a CUDA graph"] * self.graph
        words += ["units recomputed"] * self.recompute + ["norms over all processes"] * self.sync_norm
        return ", ".join(words + [f"{self.accumulate} parts a step"] * (self.accumulate > 1))


def choose(wanted: Wanted, device: torch.device, share: Share = Share(), *, draws: bool = False) -> Execution:
    """What was asked for, and for the rest what the device does best. draws: whether the network draws random numbers. Raises
    SpecError for what cannot be done.
    """
    _require_possible(wanted, device, share, draws=draws)
    picked = {
        "compile": _pick_compile(device),
        "graph": _pick_graph(wanted, device, share),
        "precision": _pick_precision(device),
        "channels_last": _pick_channels_last(device),
    }
    asked = {name: value for name in picked if (value := getattr(wanted, name)) is not None}
    return Execution(
        **{name: value for name, (value, _) in picked.items()} | asked,
        recompute=wanted.recompute,
        sync_norm=wanted.sync_norm,
        accumulate=wanted.accumulate,
        reasons=tuple(reason for name, (_, reason) in picked.items() if name not in asked),
    )


@contextmanager
def in_force(execution: Execution, device: torch.device) -> Generator[None]:
    """PyTorch's global settings as a run needs them, inside; afterwards as they were.

    fp32 is float32 throughout: convolutions are in TF32 by default. cuDNN times its algorithms, since all batches have one
    size. torch.compile makes as many forms as a network has, and one too many is an error: it would go on without compiling.
    """
    with ExitStack() as stack:
        stack.enter_context(_products(tf32=execution.precision is Precision.TF32))
        if device.type == "cuda":
            stack.enter_context(_timed_algorithms())
        if execution.compile is not Compile.NONE:
            limits = {"recompile_limit": FORMS, "accumulated_recompile_limit": FORMS}
            stack.enter_context(torch._dynamo.config.patch(**limits, fail_on_recompile_limit_hit=True))
        yield


@contextmanager
def _products(*, tf32: bool) -> Generator[None]:
    """Of float32: rounded to TF32, or not. PyTorch has an old and a new way to say so, and reading the old one is an error
    where both were used and differ, so both are set; what stood in the old one is known, and put back, if it can be read.
    """
    places = (
        torch.backends.cuda.matmul,
        torch.backends.cudnn.conv,
        torch.backends.cudnn.rnn,
        torch.backends.mkldnn.matmul,
    )
    before = [place.fp32_precision for place in places]
    try:
        old = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    except RuntimeError:
        old = None
    _set_old_way("high" if tf32 else "highest", tf32)
    for place in places[:2]:
        place.fp32_precision = "tf32" if tf32 else "ieee"
    try:
        yield
    finally:
        if old is not None:
            _set_old_way(*old)
        for place, value in zip(places, before, strict=True):
            place.fp32_precision = value


def _set_old_way(products: str, convolutions: bool) -> None:
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = convolutions


@contextmanager
def _timed_algorithms() -> Generator[None]:
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _pick_compile(device: torch.device) -> tuple[Compile, str]:
    if device.type == "cuda":
        return (
            Compile.UNITS,
            "compile units: each distinct unit once, whatever the depth; its gain on a GPU is not measured",
        )
    return Compile.NONE, "compile none: on a CPU compiling takes longer than a try-out"


def _pick_graph(wanted: Wanted, device: torch.device, share: Share) -> tuple[bool, str]:
    if device.type != "cuda":
        return False, "no CUDA graph: there is no NVIDIA GPU"
    if share.world > 1:
        return False, "no CUDA graph: steps of several processes are not captured"
    if wanted.recompute:
        return False, "no CUDA graph: what a graph with recomputed units takes is not measured"
    return True, "CUDA graph: a step is launched at once; its gain is not measured"


def _pick_precision(device: torch.device) -> tuple[Precision, str]:
    if device.type != "cuda":
        return Precision.FP32, "fp32: the precision of the papers"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision.BF16, "bf16: the GPU computes in it; its gain and its effect on errors are not measured"
    return Precision.FP32, "fp32: the GPU does not compute in bf16"


def _pick_channels_last(device: torch.device) -> tuple[bool, str]:
    if device.type == "cuda":
        return True, "channels last: the layout that tensor cores read; its gain is not measured"
    return True, "channels last: on a CPU a step of preact20 took 0.87 to 0.95 of the time that channels first took"


def _require_possible(wanted: Wanted, device: torch.device, share: Share, *, draws: bool) -> None:
    on_gpu = device.type == "cuda"
    if wanted.accumulate < 1:
        raise fail("unsupported-option", f"--accumulate {wanted.accumulate}: a batch has at least one part")
    if wanted.sync_norm and not on_gpu:
        raise _unsupported("--sync-norm: PyTorch synchronises batch norms on GPUs alone")
    if wanted.graph and not on_gpu:
        raise _unsupported("--graph: there are CUDA graphs on NVIDIA GPUs alone")
    if wanted.graph and share.world > 1:
        raise _unsupported("--graph: steps of several processes are not captured")
    if wanted.graph and wanted.recompute and draws:
        what = "--graph --recompute: units with dropout or drop_path draw the same random numbers twice"
        raise _unsupported(f"{what}, and a CUDA graph cannot go back to them")
    if wanted.recompute and wanted.compile is Compile.WHOLE:
        raise _unsupported("--recompute --compile whole: units that are compiled as one network are not computed twice")
    if wanted.precision is Precision.TF32 and not on_gpu:
        raise _unsupported("--precision tf32: this is how NVIDIA GPUs multiply float32")


def _unsupported(message: str) -> Exception:
    return fail("unsupported-option", message)
