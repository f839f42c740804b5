"""One update: forward, backward, SGD. Nothing in it waits for the device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from resdsl.train.compute.execution import Execution
from resdsl.train.compute.model import autocast
from resdsl.train.data.batches import Batch
from resdsl.train.recipe import Decay, Recipe

WARM_UP = 3
"""Steps before a capture: libraries choose their kernels and take their memory then."""


@dataclass(frozen=True, slots=True)
class Meter:
    """Sums over samples since they were last set to 0. loss: of cross-entropy. seen: how many samples."""

    loss: float
    wrong: int
    seen: int


class Step:
    """Updates a module's parameters in place, batch by batch.

    module: what is trained; forward: what is called, the module or a wrapper around it. sums: loss, wrong, seen, on the device.
    """

    def __init__(
        self, module: nn.Module, recipe: Recipe, execution: Execution, forward: nn.Module | None = None
    ) -> None:
        self.module = module
        self.forward = module if forward is None else forward
        self.execution = execution
        self.parameters = dict(module.named_parameters())
        self.device = next(iter(self.parameters.values())).device
        # What the fused kernels of CUDA read is float32.
        kind = torch.float32 if self.device.type == "cuda" else torch.float64
        self.rate = torch.zeros((), dtype=kind, device=self.device)
        self.optimiser = sgd(self.parameters, recipe, self.rate)
        self.sums = torch.zeros(3, dtype=torch.float64, device=self.device)

    def __call__(self, batch: Batch) -> None:
        self.update(batch.inputs, batch.labels)

    def update(self, inputs: Tensor, labels: Tensor) -> None:
        """inputs: (n, *shape), labels: (n,); n a whole number of times the parts."""
        self.optimiser.zero_grad(set_to_none=True)
        parts = self.execution.accumulate
        pairs = list(zip(inputs.chunk(parts), labels.chunk(parts), strict=True))
        for number, (x, target) in enumerate(pairs, 1):
            with self._alone() if number < parts else nullcontext():
                with autocast(self.execution, self.device):
                    logits = self.forward(x)
                loss = F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), target)
                (loss / parts).backward()
            with torch.no_grad():
                wrong = (logits.argmax(1) != target).sum()
                for index, amount in enumerate((loss.detach() * len(target), wrong, len(target))):
                    self.sums[index] += amount
        self.optimiser.step()

    def momentum(self) -> dict[str, Tensor]:
        """The optimiser's state by the names of the parameters, its own tensors."""
        return {name: self.optimiser.state[p]["momentum_buffer"] for name, p in self.parameters.items()}

    def read(self) -> Meter:
        """The sums, which are set to 0. Waits for the device."""
        loss, wrong, seen = self.sums.tolist()
        self.sums.zero_()
        return Meter(loss, round(wrong), round(seen))

    def _alone(self) -> object:
        """Gradients of all parts but the last stay in their process."""
        return self.forward.no_sync() if isinstance(self.forward, DistributedDataParallel) else nullcontext()


class Captured:
    """A step as one CUDA graph: what it launches is launched at once. Takes batches of the example's size. Making it changes
    nothing of the run: neither weights, statistics, momentum and sums, nor the state of random numbers.
    """

    def __init__(self, step: Step, example: Batch) -> None:
        self._inputs, self._labels = example.inputs.clone(memory_format=torch.preserve_format), example.labels.clone()
        mutable = [*step.module.state_dict().values(), *step.momentum().values(), step.sums]
        before = [tensor.clone() for tensor in mutable]
        with torch.random.fork_rng([step.device] if step.device.type == "cuda" else []):
            self._graph = _captured(lambda: step.update(self._inputs, self._labels), step.optimiser, step.device)
        for tensor, value in zip(mutable, before, strict=True):
            tensor.detach().copy_(value)

    def __call__(self, batch: Batch) -> None:
        self._inputs.copy_(batch.inputs)
        self._labels.copy_(batch.labels)
        self._graph.replay()


def sgd(parameters: dict[str, nn.Parameter], recipe: Recipe, rate: Tensor) -> torch.optim.SGD:
    """With momentum buffers of 0, so that the first step is like any other; `rate` is read at each step."""
    decayed = [p for p in parameters.values() if recipe.decay is Decay.ALL or p.ndim > 1]
    others = [p for p in parameters.values() if recipe.decay is not Decay.ALL and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        fused=True,
    )
    for parameter in parameters.values():
        optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
    return optimiser


def _captured(
    update: Callable[[], None], optimiser: torch.optim.Optimizer, device: torch.device
) -> torch.cuda.CUDAGraph:
    """The update as a graph, after it ran WARM_UP times: on one stream that is not the default one, as PyTorch asks for.

    What is compiled is compiled then. Gradients are None before, so that the graph makes them in its own memory, anew each time.
    Errors are this thread's alone: another one may pin memory for the next batches meanwhile. A stream is the current GPU's, and
    what other GPUs do would be in no graph: `cuda:1` is made the current one meanwhile.
    """
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                update()
        torch.cuda.current_stream().wait_stream(aside)
        optimiser.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
            update()
    return graph
