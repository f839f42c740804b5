"""What a network gets wrong on a test set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from resdsl.train.batches import Batches
from resdsl.train.execution import Execution
from resdsl.train.model import autocast, evaluating
from resdsl.train.parallel import summed


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Over a test set. loss: mean cross-entropy. confusion: how often a sample of class i was called j, (classes, classes)."""

    loss: float
    confusion: torch.Tensor

    @property
    def samples(self) -> int:
        return int(self.confusion.sum())

    @property
    def error(self) -> float:
        """Share of wrong answers, 0 to 1."""
        return 1 - float(self.confusion.diagonal().sum()) / self.samples


def evaluate(module: nn.Module, batches: Batches, execution: Execution, device: torch.device, classes: int) -> Score:
    """The module's score in evaluation mode, over all processes; sums stay on the device until the end."""
    loss = torch.zeros((), dtype=torch.float64, device=device)
    confusion = torch.zeros(classes * classes, dtype=torch.int64, device=device)
    with evaluating(module), autocast(execution, device):
        for batch in batches.evaluation():
            logits = module(batch.inputs)[: batch.valid]
            labels = batch.labels[: batch.valid]
            loss += F.cross_entropy(
                logits.to(torch.promote_types(logits.dtype, torch.float32)), labels, reduction="sum"
            )
            confusion += torch.bincount(labels * classes + logits.argmax(1), minlength=classes * classes)
    loss, confusion = summed(loss), summed(confusion).reshape(classes, classes).cpu()
    return Score(float(loss) / int(confusion.sum()), confusion)
