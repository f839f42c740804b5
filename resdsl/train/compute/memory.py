"""Too little memory for a step, told with what would fit."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from resdsl.diagnostics import SpecError, fail
from resdsl.train.compute.model import autocast
from resdsl.train.compute.step import Step
from resdsl.train.data.batches import Batch

WORDS = (
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "bad_alloc",
    "could not create a",
)
"""In what PyTorch and oneDNN say on CPUs, in lower case."""


def is_lack_of_memory(error: BaseException) -> bool:
    """Of the error, or of one that it came from: a capture that has failed ends with an error of its own."""
    return any(map(_is_lack, _chain(error)))


@contextmanager
def told(step: Step, example: Callable[[], Batch]) -> Generator[None]:
    """A lack of memory inside is SpecError, and says which part of this process's batch would fit. example: gives such a batch."""
    lacks = False
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        _let_go(error)
        lacks = True
    if lacks:
        raise _error(step, example)


def without_room(device: torch.device, what: str) -> SpecError:
    return fail("out-of-memory", f"{what} does not fit in the memory of {_place(device)}")


def fitting(step: Step, batch: Batch) -> int:
    """How many samples of the batch fit at once, by halving, less than what was tried before; 0 for none. Forward and backward, nothing
    compiled; the module's state is as it was afterwards.
    """
    count = len(batch.labels) // step.execution.accumulate // 2
    kept = [tensor.clone() for tensor in step.module.buffers()]
    try:
        while count and not _fits(step, batch.inputs[:count], batch.labels[:count]):
            count //= 2
    finally:
        with torch.no_grad():
            for tensor, value in zip(step.module.buffers(), kept, strict=True):
                tensor.copy_(value)
    return count


def _error(step: Step, example: Callable[[], Batch]) -> SpecError:
    _free(step)
    is_alone = not isinstance(step.forward, DistributedDataParallel)
    try:
        batch = example()
        # The other processes may wait for this one's gradients, and every backward pass would send some.
        count = fitting(step, batch) if is_alone else None
    except (MemoryError, RuntimeError):  # after a failed capture, perhaps another one; the run ends for lack of memory
        return without_room(step.device, "the network with its momentum and one batch")
    samples = len(batch.labels)
    tried = samples // step.execution.accumulate
    message = f"a step on {tried:,} samples at once does not fit in the memory of {_place(step.device)}"
    others = [] if step.execution.recompute else ["`--recompute`, which keeps less of each unit"]
    if count is None:
        notes = ["what would fit is tried in runs of one process alone"]
        ways = ["a smaller batch", "a greater `--accumulate`", "more processes", *others]
        return fail("out-of-memory", message, notes=notes, help=", or ".join(ways))
    if not count:
        ways = [*others, "a smaller network or smaller images"]
        return fail("out-of-memory", message, notes=["not even one sample fits"], help=" or ".join(ways))
    parts = next(parts for parts in range(-(-samples // count), samples + 1) if samples % parts == 0)
    ways = [
        f"`--accumulate {parts}`: the same batch in {parts} parts of {samples // parts:,}, whose norms see each part alone"
    ]
    notes = [f"{count:,} fit, found by halving"]
    return fail("out-of-memory", message, notes=notes, help="; or ".join([*ways, *others]))


def _fits(step: Step, inputs: Tensor, labels: Tensor) -> bool:
    try:
        with torch.compiler.set_stance("force_eager"):
            with autocast(step.execution, step.device):
                logits = step.module(inputs)
            F.cross_entropy(logits.float(), labels).backward()
    except ValueError:  # norms need two values of each channel
        return False
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        _let_go(error)
        return False
    finally:
        logits = None
        _free(step)
    return True


def _is_lack(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in WORDS)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came from."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)


def _let_go(error: BaseException) -> None:
    """Of the activations that the frames of tracebacks hold on to."""
    for each in _chain(error):
        traceback.clear_frames(each.__traceback__)


def _free(step: Step) -> None:
    step.optimiser.zero_grad(set_to_none=True)
    gc.collect()
    if step.device.type == "cuda":
        torch.cuda.empty_cache()


def _place(device: torch.device) -> str:
    if device.type != "cuda":
        return "this machine, or of what a process may take of it"
    return f"{device}, {torch.cuda.get_device_properties(device).total_memory / 2**30:.0f} GiB"
