"""A network as a live PyTorch module: its own generated source, executed.

What `--target torch` writes is what `load()` runs, so a traceback, a debugger or `inspect.getsource` shows the code
that a reader of the file would see. Modules pickle with their source, as torch.fx's do.
"""

from __future__ import annotations

import copyreg
import linecache
import sys
from collections.abc import Mapping
from functools import lru_cache, partial
from hashlib import sha256
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from resdsl.network.initial import initial_weights
from resdsl.network.network import Network
from resdsl.targets.torch_source import torch_source
from resdsl.weights.convert import COUNTER


def torch_module(network: Network, weights: Mapping[str, NDArray[np.float32]] | None = None) -> nn.Module:
    """The network's module in float32 on the CPU, in training mode, with `weights` (by default those of seed 0)."""
    weights = initial_weights(network) if weights is None else weights
    with torch.random.fork_rng(devices=[]):  # the source draws weights of its own, which must not move the user's seed
        module = _network_class(torch_source(network))()
    arrays = {name: weights[name] for name in module.state_dict() if name in weights or not name.endswith(COUNTER)}
    _fill(module, {name: torch.from_numpy(np.asarray(array, order="C")) for name, array in arrays.items()})
    return module


def run_torch(
    network: Network,
    weights: Mapping[str, NDArray[np.float32]],
    x: NDArray[np.float32],
    *,
    double: bool,
    standalone: bool = False,
    trace: dict[str, NDArray[np.floating]] | None = None,
) -> NDArray[np.floating]:
    """The module's output in evaluation mode, in float64 or float32.

    standalone: of the written source, executed on its own as a file would be, instead of the loaded module. With `trace`,
    the output of each unit is put there under its name, `stage1.17`.
    """
    module = torch_module(network, weights)
    if standalone:
        namespace: dict[str, Any] = {"__name__": "standalone"}
        exec(compile(torch_source(network), "<standalone>", "exec"), namespace)
        state = module.state_dict()
        module = namespace[type(module).__name__]()
        _fill(module, state)
    module.eval()
    if trace is not None:
        for name, part in module.named_modules():
            if name.rpartition(".")[2].isdecimal():
                part.register_forward_hook(partial(_record, trace, name))
    batch = torch.from_numpy(x)
    with torch.no_grad():
        return (module.double()(batch.double()) if double else module(batch)).numpy()


def _fill(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copies tensors to those of the module with the same names. `load_state_dict` would walk a list of n units n times."""
    own = module.state_dict()  # shares memory with the module
    for name, tensor in tensors.items():
        assert own[name].shape == tensor.shape, f"{name} is {tuple(own[name].shape)}, not {tuple(tensor.shape)}"
        own[name].copy_(tensor)


def _record(
    trace: dict[str, NDArray[np.floating]], name: str, module: nn.Module, inputs: object, output: torch.Tensor
) -> None:
    trace[name] = output.numpy()


def _network_class(source: str) -> type[nn.Module]:
    return _load(source).__dict__["NETWORK"]


@lru_cache(maxsize=64)
def _load(source: str) -> ModuleType:
    """The executed source as a module; the same text gives the same classes within a process."""
    name = f"resdsl.generated_{sha256(source.encode()).hexdigest()[:16]}"
    module = ModuleType(name)
    filename = f"<{name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module.__file__ = filename  # so that inspect finds the source
    sys.modules[name] = module
    exec(compile(source, filename, "exec"), module.__dict__)  # our own text, made from a checked network
    own = [value for value in module.__dict__.values() if isinstance(value, type) and value.__module__ == name]
    for kind in own:
        copyreg.pickle(kind, _reduce)
    module.__dict__["NETWORK"] = own[-1]
    module.__dict__["SOURCE"] = source
    return module


def _reduce(module: nn.Module) -> tuple[Any, ...]:
    kind = type(module)
    return _rebuild, (sys.modules[kind.__module__].__dict__["SOURCE"], kind.__qualname__), module.__dict__


def _rebuild(source: str, name: str) -> nn.Module:
    kind: type[nn.Module] = _load(source).__dict__[name]
    return kind.__new__(kind)
