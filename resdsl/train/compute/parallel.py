"""Several processes, started by torchrun or srun: who this one is, and what they do together.

Data that is computed with goes over the device's own backend; what is agreed on is numbers of the CPU, over gloo, for which
no process waits for its GPU.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import timedelta
from inspect import signature
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from resdsl.diagnostics import fail
from resdsl.train.data.batches import Share

RANK, WORLD, ADDRESS, PORT, LOCAL = "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK"
PATIENCE = timedelta(minutes=30)
"""How long a process waits for one that is late: one of them may be reading, or compiling. One that ends is noticed at once
by gloo; torchrun ends the others itself.
"""
LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Read error", "Write error")
"""In what gloo says where a process has ended."""
AGREED = "agreed by all processes"
"""An attribute of errors: each process has one, of a block inside this one."""

T = TypeVar("T")


@contextmanager
def processes(device: torch.device) -> Generator[Share]:
    """Joins the processes that were started together, if they were, and leaves them in the end. Inside another one, or where
    the program has joined them already, these are taken. Raises SpecError if they do not find each other, and if one of them
    ends before this one.
    """
    if dist.is_initialized():
        yield Share(dist.get_rank(), dist.get_world_size())
        return
    share = started()
    if share.world == 1:
        yield share
        return
    _join(device, share)
    try:
        yield share
    except (RuntimeError, SystemExit, KeyboardInterrupt) as error:
        if device.type == "cuda":  # NCCL's leaving waits for processes that may wait for this one
            raise
        dist.destroy_process_group()
        if isinstance(error, RuntimeError) and any(words in str(error) for words in LOST):
            message = "another process of this run has ended"
            raise fail("process-ended", message, help="what it said stands above; `--resume` goes on") from None
        raise
    except Exception:
        if device.type != "cuda":
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def started() -> Share:
    """Which process this is, as torchrun or a script for srun tells it in the environment. Raises SpecError if half of that is
    missing: the processes would each do the whole.
    """
    if RANK not in os.environ or WORLD not in os.environ:
        return Share()
    rank, world = _number(RANK), _number(WORLD)
    absent = [name for name in (ADDRESS, PORT) if name not in os.environ]
    if world > 1 and absent:
        message = f"{WORLD} is {world}, and {' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not set"
        hint = f"start it with torchrun, or unset {RANK} and {WORLD} for a single process"
        raise fail("wrong-processes", message, help=hint)
    if not 0 <= rank < world:
        raise fail("wrong-processes", f"{RANK} is {rank}, and {WORLD} is {world}", help="ranks are counted from 0")
    return Share(rank, world)


def own(device: torch.device) -> torch.device:
    """This process's own GPU. Raises SpecError if there are too few, and where one is asked for by its number: all processes were
    told the same one.
    """
    share = started()
    if device.type != "cuda" or share.world == 1:
        return device
    if device.index is not None:
        message = f"{device} is one GPU for {share.world} processes"
        raise fail("wrong-processes", message, help="`--device cuda`: each process takes its own")
    count = torch.cuda.device_count()
    # A script for srun may leave LOCAL_RANK out; where srun shows each process its own GPU alone, that is number 0.
    index = _number(LOCAL) if LOCAL in os.environ else share.rank % max(1, count)
    if index >= count:
        have = f"{count} GPU{'s' * (count != 1)}"
        message = f"there are {have} for at least {index + 1} processes on this machine"
        raise fail("wrong-processes", message, help=f"`--nproc-per-node {max(1, count)}`, or `--device cpu`")
    place = torch.device("cuda", index)
    torch.cuda.set_device(place)
    return place


def distributed(module: nn.Module, share: Share) -> nn.Module:
    """The module, whose gradients are averaged over all processes in the backward pass."""
    if share.world == 1:
        return module
    with together():  # DistributedDataParallel waits for processes, and one of them may have failed on its way here
        pass
    # Of one input channel, a weight's gradient has another of the layouts that are the same in memory.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
    known = signature(DistributedDataParallel).parameters
    # Statistics are not sent around at each step. The older name warns where there is the newer one.
    unsent = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    # Without static_graph: with it, gradients of parts under no_sync end in an internal assertion (pytorch/pytorch#143580),
    # and it gains nothing here, where every parameter has a gradient and no checkpoint is re-entrant.
    return DistributedDataParallel(module, gradient_as_bucket_view=True, **{unsent: False})


@contextmanager
def together() -> Generator[None]:
    """What fails inside in one process ends all: the first that failed raises its error, so that it is said once, and the others
    SystemExit with status 0: with another one, torchrun would end the first before it has said it.

    All processes come here. What waits for others inside comes behind a block of this kind, an empty one if need be: there a
    process that goes on meets one that has failed and is at the end of the outer block.
    """
    error: BaseException | None = None
    try:
        yield
    except BaseException as caught:
        error = caught
    if dist.is_initialized() and not hasattr(error, AGREED):
        rank, world = dist.get_rank(), dist.get_world_size()
        first = torch.tensor(world if error is None else rank)
        dist.all_reduce(first, dist.ReduceOp.MIN)
        if int(first) not in (rank, world):
            error = SystemExit(0)
        if error is not None:
            setattr(error, AGREED, True)
    if error is not None:
        raise error


def from_first(value: T) -> T:
    """The first process's value, in all. Plain numbers, and tuples of them."""
    if not dist.is_initialized():
        return value
    given = [value]
    dist.broadcast_object_list(given, 0, device=torch.device("cpu"))
    return given[0]


def alike(tensors: Iterable[Tensor]) -> None:
    """All processes' tensors become those of the first one: one transfer for each type of number."""
    if not dist.is_initialized():
        return
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault(tensor.dtype, []).append(tensor.detach())
    for same in kinds.values():
        flat = torch.cat([tensor.reshape(-1) for tensor in same])
        dist.broadcast(flat, 0)
        for tensor, part in zip(same, flat.split([tensor.numel() for tensor in same]), strict=True):
            tensor.copy_(part.view(tensor.shape))


def summed(tensor: Tensor) -> Tensor:
    """Over all processes, in each: another tensor."""
    total = tensor.detach().clone()
    if dist.is_initialized():
        dist.all_reduce(total)
    return total


def _join(device: torch.device, share: Share) -> None:
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, rank=share.rank, world_size=share.world, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:  # dist.DistError is a RuntimeError
        where = f"{os.environ[ADDRESS]}:{os.environ[PORT]}"
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise fail("wrong-processes", f"process {share.rank} does not find the others at {where}: {said}") from None


def _number(name: str) -> int:
    try:
        return int(os.environ[name])
    except ValueError:
        raise fail("wrong-processes", f"{name} is {os.environ[name]!r}, and not a number") from None
