"""On what ONNX Runtime computes, and why it does not.

Where a provider cannot be made, ONNX Runtime writes a line to standard error and computes on the CPU. What it wrote is read here, so
that the user is told instead.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum
from importlib import metadata

from resdsl.diagnostics import SpecError, fail

DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-migraphx",
    "onnxruntime-qnn",
    "onnxruntime-training",
)
"""They all install the package `onnxruntime`, each over the files of the other."""

_COLOUR = re.compile(r"\x1b?\[[0-9;]*m")
_LIBRARY = re.compile(r"error: (\S+?): cannot open shared object file|\"\" when trying to load \"(.+?)\"")


class Provider(Enum):
    """On what a model is computed. The value is what the command line calls it."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"

    @property
    def runtime_name(self) -> str:
        """ONNX Runtime's name for it."""
        return self.chain[0]

    @property
    def chain(self) -> tuple[str, ...]:
        """What ONNX Runtime is asked for: what TensorRT has no kernel for runs on CUDA."""
        match self:
            case Provider.CPU:
                return ("CPUExecutionProvider",)
            case Provider.CUDA:
                return ("CUDAExecutionProvider",)
            case Provider.TENSORRT:
                return ("TensorrtExecutionProvider", "CUDAExecutionProvider")

    @property
    def is_gpu(self) -> bool:
        return self is not Provider.CPU

    @property
    def extra(self) -> str:
        """What installs a build of ONNX Runtime that has it."""
        return "resdsl[ort-gpu]" if self.is_gpu else "resdsl[ort]"


def check_installed(provider: Provider) -> None:
    """Raises SpecError unless exactly one distribution of ONNX Runtime is installed."""
    found = [name for name in DISTRIBUTIONS if _is_installed(name)]
    if len(found) > 1:
        listed = " and ".join(found)
        message = f"{listed} are installed together; they hold the same files, and hide each other"
        help = f"`pip uninstall {' '.join(found)}`, then `pip install '{provider.extra}'` alone"
        raise fail("hidden-runtime", message, help=help)


def not_installed(provider: Provider) -> SpecError:
    message = "ONNX models run in ONNX Runtime, which is not installed"
    return fail("missing-library", message, help=f"pip install '{provider.extra}'")


def not_in_build(provider: Provider, available: list[str]) -> SpecError:
    message = f"this build of ONNX Runtime has no {provider.runtime_name}; it has {', '.join(available)}"
    installed = next((name for name in DISTRIBUTIONS if _is_installed(name)), "onnxruntime")
    help = f"`pip uninstall {installed}`, then `pip install '{provider.extra}'`"
    return fail("missing-provider", message, help=help)


def did_not_start(provider: Provider, said: str) -> SpecError:
    """Why ONNX Runtime computes on something else than it was asked for. said: what it wrote."""
    reason, help = _reason(said)
    return fail(
        "missing-provider", f"{provider.value} is asked for, and ONNX Runtime cannot use it: {reason}", help=help
    )


def _reason(said: str) -> tuple[str, str]:
    said = _COLOUR.sub("", said)
    missing = [name for match in _LIBRARY.finditer(said) if (name := match.group(1) or match.group(2))]
    if any("libcuda.so" in name or "nvcuda" in name for name in missing):
        return f"there is no {missing[0]}, which comes with the driver of an NVIDIA GPU", "`--provider cpu`"
    for name in missing:
        if "nvinfer" in name or "nvonnxparser" in name:
            help = "install TensorRT in that version, and name the folder of its libraries in LD_LIBRARY_PATH"
            return f"there is no {name}, which is TensorRT's", help
    if missing:
        return f"there is no {missing[0]}", "`pip install 'onnxruntime-gpu[cuda,cudnn]'` brings CUDA's libraries"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "CUDA failure" in line or "no CUDA-capable device" in line] or lines
    if not telling:
        return "it does not say why", "ONNX Runtime's requirements: https://onnxruntime.ai/docs/execution-providers/"
    return plain(telling[0]), "`nvidia-smi` shows the driver and the GPUs there are; or `--provider cpu`"


def plain(message: str) -> str:
    """A message of ONNX Runtime without its codes, places and line breaks."""
    message = " ".join(_COLOUR.sub("", message).split())
    message = re.sub(r"^.*?\[ONNXRuntimeError\] : \d+ : \w+ : ", "", message)
    message = re.sub(r"^\d{4}-\d\d-\d\d \S+ \[\w:\w+:[^\]]*\] ", "", message)
    return re.sub(r"/onnxruntime_src/\S+ (?:\S+ )?(?=[A-Z])", "", message) or "it does not say why"


@contextmanager
def overheard() -> Generator[list[str]]:
    """What is written to standard error meanwhile, by C++ too: it is not shown, and the list holds it afterwards."""
    said: list[str] = []
    try:
        kept = os.dup(2)
    except OSError:  # standard error is closed
        said.append("")
        yield said
        return
    with tempfile.TemporaryFile() as heard:
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(heard.fileno(), 2)
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            heard.seek(0)
            said.append(heard.read().decode(errors="replace"))


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
