"""Engines that take and give PyTorch's tensors."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from resdsl.diagnostics import SpecError, fail
from resdsl.source import Source
from resdsl.spec import Options, Parameter, origin
from resdsl.targets.tensorrt.gpu import Gpu, current_device
from resdsl.targets.tensorrt.opened import Opened, open_engine
from resdsl.targets.tensorrt.options import Builder
from resdsl.targets.tensorrt.sidecar import Sidecar, read_engine, require_origin

if TYPE_CHECKING:
    import torch

KEPT_GRAPHS = 4
"""Batch sizes. Each has a graph, and an execution context with its scratch memory."""


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What computes y of x for one batch size, always in the same places. replay: asks for that on the engine's stream."""

    context: Any
    x: torch.Tensor
    y: torch.Tensor
    replay: Callable[[], object]


class Engine:
    """An engine that is open: `engine(x)` computes.

    Calls of several threads take turns, for there is one place for scratch memory. Threads that are to compute at the same time
    need an engine each.
    """

    def __init__(self, opened: Opened, *, cuda_graph: bool = False) -> None:
        """On the GPU that PyTorch uses now; see `load` and `from_bytes`."""
        import torch

        self._torch, self._opened = torch, opened
        self.device: torch.device = current_device()
        self._dtype: torch.dtype = getattr(torch, opened.sidecar.inputs[0].dtype)
        # One stream for all, never the default one: TensorRT waits for the whole device there, and a context that is used on
        # several streams has to be ordered between them.
        self._stream = torch.cuda.Stream(self.device)
        self._turn = threading.Lock()
        self._context = None if cuda_graph else opened.context()
        self._recorded: OrderedDict[int, _Recorded] = OrderedDict()
        weakref.finalize(self, _finish, self._stream)  # before the contexts go, which calls may still compute in

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        cuda_graph: bool = False,
        spec: str | os.PathLike[str] | Source | None = None,
        network: str | None = None,
        parameters: Mapping[str, Parameter] | None = None,
        options: Options | None = None,
    ) -> Engine:
        """Opens an engine that resdsl wrote, on the GPU that PyTorch uses now.

        cuda_graph: a batch size is recorded at its first call, and replayed after that; x and y are copied on the GPU then. Worth it
        where launching kernels takes longer than they do: deep networks with small batches. spec, network, parameters: what the
        engine has to be built from, if that is to be checked; options: how the spec is read. Raises SpecError if there is no such engine, it is not the one that
        the file beside it describes, was built from something else, or does not run here: for another version of its library,
        another GPU or platform, or without library, PyTorch, GPU or a driver for them.
        """
        sidecar, data = read_engine(Path(path))
        if spec is not None:
            require_origin(os.fspath(path), sidecar, origin(spec, parameters, options or Options()), network)
        return cls(open_engine(data, sidecar, os.fspath(path)), cuda_graph=cuda_graph)

    @classmethod
    def from_bytes(
        cls, engine: bytes | memoryview, sidecar: Sidecar, *, name: str = "", cuda_graph: bool = False
    ) -> Engine:
        """Opens an engine that was just built. name: what to call it, by default its network. Raises SpecError as `load` does."""
        return cls(open_engine(engine, sidecar, name or sidecar.network), cuda_graph=cuda_graph)

    @property
    def name(self) -> str:
        """Of its file or network."""
        return self._opened.name

    @property
    def sidecar(self) -> Sidecar:
        return self._opened.sidecar

    @property
    def version(self) -> str:
        """Of the library that runs it."""
        return self._opened.version

    @property
    def gpu(self) -> Gpu:
        return self._opened.gpu

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to know about running it here, a line each."""
        return self._opened.notes

    @property
    def device_memory(self) -> int:
        """Bytes on the GPU for what lies between input and output, at the greatest batch; the weights are beside that."""
        return self._opened.device_memory

    def information(self) -> str:
        """The engine inspector's JSON about all layers, with the formats for the batch size that kernels were chosen for."""
        with self._turn, self._torch.cuda.stream(self._stream):
            return self._opened.information()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x: (batch, *input), of the sidecar's type and one of its batch sizes. Gives (batch, *output) where x lies.

        On the engine's GPU nothing is copied, unless x is not contiguous or there are CUDA graphs; x from the CPU is copied there, and y back.
        What was asked of the current stream before is done before, and what is asked of it next sees y. There are no gradients.
        Raises SpecError for an x that it does not take.
        """
        taken = self._taken(x)
        current = self._torch.cuda.current_stream(self.device)
        y = self._torch.empty((len(x), *self.sidecar.outputs[0].shape), dtype=self._dtype, device=self.device)
        with self._turn, self._torch.cuda.stream(self._stream):
            self._stream.wait_stream(current)
            try:
                self._compute(taken, y)
            finally:  # the current stream is where the memory of x and y is used again
                current.wait_stream(self._stream)
        return y if x.device == self.device else y.to(x.device)

    def _taken(self, x: torch.Tensor) -> torch.Tensor:
        """x as the kernels read it: on the device, contiguous. Raises SpecError if the engine does not take it."""
        least, _, most = self.sidecar.batch
        sample = self.sidecar.inputs[0].shape
        if not isinstance(x, self._torch.Tensor):
            raise self._refused(f"a {type(x).__name__}", "`torch.from_numpy(x)` makes a tensor of an array")
        given = f"{_named(x.dtype)} ({', '.join(map(str, x.shape))})"
        if x.dtype != self._dtype:
            raise self._refused(given, f"`x.to({self._dtype})`")
        if x.layout is not self._torch.strided:
            raise self._refused(f"a sparse {given}", "`x.to_dense()`")
        if x.ndim == 0 or tuple(x.shape[1:]) != sample:
            raise self._refused(given, "`x[None]` is a batch of one sample" if tuple(x.shape) == sample else "")
        if not least <= len(x) <= most:
            raise self._refused(given, "give it parts, or compile it with another `--batch LEAST:BEST:MOST`")
        if x.device != self.device and x.device.type != "cpu":
            raise self._refused(f"a tensor on {x.device}", f"the engine is on {self.device}: `x.to('{self.device}')`")
        return x.detach().to(self.device).contiguous()

    def _refused(self, given: str, help: str) -> SpecError:
        least, _, most = self.sidecar.batch
        tensor, batch = self.sidecar.inputs[0], str(least) if least == most else f"{least} to {most}"
        takes = f"{tensor.dtype} ({', '.join([batch, *map(str, tensor.shape)])})"
        return fail("wrong-input", f"{self.name} takes {takes}, and is given {given}", help=help)

    def _compute(self, x: torch.Tensor, y: torch.Tensor) -> None:
        if self._context is not None:
            self._launch(self._context, x, y)
            return
        recorded = self._recorded.pop(len(x), None) or self._record(x, y)
        self._recorded[len(x)] = recorded  # the last one is the one used last
        recorded.x.copy_(x)
        recorded.replay()
        y.copy_(recorded.y)

    def _launch(self, context: Any, x: torch.Tensor, y: torch.Tensor) -> None:
        self._opened.bind(context, tuple(x.shape), x.data_ptr(), y.data_ptr())
        self._opened.execute(context, self._stream.cuda_stream)

    def _record(self, x: torch.Tensor, y: torch.Tensor) -> _Recorded:
        """In a context of its own: using that for something else would change what the graph replays. Source: TensorRT, "CUDA Graphs"."""
        if len(self._recorded) == KEPT_GRAPHS:
            self._stream.synchronize()
            self._recorded.popitem(last=False)
        with self._torch.inference_mode(False):  # or calls outside of that could not write into x
            context, x, y = self._opened.context(replays=True), x.clone(), self._torch.empty_like(y)
        self._launch(context, x, y)  # the first one with a shape does what cannot be recorded
        handle = self._stream.cuda_stream
        match self.sidecar.library:
            case Builder.RTX:  # it records by itself: not all of what it launches can be recorded from outside
                return _Recorded(context, x, y, lambda: self._opened.execute(context, handle))
            case Builder.TENSORRT:
                graph = self._torch.cuda.CUDAGraph()
                try:
                    with self._torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                        self._opened.execute(context, handle)
                except (SpecError, RuntimeError) as error:
                    reason = (
                        error.diagnostics[0].message if isinstance(error, SpecError) else str(error).splitlines()[0]
                    )
                    message = f"{self.name} cannot be recorded as a CUDA graph: {reason}"
                    raise fail("engine-failed", message, help="open it without CUDA graphs") from None
                return _Recorded(context, x, y, graph.replay)
        assert_never(self.sidecar.library)


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _finish(stream: torch.cuda.Stream) -> None:
    with suppress(RuntimeError):  # of CUDA, which a call before this one has told
        stream.synchronize()
