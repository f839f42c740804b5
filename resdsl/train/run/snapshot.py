"""What a run was at its last good line of the log, on the device: from there, steps can be done once more."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from resdsl.train.compute.model import state_of
from resdsl.train.compute.step import Step


class Snapshot:
    """A copy of all that steps change, as it was after `iteration` steps. It takes the device's memory of weights, statistics
    and momentum once more: 8 bytes a parameter in float32.
    """

    def __init__(self, step: Step, iteration: int) -> None:
        self._live = changed_by(step)
        self._kept = [tensor.clone() for tensor in self._live]
        self.iteration = iteration

    def take(self, iteration: int) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self._kept, self._live)
        self.iteration = iteration

    def restore(self) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self._live, self._kept)


def changed_by(step: Step) -> list[Tensor]:
    """Weights, statistics, momentum, and the sums: the step's own tensors."""
    return [*state_of(step.module).values(), *step.momentum().values(), step.sums]


def total(step: Step) -> Tensor:
    """The sum of the absolute values of all that a step changes, on the device: finite just where all of it is.

    Of magnitudes near the largest float32 the sum is not finite either; no training comes back from there.
    """
    return get_total_norm(changed_by(step), 1.0).double()
