"""From a request to an engine and what stands beside it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from resdsl._version import __version__
from resdsl.diagnostics import fail
from resdsl.network.network import Network
from resdsl.network.shapes import chain_output
from resdsl.targets.onnx_notes import pass_lines
from resdsl.targets.onnx_operators import extents
from resdsl.targets.onnx_request import proven
from resdsl.targets.precision import Form, Precision
from resdsl.targets.tensorrt.build import build_engine
from resdsl.targets.tensorrt.gpu import Gpu, current_device, require_gpu
from resdsl.targets.tensorrt.library import Choice, choose, require_builder, version
from resdsl.targets.tensorrt.monitor import UNWATCHED
from resdsl.targets.tensorrt.options import SIDECAR_SUFFIX, TORCH_OUTPUT, Builder, Via
from resdsl.targets.tensorrt.sidecar import Sidecar, Tensor, digest, gpus_of, this_platform, to_json
from resdsl.targets.tensorrt.support import require_supported
from resdsl.weights import network_weights

if TYPE_CHECKING:
    from resdsl.network.initial import Weights
    from resdsl.targets.table import Output, Request, Written

PREPARING = "Preparing the model"
"""What a watcher is told of what comes before the builder: weights, passes, the comparison."""


@dataclass(frozen=True, slots=True)
class Built:
    """An engine, what stands beside it, and what to tell the user of it, a line each."""

    engine: memoryview
    sidecar: Sidecar
    notes: tuple[str, ...]


def emit_engine(request: Request, output: Output) -> Written:
    """Builds the engine and writes it with its sidecar; or a module of PyTorch with the engine in it. Raises SpecError."""
    from resdsl.targets.table import Written

    if request.engine.via is Via.TORCH_MODULE:
        return _emit_module(request, output)
    if output.beside is None:
        message = (
            "an engine is checked against a second file beside it before it runs, and that needs a folder to stand in"
        )
        raise fail("no-sidecar", message, help="`resdsl compile -o NAME.engine` and `resdsl.compile_file` write both")
    name, beside = output.beside(SIDECAR_SUFFIX)  # before the build, which may take minutes, since it may not be there
    built = build(request)
    beside.write(to_json(built.sidecar).encode())
    return Written(output.stream.write(built.engine), name, built.notes)


def build(request: Request) -> Built:
    """The engine of a request, by the builder of its options. Raises SpecError, before any work where it can."""
    options, choice = request.engine, _able(request)
    gpu = require_gpu("building with TensorRT") if choice.builder is Builder.TENSORRT else None
    watcher = request.watcher or UNWATCHED
    watcher.started(PREPARING, 1)
    weights = network_weights(request.network, request.weights, request.seed)
    engine, told = (_through_onnx if options.via is Via.ONNX else _through_torch)(request, weights, choice.builder)
    sidecar = _sidecar(request, weights, engine, choice.builder, gpu)
    made = (
        [f"its weights are the initialisation of seed {request.seed}: `--weights` gives others"]
        if request.weights is None
        else []
    )
    return Built(engine, sidecar, (_by(sidecar, choice.reason), *made, *told))


def _able(request: Request) -> Choice:
    """The builder, which can do what is asked for, here. Raises SpecError if it cannot."""
    choice = choose(request.engine.builder)
    require_supported(request.engine, request.precision, choice.builder)
    require_builder(choice.builder)
    return choice


def _emit_module(request: Request, output: Output) -> Written:
    from resdsl.targets.table import Written

    _able(request)
    from resdsl.targets.tensorrt.via_torch import save_through_torch  # PyTorch comes with it

    weights = network_weights(request.network, request.weights, request.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "module.ep")
        steps = save_through_torch(request.network, weights, request.passes, request.precision, request.engine, path)
        with path.open("rb") as stream:
            shutil.copyfileobj(stream, output.stream)
        return Written(path.stat().st_size, notes=("`load_through_torch` loads it", *pass_lines(steps)))


def _through_onnx(request: Request, weights: Weights, builder: Builder) -> tuple[memoryview, tuple[str, ...]]:
    compiled, told = proven(replace(request, form=Form.TENSORRT), weights)
    watcher = request.watcher or UNWATCHED
    watcher.finished(PREPARING)
    gpu = current_device().index if builder is Builder.TENSORRT else None
    return build_engine(compiled.parts, builder, request.engine, watcher, gpu), told


def _through_torch(request: Request, weights: Weights, _: Builder) -> tuple[memoryview, tuple[str, ...]]:
    from resdsl.targets.tensorrt.via_torch import build_through_torch

    engine, steps = build_through_torch(request.network, weights, request.passes, request.precision, request.engine)
    return memoryview(engine), tuple(pass_lines(steps))


def _by(sidecar: Sidecar, reason: str) -> str:
    """By what, and for what."""
    least, best, most = sidecar.batch
    batches = f"batch {best}" if least == most else f"batches of {least} to {most}, fastest at {best}"
    chosen = f" ({reason})" if reason else ""
    return f"built by {sidecar.library.title} {sidecar.version}{chosen} for {gpus_of(sidecar)}; {sidecar.precision}, {batches}"


def _sidecar(request: Request, weights: Weights, engine: memoryview, builder: Builder, gpu: Gpu | None) -> Sidecar:
    options, origin = request.engine, request.origin
    return Sidecar(
        sha256=hashlib.sha256(engine).hexdigest(),
        size=engine.nbytes,
        resdsl=__version__,
        builder=builder.value,
        version=version(builder),
        via=options.via.value,
        network=request.network.name,
        spec_sha256=origin.sha256 if origin else None,
        parameters=dict(origin.parameters) if origin else {},
        weights_sha256=digest(weights),
        precision=request.precision.value,
        tf32=options.tf32 and request.precision in (Precision.FP32, Precision.INT8),
        passes=tuple(each.name for each in request.passes),
        inputs=(Tensor("input", "float32", tuple(extents(request.network.input))),),
        outputs=(Tensor("output" if options.via is Via.ONNX else TORCH_OUTPUT, "float32", _output(request.network)),),
        batch=(options.batch.least, options.batch.best, options.batch.most),
        compute_capabilities=(gpu.compute_capability,) if gpu else options.compute_capabilities,
        gpu=gpu.name if gpu else None,
        platform=this_platform(),
        hardware=options.hardware.value if options.hardware else None,
        version_compatible=options.version_compatible,
        refit=options.refit,
        level=options.level,
        workspace=options.workspace,
        records=dict(request.records),
    )


def _output(network: Network) -> tuple[int, ...]:
    shape = network.input
    for _, chain in network.sections():
        shape = chain_output(chain, shape)
    return tuple(extents(shape))
