"""The libraries that build and run engines: which is taken, whether it is there, and what it says."""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from resdsl.diagnostics import SpecError, fail
from resdsl.targets.tensorrt.gpu import require_gpu
from resdsl.targets.tensorrt.options import Builder

OLDEST = {Builder.TENSORRT: (10, 16), Builder.RTX: (1, 7)}
"""Versions that resdsl works with; TensorRT 11 too."""
_PLACE = re.compile(r" ?In \w+ at /_src/[^\s)]+")
_CALL = re.compile(r"^(?:I\w+::\w+|\[\S+\]): ?")
_BUILDING = "building with TensorRT"
_NO_MATTER = "catchCudaError"
"""In a line that repeats another one's reason."""


@dataclass(frozen=True, slots=True)
class Choice:
    """builder: that builds. reason: why it is not TensorRT, where nobody asked for another; empty otherwise."""

    builder: Builder
    reason: str = ""


def choose(asked: Builder | None) -> Choice:
    """The builder that was asked for; without one TensorRT if it can build here, and otherwise TensorRT for RTX.

    Raises SpecError if there is none.
    """
    if asked is not None:
        return Choice(asked)
    if not is_installed(Builder.TENSORRT):
        if is_installed(Builder.RTX):
            return Choice(Builder.RTX, "TensorRT is not installed")
        message = "engines are built by TensorRT, which is not installed"
        help = (
            "pip install 'resdsl[trt]' on a machine with an NVIDIA GPU; 'resdsl[rtx]' builds for RTX GPUs without one"
        )
        raise fail("missing-library", message, help=help)
    if not is_installed(Builder.RTX):
        return Choice(Builder.TENSORRT)
    try:
        require_gpu(_BUILDING)
    except SpecError as error:
        return Choice(Builder.RTX, error.diagnostics[0].message)
    return Choice(Builder.TENSORRT)


def require_builder(builder: Builder) -> None:
    """Raises SpecError if this builder cannot build here: its library is missing, or the GPU that TensorRT builds on."""
    library(builder)
    if builder is Builder.TENSORRT:
        try:
            require_gpu(_BUILDING)
        except SpecError as error:
            raise _or_rtx(error) from None


def _or_rtx(error: SpecError) -> SpecError:
    found = error.diagnostics[0]
    return fail(found.code, found.message, help=f"{found.help}; `--builder rtx` builds for RTX GPUs without one")


def is_installed(builder: Builder) -> bool:
    """Whether its Python package is there."""
    return importlib.util.find_spec(builder.module) is not None


def library(builder: Builder) -> ModuleType:
    """Its Python package. Raises SpecError if that is missing, cannot be loaded, or is too old."""
    try:
        found = importlib.import_module(builder.module)
    except ModuleNotFoundError as error:
        if error.name != builder.module:
            raise _not_loaded(builder, error) from None
        where = ", on a machine with an NVIDIA GPU" if builder is Builder.TENSORRT else ""
        message = f"this needs {builder.title}, which is not installed"
        raise fail("missing-library", message, help=f"pip install '{builder.extra}'{where}") from None
    except (ImportError, OSError) as error:
        raise _not_loaded(builder, error) from None
    oldest = OLDEST[builder]
    if tuple(int(part) for part in found.__version__.split(".")[:2]) < oldest:
        message = (
            f"{builder.title} {found.__version__} is installed, and this needs {'.'.join(map(str, oldest))} or later"
        )
        raise fail("old-library", message, help=f"pip install -U '{builder.extra}'")
    return found


def version(builder: Builder) -> str:
    """Of the library that is installed, all four numbers."""
    return str(library(builder).__version__)


def _not_loaded(builder: Builder, error: Exception) -> SpecError:
    message = f"{builder.title} is installed and cannot be loaded: {str(error).splitlines()[0]}"
    return fail("missing-library", message, help=f"pip install --force-reinstall '{builder.extra}'")


class Log:
    """What a library says while it works. `logger` is given to it, and takes part in no reference cycle with it."""

    def __init__(self, trt: Any) -> None:
        errors: list[str] = []

        class Logger(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR) and _NO_MATTER not in message:
                    errors.append(plain(message))

        self.errors, self.logger = errors, Logger()

    @property
    def said(self) -> str:
        """The first error in one line."""
        return self.errors[0] if self.errors else "it does not say why"


def plain(message: str) -> str:
    """A message of TensorRT without the places in its sources."""
    return " ".join(_CALL.sub("", _PLACE.sub("", message)).replace(" )", ")").split())
