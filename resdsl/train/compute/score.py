"""What is wrong on a test set, and how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resdsl.train.compute.execution import Execution
from resdsl.train.compute.model import autocast, evaluating
from resdsl.train.compute.parallel import summed
from resdsl.train.data.batches import Batches


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Over a test set. loss: mean cross-entropy. confusion: how often a sample of class i was called j, (classes, classes)."""

    loss: float
    confusion: torch.Tensor

    @property
    def counts(self) -> list[list[int]]:
        """The confusion matrix, row by row."""
        return self.confusion.tolist()

    @property
    def samples(self) -> int:
        return int(self.confusion.sum())

    @property
    def wrong(self) -> int:
        return self.samples - int(self.confusion.diagonal().sum())

    @property
    def error(self) -> float:
        """Share of wrong answers, 0 to 1."""
        return self.wrong / self.samples


def evaluate(module: nn.Module, batches: Batches, execution: Execution, device: torch.device, classes: int) -> Score:
    """The module's score in evaluation mode, over all processes."""
    with evaluating(module), autocast(execution, device):
        return scored(module, batches, device, classes)


def scored(forward: Callable[[Tensor], Tensor], batches: Batches, device: torch.device, classes: int) -> Score:
    """Of any forward pass; sums stay on the device until the end, and are over all processes."""
    loss = torch.zeros((), dtype=torch.float64, device=device)
    confusion = torch.zeros(classes * classes, dtype=torch.int64, device=device)
    for batch in batches.evaluation():
        logits = forward(batch.inputs)[: batch.valid]
        labels = batch.labels[: batch.valid]
        loss += F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), labels, reduction="sum")
        confusion += torch.bincount(labels * classes + logits.argmax(1), minlength=classes * classes)
    loss, confusion = summed(loss), summed(confusion).reshape(classes, classes).cpu()
    return Score(float(loss) / int(confusion.sum()), confusion)
