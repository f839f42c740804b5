"""What a TensorRT engine is asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

SIDECAR_SUFFIX = ".json"
"""Behind the name of an engine, of the file that describes it."""


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
    """The batch sizes that an engine takes, and the one that its kernels are chosen for: 1 <= least <= best <= most."""

    least: int
    best: int
    most: int

    def __str__(self) -> str:
        return f"{self.least}:{self.best}:{self.most}"


DEFAULT_BATCH = Batch(1, 8, 64)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """builder: None for TensorRT where it can build, otherwise TensorRT for RTX. compute_capabilities: of the GPUs that an
    RTX engine is for, as "8.9"; none for 8.0 and later. timing_cache: a file that is read, if it is there, and written.
    workspace: the most scratch memory of a layer, in MiB. level: the builder's optimisation level, 0 to 5. tf32: whether
    float32 products may be rounded to TF32, 10 bits.
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
