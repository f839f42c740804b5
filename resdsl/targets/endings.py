"""What the ending of a file says that a user names as a model. Light: `show` asks, and loads no numbers."""

from __future__ import annotations

ENGINES = (".engine", ".plan", ".trt")
ENGINES_TEXT = f"{', '.join(ENGINES[:-1])} or {ENGINES[-1]}"
COMPILED = (".onnx", *ENGINES)


def is_engine(file: str) -> bool:
    """Whether it is opened as a TensorRT engine."""
    return file.lower().endswith(ENGINES)


def is_compiled(file: str) -> bool:
    """Whether it is a model that can be run, and no spec."""
    return file.lower().endswith(COMPILED)
