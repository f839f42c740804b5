"""What a TensorRT engine is asked to be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from resdsl.diagnostics import fail

SIDECAR_SUFFIX = ".json"
"""Behind the name of an engine, of the file that describes it."""
PORTABLE = ("8.0", "8.6", "8.9")
"""What an RTX engine for no named GPU runs on, beside all from 12.0 on. Source: TensorRT for RTX, "CPU-Only AOT and TensorRT-RTX Engines"."""
PORTABLE_TEXT = "RTX GPUs of compute capability 8.0, 8.6, 8.9 and from 12.0 on"
TORCH_OUTPUT = "output0"
"""What torch-tensorrt calls an engine's output. From 2.14 on another name can be given; one name in all versions is worth more."""
MOST_BATCH = 65536
MOST_WORKSPACE = 2**24
"""MiB."""
LEVELS = range(6)
CAPABILITY = re.compile(r"\d{1,2}\.\d")


class Builder(Enum):
    """Whose library builds an engine, and then runs it: no engine of one runs in the other. The value is what users call it."""

    TENSORRT = "tensorrt"
    RTX = "rtx"

    @property
    def title(self) -> str:
        match self:
            case Builder.TENSORRT:
                return "TensorRT"
            case Builder.RTX:
                return "TensorRT for RTX"
        assert_never(self)

    @property
    def module(self) -> str:
        """The Python package of the library."""
        match self:
            case Builder.TENSORRT:
                return "tensorrt"
            case Builder.RTX:
                return "tensorrt_rtx"
        assert_never(self)

    @property
    def extra(self) -> str:
        """What installs it."""
        match self:
            case Builder.TENSORRT:
                return "resdsl[trt]"
            case Builder.RTX:
                return "resdsl[rtx]"
        assert_never(self)


class Via(Enum):
    """From what an engine is built: our own typed ONNX graph, or the PyTorch module through torch-tensorrt. TORCH_MODULE: it then
    stays inside of a module, which PyTorch loads.
    """

    ONNX = "onnx"
    TORCH = "torch"
    TORCH_MODULE = "torch-module"


class Hardware(Enum):
    """On which other GPUs than the builder's an engine has to run. It costs speed."""

    AMPERE_PLUS = "ampere+"
    SAME_COMPUTE_CAPABILITY = "same"


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch sizes that an engine takes, and the one that its kernels are chosen for: 1 <= least <= best <= most <= MOST_BATCH.

    Raises SpecError for others.
    """

    least: int
    best: int
    most: int

    def __post_init__(self) -> None:
        sizes = (self.least, self.best, self.most)
        if any(type(size) is not int for size in sizes) or not 1 <= self.least <= self.best <= self.most <= MOST_BATCH:
            help = f"whole numbers from 1 to {MOST_BATCH}, none smaller than the one before"
            raise fail("unknown-value", f"there is no batch {self}", help=help)

    def __str__(self) -> str:
        return f"{self.least}:{self.best}:{self.most}"


DEFAULT_BATCH = Batch(1, 8, 64)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """builder: None for TensorRT where it can build, otherwise TensorRT for RTX. compute_capabilities: of the GPUs that an
    RTX engine is for, as "8.9"; none for 8.0 and later. timing_cache: a file that is read, if it is there, and written.
    workspace: the most scratch memory of a layer, in MiB. level: the builder's optimisation level, 0 to 5. tf32: whether
    float32 products may be rounded to TF32, 10 bits. Raises SpecError for a value that there is not.
    """

    builder: Builder | None = None
    via: Via = Via.ONNX
    batch: Batch = DEFAULT_BATCH
    compute_capabilities: tuple[str, ...] = ()
    hardware: Hardware | None = None
    version_compatible: bool = False
    refit: bool = False
    timing_cache: str | None = None
    workspace: int | None = None
    level: int | None = None
    tf32: bool = False

    def __post_init__(self) -> None:
        kinds = {"builder": Builder, "via": Via, "batch": Batch, "hardware": Hardware}
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and not (value is None and name in ("builder", "hardware")):
                raise fail("unknown-value", f"{name} cannot be {value!r}", help=f"give a {kind.__name__}")
        if not all(isinstance(each, str) and CAPABILITY.fullmatch(each) for each in self.compute_capabilities):
            given = f"{self.compute_capabilities!r}"
            raise fail("unknown-value", f"compute_capabilities cannot be {given}", help='as ("8.6", "8.9")')
        if self.workspace is not None and not 1 <= self.workspace <= MOST_WORKSPACE:
            help = f"mebibytes, from 1 to {MOST_WORKSPACE}"
            raise fail("unknown-value", f"workspace cannot be {self.workspace!r}", help=help)
        if self.level is not None and self.level not in LEVELS:
            raise fail("unknown-value", f"level cannot be {self.level!r}", help=f"from 0 to {LEVELS[-1]}")
