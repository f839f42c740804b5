"""An engine as its library has it open: the side of running that is TensorRT's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from resdsl.diagnostics import SpecError, fail
from resdsl.targets.tensorrt.gpu import Gpu, require_gpu
from resdsl.targets.tensorrt.library import Log, library
from resdsl.targets.tensorrt.options import Builder
from resdsl.targets.tensorrt.sidecar import Sidecar, require_runs


@dataclass(frozen=True, slots=True)
class Opened:
    """name: for errors. version: of the library. notes: what to know about running the engine here. input, output: the engine's
    own names, which torch-tensorrt does not take from the sidecar.
    """

    name: str
    sidecar: Sidecar
    version: str
    gpu: Gpu
    notes: tuple[str, ...]
    input: str
    output: str
    _trt: Any
    _log: Log
    _runtime: Any  # lives as long as what it opened
    _engine: Any

    @property
    def device_memory(self) -> int:
        """Bytes on the GPU that a context takes for what lies between input and output, at the greatest batch."""
        return int(self._engine.device_memory_size_v2)

    def context(self, *, replays: bool = False) -> Any:
        """A new execution context. replays: TensorRT for RTX records what it launches and replays it."""
        self._log.errors.clear()
        match self.sidecar.library:
            case Builder.TENSORRT:
                context = self._engine.create_execution_context()
            case Builder.RTX:
                config = self._engine.create_runtime_config()
                # By default other kernels take over once they are compiled, and equal inputs give other roundings from then on.
                strategies = self._trt.DynamicShapesKernelSpecializationStrategy
                config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
                if replays:
                    config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
                context = self._engine.create_execution_context(runtime_config=config)
        if context is None:
            raise self.failed()
        return context

    def bind(self, context: Any, shape: tuple[int, ...], x: int, y: int) -> None:
        """x, y: where input and output lie on the GPU. shape: of the input, with the batch."""
        self._log.errors.clear()
        bound = context.set_input_shape(self.input, shape)
        if not (bound and context.set_tensor_address(self.input, x) and context.set_tensor_address(self.output, y)):
            raise self.failed()

    def execute(self, context: Any, stream: int) -> None:
        """Asks for the computation of what is bound. stream: its handle."""
        self._log.errors.clear()
        if not context.execute_async_v3(stream):
            raise self.failed()

    def information(self) -> str:
        """The engine inspector's JSON about all layers, with the formats for the batch size that kernels were chosen for."""
        context = self.context()
        if not context.set_input_shape(self.input, (self.sidecar.batch[1], *self.sidecar.inputs[0].shape)):
            raise self.failed()
        inspector = self._engine.create_engine_inspector()
        inspector.execution_context = context
        return str(inspector.get_engine_information(self._trt.LayerInformationFormat.JSON))

    def failed(self) -> SpecError:
        """Why the library just did not do what it was asked for. What it said before that is no reason, and cleared by then."""
        said = self._log.said
        if _lacks_memory(said):
            help = "fewer engines open at a time, or one that is compiled with a smaller greatest `--batch`"
            return fail("out-of-memory", f"{self.name} finds no memory on the GPU: {said}", help=help)
        return fail("engine-failed", f"{self.name} cannot be computed: {said}")


def open_engine(engine: bytes | memoryview, sidecar: Sidecar, name: str) -> Opened:
    """Opens the bytes of an engine on the GPU that PyTorch uses now.

    Raises SpecError if it does not run here: for another version of its library, another GPU or platform, or without library,
    PyTorch, GPU or a driver for them.
    """
    if len(sidecar.inputs) != 1 or len(sidecar.outputs) != 1:
        given = f"{len(sidecar.inputs)} inputs and {len(sidecar.outputs)} outputs"
        raise fail("unsupported-model", f"{name} has {given}; engines of one input and one output are run")
    trt = library(sidecar.library)
    gpu = require_gpu(f"running {name}")
    version = str(trt.__version__)
    notes = require_runs(name, sidecar, version, gpu)
    log = Log(trt)
    runtime = found = None
    try:
        runtime = trt.Runtime(log.logger)
        if sidecar.version_compatible:
            runtime.engine_host_code_allowed = True  # such an engine brings the runtime of its version along
        found = runtime.deserialize_cuda_engine(engine)
    except Exception as error:  # pybind11's TypeError where the library gives nothing
        if not log.errors:
            log.errors.append(str(error).splitlines()[0])
    if found is None:
        raise _not_opened(name, f"{sidecar.library.title} {version}", log.said)
    names = [found.get_tensor_name(index) for index in range(found.num_io_tensors)]
    (taken,) = (each for each in names if found.get_tensor_mode(each) == trt.TensorIOMode.INPUT)
    (given,) = (each for each in names if found.get_tensor_mode(each) == trt.TensorIOMode.OUTPUT)
    return Opened(name, sidecar, version, gpu, notes, taken, given, trt, log, runtime, found)


def _not_opened(name: str, title: str, said: str) -> SpecError:
    if "driver" in said.lower():
        help = f"update the driver (https://www.nvidia.com/drivers): {title} needs a newer one than PyTorch does"
    elif _lacks_memory(said):
        help = "`nvidia-smi` shows what fills the GPU"
    else:
        help = "compile it again on this machine"
    return fail("wrong-engine", f"{title} does not open {name}: {said}", help=help)


def _lacks_memory(said: str) -> bool:
    """An illegal access to memory, for one, is another matter."""
    return "out of memory" in said.lower() or "allocat" in said.lower()
