"""A network's module as it is trained: on its device, its units compiled or recomputed as asked."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from resdsl.network.network import Network, distinct_units, inner_chains, unit_chains
from resdsl.network.operators import Chain, Dropout, DropPath, Units
from resdsl.targets.torch_module import torch_module
from resdsl.train.compute.compiling import compile_parts
from resdsl.train.compute.execution import Execution, Precision
from resdsl.train.compute.recompute import recompute
from resdsl.weights.convert import COUNTER


def training_module(
    network: Network, weights: Mapping[str, NDArray[np.float32]], execution: Execution, device: torch.device
) -> nn.Module:
    """The module on the device, in training mode, with these weights; its parts compiled when they are first called."""
    module = torch_module(network, weights)
    if execution.precision is Precision.FP64:
        module.double()
    module.to(device)
    if execution.channels_last:
        module.to(memory_format=torch.channels_last)
    if execution.sync_norm:
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    else:
        _drop_counters(module)
    units = [unit for _, unit in units_of(module)]
    compile_parts(module, units, execution)
    if execution.recompute:
        recompute(module, units, draws=is_random(network))
    return module


def units_of(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Name and module of every unit that holds no unit, in the order of the network."""
    numbered = [(name, part) for name, part in module.named_modules() if name.rpartition(".")[2].isdecimal()]
    following = [name for name, _ in numbered[1:]] + [""] * bool(numbered)  # what a unit holds stands right behind it
    return [unit for unit, other in zip(numbered, following, strict=True) if not _is_inside(other, unit[0])]


def is_random(network: Network) -> bool:
    """Whether its output in training depends on random numbers."""
    chains = [chain for _, chain in network.sections()]
    chains += [chain for unit in distinct_units(network) for chain in unit_chains(unit)]
    return any(map(_draws, chains))


def state_of(module: nn.Module) -> dict[str, Tensor]:
    """Its parameters and statistics by the names of the spec, the module's own tensors."""
    return {name: tensor for name, tensor in module.state_dict().items() if not name.endswith(COUNTER)}


@contextmanager
def evaluating(module: nn.Module) -> Generator[None]:
    """In evaluation mode, without gradients, and nothing compiled: a last forward is not worth a compilation."""
    module.eval()
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        module.train()


def autocast(execution: Execution, device: torch.device) -> AbstractContextManager[object]:
    if execution.precision is Precision.BF16:
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def _drop_counters(module: nn.Module) -> None:
    """Batches are counted for a momentum of None alone, which the language lacks: one kernel less for every norm."""
    for norm in _norms(module):
        norm.num_batches_tracked = None


def _norms(module: nn.Module) -> Iterator[_BatchNorm]:
    return (part for part in module.modules() if isinstance(part, _BatchNorm))


def _is_inside(name: str, outer: str) -> bool:
    return name.startswith(f"{outer}.")


def _draws(chain: Chain) -> bool:
    return any(
        isinstance(element, Dropout | DropPath)
        or (not isinstance(element, Units) and any(map(_draws, inner_chains(element))))
        for element in chain
    )
