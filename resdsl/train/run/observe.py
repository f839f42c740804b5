"""What goes through the parts of a network in one step: how large activations and gradients are, and where they are not finite."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import partial

import torch
from torch import Tensor, nn

from resdsl.train.compute.model import state_of, units_of
from resdsl.train.compute.parallel import summed
from resdsl.train.compute.step import Step
from resdsl.train.data.batches import Batch


class Direction(Enum):
    """Of a signal: activations forward, gradients back."""

    FORWARD = "forward"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Signal:
    """In the order of time. part: a unit, or what stands outside of units. read, gave: of forward signals, the root mean square of its
    input and its output; of gradients, both of the loss's gradient with respect to its output. Not finite where an element is not.
    shapes: without the batch.
    """

    part: str
    direction: Direction
    read: float
    gave: float
    shapes: tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Observed:
    """One step. loss: of its batch. gradients: of the parts' parameters, summed magnitudes, in the order of the network. broken: weights,
    statistics and momenta that are not finite after it.
    """

    loss: float
    signals: tuple[Signal, ...]
    gradients: tuple[tuple[str, float], ...]
    broken: tuple[str, ...]


def observed(step: Step, batch: Batch) -> Observed:
    """Does the step on this batch, nothing compiled, and tells what went through. Of several processes, the mean over them, in all."""
    parts = parts_of(step.module)
    step.sums.zero_()
    with torch.compiler.set_stance("force_eager"), _watching(parts) as watched:
        step.update(batch.inputs, batch.labels)
    owned = [(name, [p.grad for p in part.parameters() if p.grad is not None]) for name, part in parts]
    owned = [(name, found) for name, found in owned if found]
    sizes = [
        sum((grad.abs().sum(dtype=torch.float64) for grad in found), step.sums.new_zeros(())) for _, found in owned
    ]
    count = len(watched)
    values = summed(
        torch.stack([*step.sums, *(value for each in watched for value in (each.read, each.gave)), *sizes])
    ).tolist()
    world = values[2] / batch.valid
    signals = tuple(
        Signal(each.part, each.direction, values[3 + 2 * at] / world, values[4 + 2 * at] / world, each.shapes)
        for at, each in enumerate(watched)
    )
    gradients = tuple((name, value) for (name, _), value in zip(owned, values[3 + 2 * count :], strict=True))
    return Observed(values[0] / values[2], signals, gradients, broken(step))


def broken(step: Step) -> tuple[str, ...]:
    """The weights, statistics and momenta that are not finite, by their names."""
    tensors = [*state_of(step.module).items(), *step.momentum().items()]
    # In the tensors' own precision, as `total` adds up: what is out of its range counts as not finite.
    sums = summed(torch.stack([torch.linalg.vector_norm(tensor, 1).double() for _, tensor in tensors])).tolist()
    return tuple(
        dict.fromkeys(name for (name, _), value in zip(tensors, sums, strict=True) if not math.isfinite(value))
    )


def parts_of(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Units, and the layers of stem, stages and head outside of them."""
    units = dict(units_of(module))
    inside = tuple(f"{name}." for name in units)
    return [
        (name, part)
        for name, part in module.named_modules()
        if name in units or (name and not name.startswith(inside) and not any(part.children()))
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    part: str
    direction: Direction
    read: Tensor
    gave: Tensor
    shapes: tuple[tuple[int, ...], tuple[int, ...]]


@contextmanager
def _watching(parts: Sequence[tuple[str, nn.Module]]) -> Generator[list[_Watched]]:
    seen: list[_Watched] = []

    def went_back(name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], gradient: Tensor) -> None:
        size = _rms(gradient)
        seen.append(_Watched(name, Direction.BACK, size, size, shapes))

    def went(name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        shapes = tuple(inputs[0].shape[1:]), tuple(output.shape[1:])
        seen.append(_Watched(name, Direction.FORWARD, _rms(inputs[0]), _rms(output), shapes))
        if output.requires_grad:
            output.register_hook(partial(went_back, name, shapes))

    handles = [part.register_forward_hook(partial(went, name)) for name, part in parts]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _rms(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.detach(), dtype=torch.float64) / math.sqrt(max(1, x.numel()))
