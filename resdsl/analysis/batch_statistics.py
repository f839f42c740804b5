"""BatchNorm with fixed statistics, so that samples do not meet in it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def fix_statistics(module: nn.Module) -> None:
    """Training mode for all but BatchNorm, which normalises with the statistics it holds."""
    module.train()
    for norm in _norms(module):
        norm.eval()


@contextmanager
def recorded_statistics(module: nn.Module) -> Generator[None]:
    """Inside, each BatchNorm first takes mean and (biased) variance of what it reads as its statistics."""
    handles = [norm.register_forward_pre_hook(_record) for norm in _norms(module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _norms(module: nn.Module) -> list[_BatchNorm]:
    return [part for part in module.modules() if isinstance(part, _BatchNorm)]


def _record(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    assert isinstance(norm, _BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    (x,) = inputs
    axes = [axis for axis in range(x.dim()) if axis != 1]
    variance, mean = torch.var_mean(x, dim=axes, correction=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
