"""Models that are open to be run, whatever runs them: ONNX Runtime, or TensorRT."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from resdsl.targets.endings import is_engine
from resdsl.targets.onnx_provider import Provider
from resdsl.targets.onnx_session import Session, runtime_version
from resdsl.targets.onnx_session import open_model as open_onnx
from resdsl.targets.tensorrt.session import EngineSession, open_session

OpenModel: TypeAlias = Session | EngineSession
"""Both have `name`, `input`, `outputs`, `metadata`, `fitted`, `random`, `run` and `call`. What differs between them is asked for below."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What computes. title: of the library. device: the provider of ONNX Runtime, or the name of the GPU."""

    title: str
    version: str
    device: str

    def __str__(self) -> str:
        return f"{self.title} {self.version} on {self.device}"


def open_model(
    model: str | os.PathLike[str] | bytes,
    provider: Provider = Provider.CPU,
    *,
    name: str = "",
    threads: int | None = None,
    cuda_graph: bool = False,
) -> OpenModel:
    """Opens a model: an engine's file by its ending, any other file and bytes as ONNX. See onnx_session.open_model, Engine.load.

    provider, name, threads: of an ONNX model. cuda_graph: of an engine. Raises SpecError if it does not open.
    """
    if not isinstance(model, bytes) and is_engine(os.fspath(model)):
        return open_session(model, cuda_graph=cuda_graph)
    return open_onnx(model, provider, name=name, threads=threads)


def runtime_of(model: OpenModel) -> Runtime:
    """What it is run by."""
    match model:
        case Session():
            return Runtime("ONNX Runtime", runtime_version(), model.provider.value)
        case EngineSession(engine=engine):
            return Runtime(engine.sidecar.library.title, engine.version, engine.gpu.name)
    assert_never(model)


def notes_of(model: OpenModel) -> tuple[str, ...]:
    """What there is to know about running it here, a line each."""
    match model:
        case Session():
            return ()
        case EngineSession(engine=engine):
            return engine.notes
    assert_never(model)


def least_batch(model: OpenModel) -> int:
    """The smallest batch that it takes."""
    match model:
        case Session():
            return _made_for(model)
        case EngineSession(engine=engine):
            return engine.sidecar.batch[0]
    assert_never(model)


def best_batch(model: OpenModel) -> int:
    """The batch that it is fastest with, as far as it says so; otherwise the smallest."""
    match model:
        case Session():
            return _made_for(model)
        case EngineSession(engine=engine):
            return engine.sidecar.batch[1]
    assert_never(model)


def _made_for(model: Session) -> int:
    batch = model.input.shape[0]
    return batch if isinstance(batch, int) else 1
