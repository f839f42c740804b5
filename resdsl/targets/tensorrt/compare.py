"""What engines compute, for comparison: engines that are built for it, or that lie in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.network.initial import Weights, initial_weights
from resdsl.network.network import Network
from resdsl.targets.tensorrt.engine import Engine
from resdsl.targets.tensorrt.gpu import require_gpu
from resdsl.targets.tensorrt.library import choose, require_builder
from resdsl.targets.tensorrt.sidecar import Sidecar, digest, read_engine, require_origin
from resdsl.targets.tensorrt.support import require_supported
from resdsl.targets.tensorrt.write import build
from resdsl.weights import INITIAL

if TYPE_CHECKING:
    from resdsl.spec import Origin
    from resdsl.targets.precision import Precision
    from resdsl.targets.table import Request
    from resdsl.targets.tensorrt.options import EngineOptions


@dataclass(frozen=True, slots=True)
class Computed:
    """y: float64, (n, *output). runtime: what computed it, and on what."""

    y: NDArray[np.float64]
    sidecar: Sidecar
    runtime: str


def require_engines(options: EngineOptions, precisions: Sequence[Precision]) -> None:
    """Raises SpecError unless engines can be built in these precisions, and run, here."""
    builder = choose(options.builder).builder
    for precision in precisions:
        require_supported(options, precision, builder)
    require_builder(builder)
    require_gpu("running an engine")


def computed_by_built(request: Request, x: NDArray[np.float32]) -> Computed:
    """Builds the engine of a request and computes the outputs of x, (n, *input). Raises SpecError."""
    built = build(request)
    return computed_by(Engine.from_bytes(built.engine, built.sidecar), x)


def computed_by(engine: Engine, x: NDArray[np.float32]) -> Computed:
    """The outputs of x, (n, *input), in batches that the engine takes."""
    import torch

    sidecar = engine.sidecar
    least, best, _ = sidecar.batch
    found: list[NDArray[np.float32]] = []
    for at in range(0, len(x), best):
        part = x[at : at + best]
        missing = max(0, least - len(part))
        filled = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
        found.append(engine(torch.from_numpy(filled)).numpy()[: len(part)])
    runtime = f"{sidecar.library.title} {engine.version} on {engine.gpu.name}"
    return Computed(np.concatenate(found).astype(np.float64), sidecar, runtime)


def open_engine_of(path: str, origin: Origin, network: Network, weights: Weights, seed: int) -> Engine:
    """The engine in a file, which has to be built from this network with these weights. Raises SpecError.

    seed: of the initial weights, which an engine that was compiled without weights has.
    """
    sidecar, data = read_engine(Path(path))
    require_origin(path, sidecar, origin, network.name)
    if sidecar.weights_sha256 != digest(weights):
        help = "give the `--weights` and the `--seed` that it was compiled with"
        if sidecar.weights_sha256 == digest(initial_weights(network, seed)):
            help = f"it was compiled without weights: `--weights {INITIAL}`"
        raise fail("wrong-engine", f"{path} was built with other weights than these", help=help)
    return Engine.from_bytes(data, sidecar, name=path)
