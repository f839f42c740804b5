"""TensorRT engines: how they are built, and how they run.

    from resdsl.targets.tensorrt import Engine

    engine = Engine.load("model.engine")
    y = engine(x)          # torch tensors; on the GPU nothing is copied

`resdsl.compile_file(spec, "model.engine", "trt", engine=EngineOptions(batch=Batch(1, 8, 32)))` builds one.

`options.py` says what can be asked for, `support.py` who can do it, `build.py` and `via_torch.py` build, `sidecar.py` is what stands beside an
engine and is checked before it runs, `engine.py` runs it, `layers.py` reads what the inspector says of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from resdsl.targets.tensorrt.options import Batch, Builder, EngineOptions, Hardware, Via

if TYPE_CHECKING:
    from resdsl.targets.tensorrt.engine import Engine

__all__ = ["Batch", "Builder", "Engine", "EngineOptions", "Hardware", "Via"]


def __getattr__(name: str) -> Any:
    if name != "Engine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from resdsl.targets.tensorrt.engine import Engine

    return Engine
