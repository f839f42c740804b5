"""From an ONNX model to an engine, through the parser and the builder of TensorRT or TensorRT for RTX.

Networks are strongly typed: the types of the graph are those of the engine. TensorRT 10.16 has that as a flag, TensorRT 11 has nothing else.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Any

from resdsl.diagnostics import SpecError, fail
from resdsl.targets.onnx_file import Parts, model_bytes, write_model_beside
from resdsl.targets.onnx_limits import MAX_ONNX_BYTES
from resdsl.targets.tensorrt.gpu import enter
from resdsl.targets.tensorrt.library import Log, library
from resdsl.targets.tensorrt.monitor import UNWATCHED, Watcher, interruptible, monitor
from resdsl.targets.tensorrt.options import Batch, Builder, EngineOptions, Hardware
from resdsl.targets.tensorrt.timing_cache import TimingCache

SHOWN_NODES = 8
MEBIBYTE = 2**20


def build_engine(
    parts: Parts, builder: Builder, options: EngineOptions, watcher: Watcher = UNWATCHED, gpu: int | None = None
) -> memoryview:
    """The bytes of the engine. parts: a typed model with the input (batch, *input). gpu: its index, where one is built on.

    Raises SpecError if the parser does not take a node, or the builder builds nothing. Ctrl-C ends it.
    """
    trt = library(builder)
    cache = None if options.timing_cache is None else TimingCache.read(options.timing_cache)

    def build(stop: threading.Event) -> Any:
        if gpu is not None:
            enter(gpu)
        raised: list[Exception] = []
        log = Log(trt)
        factory = _factory(trt, log, builder)
        network = factory.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parse(trt, network, parts, log)
        config = configure(trt, factory, network, builder, options)
        if cache is not None:
            cache.give(config)
        config.progress_monitor = monitor(trt, watcher, stop, raised)
        found = factory.build_serialized_network(network, config)
        if raised:
            raise raised[0]
        if found is None and not stop.is_set():
            raise _failed(log, builder)
        if found is not None and cache is not None:
            cache.keep(config)
        return found

    return memoryview(interruptible(build))


def parse(trt: Any, network: Any, parts: Parts, log: Log) -> None:
    """Reads a model into an INetworkDefinition of that library. Raises SpecError with the nodes that it does not take."""
    parser = trt.OnnxParser(network, log.logger)
    if sum(each.size for each in parts.initialisers) <= MAX_ONNX_BYTES:
        read = parser.parse(model_bytes(parts))
    else:
        with tempfile.TemporaryDirectory() as folder:
            model, data = Path(folder, "model.onnx"), Path(folder, "model.data")
            with model.open("wb") as stream, data.open("wb") as beside:
                write_model_beside(parts, stream, beside, data.name)
            read = parser.parse_from_file(os.fspath(model))
    if not read:
        raise _refused([parser.get_error(index) for index in range(parser.num_errors)], log)


def _refused(errors: list[Any], log: Log) -> SpecError:
    nodes = [f"{error.node_name()} ({error.node_operator()}): {error.desc()}" for error in errors]
    if not nodes:
        return fail("unsupported-model", f"TensorRT's parser does not take the model: {log.said}")
    more = [f"… {len(nodes) - SHOWN_NODES} more …"] if len(nodes) > SHOWN_NODES else []
    message = f"TensorRT's parser does not take {len(nodes)} node{'s' if len(nodes) > 1 else ''} of the model"
    help = "`--target onnx` writes what ONNX Runtime's CUDA provider runs"
    return fail("unsupported-model", message, notes=[*nodes[:SHOWN_NODES], *more], help=help)


def _factory(trt: Any, log: Log, builder: Builder) -> Any:
    try:
        return trt.Builder(log.logger)
    except Exception as error:  # pybind11's TypeError where CUDA cannot be started
        reason = log.said if log.errors else str(error).splitlines()[0]
        raise fail(
            "missing-gpu",
            f"{builder.title} does not start: {reason}",
            help="`nvidia-smi` shows the driver and the GPUs there are",
        ) from None


def configure(trt: Any, factory: Any, network: Any, builder: Builder, options: EngineOptions) -> Any:
    """An IBuilderConfig for what is asked for. Raises SpecError for a GPU that the builder does not know."""
    config = factory.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # or `show` could tell names alone
    (config.set_flag if options.tf32 else config.clear_flag)(trt.BuilderFlag.TF32)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.refit:
        config.set_flag(trt.BuilderFlag.REFIT)
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace * MEBIBYTE)
    if options.level is not None:
        config.builder_optimization_level = options.level
    if options.hardware is not None:
        levels = {
            Hardware.AMPERE_PLUS: trt.HardwareCompatibilityLevel.AMPERE_PLUS,
            Hardware.SAME_COMPUTE_CAPABILITY: trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY,
        }
        config.hardware_compatibility_level = levels[options.hardware]
    if options.compute_capabilities:
        _name_capabilities(trt, config, builder, options.compute_capabilities)
    config.add_optimization_profile(_profile(factory, network, options.batch))
    return config


def _name_capabilities(trt: Any, config: Any, builder: Builder, names: tuple[str, ...]) -> None:
    known = {
        f"{name[2:-1]}.{name[-1]}": value
        for name, value in trt.ComputeCapability.__members__.items()
        if name.startswith("SM")
    }
    for name in names:
        if name not in known:
            listed = ", ".join(sorted(known, key=float))
            message = f"{builder.title} {trt.__version__} builds nothing for compute capability {name}"
            help = f"it builds for {listed}; for other GPUs `--builder tensorrt` builds on the machine that has one"
            raise fail("unsupported-capability", message, help=help)
    config.num_compute_capabilities = len(names)
    for index, name in enumerate(names):
        config.set_compute_capability(known[name], index)


def _profile(factory: Any, network: Any, batch: Batch) -> Any:
    profile = factory.create_optimization_profile()
    tensor = network.get_input(0)
    sample = tuple(tensor.shape)[1:]
    profile.set_shape(tensor.name, *((size, *sample) for size in (batch.least, batch.best, batch.most)))
    return profile


def _failed(log: Log, builder: Builder) -> SpecError:
    said = log.said
    if any(word in said for word in ("out of memory", "allocat", "workspace", "Could not find any implementation")):
        help = "a smaller `--batch`, or more of `--workspace`"
    else:
        help = "`--verify` compares the model in ONNX Runtime first; `-O0` builds it without passes"
    return fail("engine-failed", f"{builder.title} builds no engine: {said}", help=help)
