"""resdsl: a language for residual networks, compiled to PyTorch and ONNX.

>>> import resdsl
>>> network = resdsl.build("std/preact1001")
>>> resdsl.summarise(network).costs.parameters
10327706
"""

from resdsl._version import __version__
from resdsl.analysis.costs import summarise
from resdsl.api import build, check, compile, load, parse
from resdsl.diagnostics import Diagnostic, Severity, SpecError

__all__ = [
    "Diagnostic",
    "Severity",
    "SpecError",
    "__version__",
    "build",
    "check",
    "compile",
    "load",
    "parse",
    "summarise",
]
