"""Several processes, started by torchrun: who this one is, and what they do together."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from resdsl.train.batches import Share


@contextmanager
def processes(device: torch.device) -> Generator[Share]:
    """Joins the processes that torchrun started, if it did, and leaves them in the end."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield Share()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Share(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def distributed(module: nn.Module, share: Share) -> nn.Module:
    """The module, whose gradients are averaged over all processes in the backward pass."""
    if share.world == 1:
        return module
    return DistributedDataParallel(module, static_graph=True, broadcast_buffers=False, gradient_as_bucket_view=True)


def alike(module: nn.Module) -> None:
    """Statistics of all processes become those of the first one, which are those that are saved."""
    if dist.is_initialized():
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def summed(tensor: Tensor) -> Tensor:
    """Over all processes, in each."""
    if dist.is_initialized():
        dist.all_reduce(tensor)
    return tensor
