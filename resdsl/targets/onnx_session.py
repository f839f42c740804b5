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

from resdsl.diagnostics import SpecError, fail
from resdsl.targets.onnx_port import Array, Port, port_of
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

OF_A_PROVIDER = re.compile("CUDA|CUDNN|TensorRT", re.IGNORECASE)
"""In an error that is none of the model's."""


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

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the model says of itself."""
        return self._session.get_modelmeta().custom_metadata_map

    def fitted(self, x: Array, name: str) -> Array:
        """The array as this model takes it, see Port.fitted. name: where it comes from, for errors."""
        return self.input.fitted(x, name, self.name)

    def random(self, batch: int, seed: int = 0) -> Array:
        """Standard normal input, (batch, *sample), the same for all models of that shape. See Port.random."""
        return self.input.random(batch, seed, self.name)

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
    if not provider.is_gpu:
        options.log_severity_level = 4  # errors are raised, and told once
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
    taken = port_of(name, inputs[0])
    if not taken.shape:
        raise fail("unsupported-model", f"{name} takes a single number as {taken.name}, without a batch")
    outputs = tuple(port_of(name, output) for output in session.get_outputs())
    return Session(name, provider, tuple(session.get_providers()), nodes, taken, outputs, session)


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


def _failed(name: str, what: str, error: Exception) -> SpecError:
    message = plain(str(error))
    if "allocate memory" in message or "bad_alloc" in message:
        return fail("out-of-memory", f"{name} {what}: {message}", help="a smaller batch")
    if "external data" in message.lower() or "external initializer" in message.lower():
        help = "its weights are in a second file, as in NAME.onnx.data: put that, whole, where the model is"
        return fail("unreadable-model", f"{name} {what} without its weights", notes=(message,), help=help)
    help = "another provider may have a kernel for it" if "find an implementation" in message.lower() else ""
    return fail("unreadable-model", f"{name} {what}: {message}", help=help)
