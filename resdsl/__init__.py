"""resdsl: a language for residual networks, compiled to PyTorch, ONNX and TensorRT.

>>> import resdsl
>>> network = resdsl.build("std/preact1001")
>>> resdsl.summarise(network).costs.parameters
10327706
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from resdsl._version import __version__

if TYPE_CHECKING:
    from resdsl.api import build, check, compile, compile_file, convert_weights, lint, load, parse
    from resdsl.diagnostics import Diagnostic, Edit, Fix, Severity, SpecError
    from resdsl.network.costs import summarise

__all__ = [
    "Diagnostic",
    "Edit",
    "Fix",
    "Severity",
    "SpecError",
    "__version__",
    "build",
    "check",
    "compile",
    "compile_file",
    "convert_weights",
    "lint",
    "load",
    "parse",
    "summarise",
]

_HOMES = {
    "build": "resdsl.api",
    "check": "resdsl.api",
    "compile": "resdsl.api",
    "compile_file": "resdsl.api",
    "convert_weights": "resdsl.api",
    "lint": "resdsl.api",
    "load": "resdsl.api",
    "parse": "resdsl.api",
    "summarise": "resdsl.network.costs",
    "Diagnostic": "resdsl.diagnostics",
    "Edit": "resdsl.diagnostics",
    "Fix": "resdsl.diagnostics",
    "Severity": "resdsl.diagnostics",
    "SpecError": "resdsl.diagnostics",
}
"""What the package offers loads when it is asked for, so that a command loads only what it uses."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
