"""An ONNX model, open in ONNX Runtime: what it takes, what it gives, and on what it really runs.

Models of one input are run: what resdsl writes, and most that classify images.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import SpecError, fail
from resdsl.targets.onnx_provider import (
    Provider,
    check_installed,
    did_not_start,
    not_in_build,
    not_installed,
    overheard,
    plain,
)

if TYPE_CHECKING:
    from types import ModuleType

    import onnxruntime

Array = NDArray[np.generic]

TYPES = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
}

OF_A_PROVIDER = re.compile("CUDA|CUDNN|TensorRT", re.IGNORECASE)
"""In an error that is none of the model's."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a model. shape: extents, those that are left open by name."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int | str, ...]

    @property
    def sample(self) -> tuple[int | str, ...]:
        """The shape of one sample: all extents but the first, the batch."""
        return self.shape[1:]

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape, with its batch, is one of this port's."""
        pairs = zip(shape, self.shape, strict=False)
        return len(shape) == len(self.shape) and all(isinstance(own, str) or own == n for n, own in pairs)

    def __str__(self) -> str:
        return f"{self.name} {shape_text(self.shape)}"


@dataclass(frozen=True, slots=True)
class Session:
    """A model that is open. name: of its file or network. providers: ONNX Runtime's, those that are in use, the first one
    first. nodes: how many nodes of the graph as it runs each provider has; None if this ONNX Runtime does not tell.
    """

    name: str
    provider: Provider
    providers: tuple[str, ...]
    nodes: Mapping[str, int] | None
    input: Port
    outputs: tuple[Port, ...]
    _session: onnxruntime.InferenceSession

    def fitted(self, x: Array, name: str) -> Array:
        """The array as this model takes it: one sample becomes a batch of one, floating-point numbers get the model's type.

        name: where it comes from, for errors. Raises SpecError if it does not fit.
        """
        port = self.input
        batch = x[None] if x.ndim == len(port.shape) - 1 else x
        if not port.takes(batch.shape):
            message = (
                f"{name} holds {shape_text(x.shape)}, and {self.name} takes {shape_text(port.shape)} as {port.name}"
            )
            raise fail("wrong-input", message)
        if batch.size == 0:
            raise fail("wrong-input", f"{name} holds no samples: {shape_text(x.shape)}")
        if not _fits(batch.dtype, port.dtype):
            message = f"{name} holds {x.dtype}, and {self.name} takes {port.dtype} as {port.name}"
            help = (
                "convert it, with the normalisation that the model was trained with" if port.dtype.kind == "f" else ""
            )
            raise fail("wrong-input", message, help=help)
        with np.errstate(over="ignore"):
            cast = np.ascontiguousarray(batch, dtype=port.dtype)
        if np.isfinite(batch).all() and not np.isfinite(cast).all():
            raise fail("wrong-input", f"{name} holds numbers too large for {port.dtype}, which {self.name} takes")
        return cast

    def random(self, batch: int, seed: int = 0) -> Array:
        """Standard normal input, (batch, *sample), the same for all models of that shape. Raises SpecError if the model
        leaves more than the batch open or takes whole numbers.
        """
        port = self.input
        open_extents = [extent for extent in port.sample if isinstance(extent, str)]
        if open_extents:
            message = (
                f"{self.name} leaves {', '.join(open_extents)} of its input {port} open, and random input needs a size"
            )
            raise fail("wrong-input", message, help="a file of the size that you mean")
        if port.dtype.kind != "f":
            raise fail("wrong-input", f"{self.name} takes {port.dtype} as {port.name}; random input is floating-point")
        generator = np.random.Generator(np.random.PCG64(seed))
        return generator.standard_normal((batch, *port.sample), np.float32).astype(port.dtype)

    def run(self, x: Array) -> dict[str, Array]:
        """Output name -> array. x: as `fitted` gives it. Raises SpecError if ONNX Runtime cannot compute it."""
        try:
            if not self.provider.is_gpu:
                found = self._session.run(None, {self.input.name: x})
            else:
                binding = self._bound(x)
                self._session.run_with_iobinding(binding)
                found = binding.copy_outputs_to_cpu()
        except Exception as error:
            raise _failed(self.name, "cannot be computed", error) from None
        return dict(zip((port.name for port in self.outputs), found, strict=True))

    def call(self, x: Array) -> Callable[[], object]:
        """What computes the outputs of x and drops them, to be timed. On a GPU, x and the outputs stay there.

        It raises SpecError if ONNX Runtime cannot compute them. x: as `fitted` gives it.
        """
        session, feed = self._session, {self.input.name: x}
        binding = self._bound(x) if self.provider.is_gpu else None

        def computed() -> None:
            try:
                if binding is None:
                    session.run(None, feed)
                else:
                    session.run_with_iobinding(binding)
                    binding.synchronize_outputs()
            except Exception as error:
                raise _failed(self.name, "cannot be computed", error) from None

        return computed

    def _bound(self, x: Array) -> onnxruntime.IOBinding:
        import onnxruntime

        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self.input.name, onnxruntime.OrtValue.ortvalue_from_numpy(x, "cuda", 0))
        for port in self.outputs:
            binding.bind_output(port.name, "cuda")
        return binding


def open_model(
    model: str | os.PathLike[str] | bytes,
    provider: Provider = Provider.CPU,
    *,
    name: str = "",
    threads: int | None = None,
) -> Session:
    """Opens a model: a file, or the bytes of one.

    name: what to call it, by default its file. threads: of the CPU; as many as ONNX Runtime finds right by default. Raises
    SpecError if there is no such model, ONNX Runtime is missing, or it would compute on something else than asked for.
    """
    name = name or ("the model" if isinstance(model, bytes) else os.fspath(model))
    if not isinstance(model, bytes):
        path = Path(model)
        if path.is_dir():
            raise fail("unreadable", f"{name} is a folder, and no ONNX model", help="name the file in it")
        if not path.is_file():
            raise fail("unreadable", f"there is no file {name}")
    runtime = _runtime(provider)
    available = runtime.get_available_providers()
    if provider.runtime_name not in available:
        raise not_in_build(provider, available)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    # Threads would wait for more work for some 40 ms, and take the cores from whatever runs next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = _create(runtime, model, options, provider)
    except SpecError:
        raise
    except Exception as error:  # ONNX Runtime's have no class in common
        raise _failed(name, "cannot be opened as an ONNX model", error) from None
    nodes = _nodes(session)
    if provider.is_gpu and nodes is not None and not nodes.get(provider.runtime_name):
        message = f"{provider.value} has a kernel for no node of {name}; {', '.join(nodes)} would compute it"
        raise fail("missing-provider", message)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        listed = f" ({', '.join(port.name for port in inputs)})" if inputs else ""
        raise fail("unsupported-model", f"{name} has {len(inputs)} inputs{listed}; models of one input are run")
    taken = _port(name, inputs[0])
    if not taken.shape:
        raise fail("unsupported-model", f"{name} takes a single number as {taken.name}, without a batch")
    outputs = tuple(_port(name, output) for output in session.get_outputs())
    return Session(name, provider, tuple(session.get_providers()), nodes, taken, outputs, session)


def _fits(found: np.dtype[np.generic], taken: np.dtype[np.generic]) -> bool:
    """Whole numbers do not become floating-point ones: images of 0 to 255 would pass for normalised ones."""
    if taken.kind == "f":
        return found.kind == "f" or found.name == "bfloat16"
    return np.can_cast(found, taken, "safe")


def runtime_version() -> str:
    """ONNX Runtime's, which is installed."""
    import onnxruntime

    return onnxruntime.__version__


def _runtime(provider: Provider) -> ModuleType:
    check_installed(provider)
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        raise not_installed(provider) from None
    return onnxruntime


def _create(
    runtime: ModuleType,
    model: str | os.PathLike[str] | bytes,
    options: onnxruntime.SessionOptions,
    provider: Provider,
) -> onnxruntime.InferenceSession:
    source = model if isinstance(model, bytes) else os.fspath(model)
    if not provider.is_gpu:
        return runtime.InferenceSession(source, options, providers=list(provider.chain))
    session, problem = None, ""
    with redirect_stdout(StringIO()), overheard() as said:
        runtime.preload_dlls()  # of the packages nvidia-…, which lie where no loader looks
        try:
            session = runtime.InferenceSession(source, options, providers=list(provider.chain), enable_fallback=0)
        except Exception as error:
            problem = str(error)
            if not isinstance(error, RuntimeError) and not OF_A_PROVIDER.search(problem):
                raise
    if session is None or session.get_providers()[0] != provider.runtime_name:
        raise did_not_start(provider, f"{said[0]}\n{problem}")
    if said[0] and sys.stderr is not None:
        sys.stderr.write(said[0])
    return session


def _nodes(session: onnxruntime.InferenceSession) -> dict[str, int] | None:
    try:
        parts = session.get_provider_graph_assignment_info()
    except AttributeError:  # ONNX Runtime before 1.24
        return None
    nodes: Counter[str] = Counter()
    for part in parts:
        nodes[part.ep_name] += len(part.get_nodes())
    return dict(nodes)


def _port(model: str, argument: onnxruntime.NodeArg) -> Port:
    if argument.type not in TYPES:
        message = f"{model} has {argument.type} as {argument.name}; numbers of these types are read and written: "
        raise fail("unsupported-model", message + ", ".join(str(dtype) for dtype in TYPES.values()))
    shape = tuple("?" if extent is None else extent for extent in argument.shape or ())
    return Port(argument.name, TYPES[argument.type], shape)


def _failed(name: str, what: str, error: Exception) -> SpecError:
    message = plain(str(error))
    if "allocate memory" in message or "bad_alloc" in message:
        return fail("out-of-memory", f"{name} {what}: {message}", help="a smaller batch")
    return fail("unreadable-model", f"{name} {what}: {message}")


def shape_text(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
