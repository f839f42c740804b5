"""What plays TensorRT and the GPU where there is neither: a library whose engines compute on the CPU what can be checked, and CUDA's
streams and graphs, which only write down what is asked of them.

An engine of the stand-in gives of each sample its sum, times 1, 2, … for the classes. It reads and writes memory at the addresses that it
is given, as the real one does. Nothing of it says how fast or how exact real engines are. Its names are those of the real library: a test
holds both together.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from resdsl.spec import Origin
from resdsl.targets.tensorrt.options import Builder
from resdsl.targets.tensorrt.sidecar import Sidecar, Tensor, this_platform, to_json

SAMPLE = (3, 2, 2)
CLASSES = 5
VERSIONS = {Builder.TENSORRT: "10.16.1.11", Builder.RTX: "1.7.1.116"}
NAMES = {"input": "pixels", "output": "scores"}
"""Of the engine's own tensors: others than the sidecar's, as torch-tensorrt has it."""


def expected(x: np.ndarray) -> np.ndarray:
    """What an engine of the stand-in gives, (batch, CLASSES)."""
    return x.reshape(len(x), -1).sum(1)[:, None] * np.arange(1, CLASSES + 1, dtype=np.float32)


def sidecar(builder: Builder = Builder.TENSORRT, engine: bytes = b"stand-in", **fields: Any) -> Sidecar:
    """What stands beside an engine of the stand-in. fields: those that are to be others."""
    rtx = builder is Builder.RTX
    made = Sidecar(
        sha256=hashlib.sha256(engine).hexdigest(),
        size=len(engine),
        resdsl="0",
        builder=builder.value,
        version=VERSIONS[builder],
        via="onnx",
        network="small",
        spec_sha256=None,
        parameters={},
        weights_sha256="0" * 64,
        precision="fp32",
        tf32=False,
        passes=(),
        inputs=(Tensor("input", "float32", SAMPLE),),
        outputs=(Tensor("output", "float32", (CLASSES,)),),
        batch=(1, 4, 8),
        compute_capabilities=() if rtx else ("9.0",),
        gpu=None if rtx else "NVIDIA H100",
        platform=this_platform(),
    )
    return replace(made, **fields)


def write_engine(path: Path, builder: Builder = Builder.TENSORRT, origin: Origin | None = None, **fields: Any) -> Path:
    """An engine of the stand-in and its sidecar."""
    if origin is not None:
        fields |= {"spec_sha256": origin.sha256, "parameters": dict(origin.parameters)}
    path.write_bytes(b"stand-in")
    path.with_name(path.name + ".json").write_text(to_json(sidecar(builder, **fields)), encoding="utf-8")
    return path


@dataclass(slots=True)
class Stage:
    """What is played. calls: what was asked of the streams and of the library, in order. fails: names of what fails next, and what
    the library then says. recording: what is launched goes there while a graph is recorded.
    """

    calls: list[tuple[object, ...]] = field(default_factory=list)
    fails: dict[str, str] = field(default_factory=dict)
    recording: list[Callable[[], None]] | None = None
    module: ModuleType | None = None
    logger: ILogger | None = None
    streams: int = 0
    local: threading.local = field(default_factory=threading.local)

    def asked(self, name: str) -> list[tuple[object, ...]]:
        """The arguments of every call of that name."""
        return [call[1:] for call in self.calls if call[0] == name]

    def say(self, error: str) -> None:
        """Logs an error, as the library does too where it then does what it was asked for."""
        self.logger.log(ILogger.ERROR, error)

    def failing(self, name: str, logger: Any) -> bool:
        said = self.fails.pop(name, None)
        if said:
            logger.log(self.module.ILogger.ERROR, said)
        return said is not None

    @property
    def current(self) -> Stream:
        return getattr(self.local, "stream", None) or Stream(self, "default", 0)


@dataclass(frozen=True)
class Stream:
    stage: Stage = field(repr=False, compare=False)
    name: str
    cuda_stream: int

    def wait_stream(self, other: Stream) -> None:
        self.stage.calls.append(("wait", self.name, other.name))

    def synchronize(self) -> None:
        self.stage.calls.append(("synchronize", self.name))


def play(
    monkeypatch: pytest.MonkeyPatch,
    builder: Builder = Builder.TENSORRT,
    *,
    version: str = "",
    gpu: str = "NVIDIA H100",
    capability: tuple[int, int] = (9, 0),
    device: str = "cpu",
) -> Stage:
    """Puts library and GPU in place. device: "cpu" plays a GPU on which all tensors of the test lie; "cpu:0" one on which none does,
    for PyTorch never gives that as a tensor's device.
    """
    stage = Stage()
    stage.module = library(stage, builder)
    stage.module.__version__ = version or VERSIONS[builder]
    monkeypatch.setitem(sys.modules, builder.module, stage.module)
    play_gpu(monkeypatch, gpu, capability)
    monkeypatch.setattr("resdsl.targets.tensorrt.engine.current_device", lambda: torch.device(device))

    def new_stream(device: object = None) -> Stream:
        stage.streams += 1
        return Stream(stage, f"own{stage.streams}", 100 + stage.streams)

    @contextmanager
    def stream(chosen: Stream) -> Generator[None]:
        before = getattr(stage.local, "stream", None)
        stage.local.stream = chosen
        yield
        stage.local.stream = before

    @contextmanager
    def graph(found: Graph, *, stream: Stream, capture_error_mode: str) -> Generator[None]:
        stage.calls.append(("record", stream.name, capture_error_mode))
        stage.recording = found.launched
        try:
            yield
        finally:
            stage.recording = None
        if "record" in stage.fails:
            raise RuntimeError(stage.fails.pop("record"))

    class Graph:
        def __init__(self) -> None:
            self.launched: list[Callable[[], None]] = []

        def replay(self) -> None:
            stage.calls.append(("replay", stage.current.name))
            for launch in self.launched:
                launch()

    for name, each in (("Stream", new_stream), ("stream", stream), ("graph", graph), ("CUDAGraph", Graph)):
        monkeypatch.setattr(torch.cuda, name, each)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: stage.current)
    return stage


def play_gpu(monkeypatch: pytest.MonkeyPatch, name: str = "NVIDIA H100", capability: tuple[int, int] = (9, 0)) -> None:
    """A GPU as PyTorch tells of it."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    for function, found in (("init", None), ("current_device", 0)):
        monkeypatch.setattr(torch.cuda, function, lambda found=found: found)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capability)


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def __init__(self) -> None:
        pass


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class LayerInformationFormat(Enum):
    JSON = 1


class DynamicShapesKernelSpecializationStrategy(Enum):
    LAZY = 0
    EAGER = 1


class CudaGraphStrategy(Enum):
    DISABLED = 0
    WHOLE_GRAPH_CAPTURE = 1


def library(stage: Stage, builder: Builder) -> ModuleType:
    """The package `tensorrt` or `tensorrt_rtx`, as far as engines need it to run."""

    class IRuntimeConfig:
        dynamic_shapes_kernel_specialization_strategy = DynamicShapesKernelSpecializationStrategy.LAZY
        cuda_graph_strategy = CudaGraphStrategy.DISABLED

    class IExecutionContext:
        def __init__(self, engine: ICudaEngine, config: IRuntimeConfig | None) -> None:
            self.engine, self.config = engine, config
            self.shape: tuple[int, ...] = ()
            self.addresses: dict[str, int] = {}
            self.thread = 0
            stage.calls.append(("context", config))

        def __del__(self) -> None:
            stage.calls.append(("dropped",))

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            assert name == NAMES["input"]
            self.shape, self.thread = shape, threading.get_ident()
            time.sleep(0.0005)  # so that another thread that does not wait for its turn comes between
            return not stage.failing("set_input_shape", self.engine.logger)

        def set_tensor_address(self, name: str, memory: int) -> bool:
            assert name in NAMES.values()
            self.addresses[name] = memory
            return True

        def execute_async_v3(self, stream_handle: int) -> bool:
            assert self.thread == threading.get_ident(), "another thread took this context meanwhile"
            taken, given, batch = self.addresses[NAMES["input"]], self.addresses[NAMES["output"]], self.shape[0]
            stage.calls.append(("execute", stream_handle, taken, given))
            if stage.failing("execute", self.engine.logger):
                return False

            def compute() -> None:
                numbers = (ctypes.c_float * prod(self.shape)).from_address(taken)
                y = expected(np.frombuffer(numbers, np.float32).reshape(self.shape))
                out = (ctypes.c_float * (batch * CLASSES)).from_address(given)
                np.frombuffer(out, np.float32)[:] = y.reshape(-1)

            if stage.recording is None:
                compute()
            else:
                stage.recording.append(compute)
            return True

    class EngineInspector:
        execution_context: IExecutionContext | None = None

        def get_engine_information(self, format: LayerInformationFormat) -> str:
            assert format is LayerInformationFormat.JSON
            context = self.execution_context
            return json.dumps({"Layers": [], "shape": None if context is None else context.shape})

    class ICudaEngine:
        num_io_tensors = 2
        device_memory_size_v2 = 4096

        def __init__(self, logger: ILogger) -> None:
            self.logger = logger

        def get_tensor_name(self, index: int) -> str:
            return list(reversed(NAMES.values()))[index]

        def get_tensor_mode(self, name: str) -> TensorIOMode:
            return TensorIOMode.INPUT if name == NAMES["input"] else TensorIOMode.OUTPUT

        def create_execution_context(self, runtime_config: IRuntimeConfig | None = None) -> IExecutionContext | None:
            return None if stage.failing("context", self.logger) else IExecutionContext(self, runtime_config)

        def create_engine_inspector(self) -> EngineInspector:
            return EngineInspector()

        if builder is Builder.RTX:

            def create_runtime_config(self) -> IRuntimeConfig:
                return IRuntimeConfig()

    class Runtime:
        engine_host_code_allowed = False

        def __init__(self, logger: ILogger) -> None:
            self.logger = stage.logger = logger
            if stage.failing("runtime", logger):
                raise TypeError("pybind11::init(): factory function returned nullptr")

        def deserialize_cuda_engine(self, serialized_engine: bytes | memoryview) -> ICudaEngine | None:
            stage.calls.append(("deserialise", bytes(serialized_engine), self.engine_host_code_allowed))
            return None if stage.failing("deserialise", self.logger) else ICudaEngine(self.logger)

    module = ModuleType(builder.module)
    classes = [ILogger, Runtime, ICudaEngine, IExecutionContext, EngineInspector, TensorIOMode, LayerInformationFormat]
    if builder is Builder.RTX:
        classes += [IRuntimeConfig, DynamicShapesKernelSpecializationStrategy, CudaGraphStrategy]
    for each in classes:
        setattr(module, each.__name__, each)
    return module
