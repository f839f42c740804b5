"""A TensorRT engine, open to be run on numpy's arrays: with the face of an ONNX model's Session."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from resdsl.diagnostics import SpecError, fail
from resdsl.targets.onnx_port import Array, Port
from resdsl.targets.tensorrt.engine import Engine
from resdsl.targets.tensorrt.sidecar import Tensor

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class EngineSession:
    """An engine that is open. input, outputs: the batch is "batch" where the engine takes several."""

    engine: Engine
    input: Port
    outputs: tuple[Port, ...]

    @property
    def name(self) -> str:
        return self.engine.name

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the engine's sidecar says of its data."""
        return self.engine.sidecar.records

    def fitted(self, x: Array, name: str) -> Array:
        """The array as this engine takes it, see Port.fitted. Raises SpecError, for a batch that it does not take too."""
        least, _, most = self.engine.sidecar.batch
        found = self.input.fitted(x, name, self.name)
        if not least <= len(found) <= most:
            message = f"{name} has a batch of {len(found)}, and {self.name} takes batches of {least} to {most}"
            raise fail("wrong-input", message, help="`resdsl compile --batch LEAST:BEST:MOST` makes engines for others")
        return found

    def random(self, batch: int, seed: int = 0) -> Array:
        """Standard normal input, (batch, *sample), the same for all models of that shape. See Port.random."""
        return self.input.random(batch, seed, self.name)

    def run(self, x: Array) -> dict[str, Array]:
        """Output name -> array. x: as `fitted` gives it. Raises SpecError if the engine cannot compute it."""
        import torch

        try:
            y = self.engine(_tensor(x)).numpy()
        except torch.OutOfMemoryError as error:
            raise self._too_large(error) from None
        return {self.outputs[0].name: y}

    def call(self, x: Array) -> Callable[[], object]:
        """What computes the output of x and drops it, to be timed: x and the output stay on the GPU.

        It raises SpecError if the engine cannot compute it. x: as `fitted` gives it.
        """
        import torch

        engine = self.engine
        try:
            on_gpu = _tensor(x).to(engine.device)
        except torch.OutOfMemoryError as error:
            raise self._too_large(error) from None

        def computed() -> None:
            try:
                engine(on_gpu)
                torch.cuda.current_stream(engine.device).synchronize()
            except torch.OutOfMemoryError as error:
                raise self._too_large(error) from None

        return computed

    def _too_large(self, error: Exception) -> SpecError:
        message = f"{self.name} finds no memory on the GPU: {str(error).splitlines()[0]}"
        return fail("out-of-memory", message, help="a smaller batch")


def _tensor(x: Array) -> torch.Tensor:
    import torch

    return torch.from_numpy(
        np.require(x, requirements="W")
    )  # PyTorch has no tensors that are read alone, and warns of them


def open_session(path: str | os.PathLike[str], *, cuda_graph: bool = False) -> EngineSession:
    """Opens an engine's file. Raises SpecError as Engine.load does."""
    return session_of(Engine.load(path, cuda_graph=cuda_graph))


def session_of(engine: Engine) -> EngineSession:
    """For an engine that is open already."""
    least, _, most = engine.sidecar.batch
    batch = least if least == most else "batch"

    def port(tensor: Tensor) -> Port:
        return Port(tensor.name, np.dtype(tensor.dtype), (batch, *tensor.shape))

    return EngineSession(engine, port(engine.sidecar.inputs[0]), tuple(map(port, engine.sidecar.outputs)))
