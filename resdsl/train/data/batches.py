"""Batches of a data set that lies on the device: normalised, cropped and flipped there, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from resdsl.recorded import Recorded
from resdsl.train.data.dataset import Arrays, Split
from resdsl.train.data.order import Stream, epoch_order, generator
from resdsl.train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Share:
    """This process's part of each batch: `rank` of `world`."""

    rank: int = 0
    world: int = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """inputs: (n, *shape), normalised. labels: (n,), int64. valid: how many of the n count, the first ones."""

    inputs: Tensor
    labels: Tensor
    valid: int


class Batches(Protocol):
    """What a data set gives to a process."""

    def training(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """This process's part of all full batches of an epoch from number `start` on. What is left of the epoch is left
        out, other samples each time. A function of seed and epoch: asking twice gives the same.
        """
        ...

    def evaluation(self) -> Iterator[Batch]:
        """This process's part of the test set, each sample once, batches all of one size: the last one is filled up."""
        ...


class Resident:
    """A data set in the device's memory, as it is: bytes stay bytes.

    A batch is one gather, and images are laid out as `layout` says where their numbers become floats. Its augmentation is
    drawn for the whole epoch at once, for each sample of the epoch's order, so that it does not depend on how many processes
    share the batch.
    """

    def __init__(
        self,
        data: Arrays,
        recipe: Recipe,
        by: Recorded,
        *,
        seed: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        layout: torch.memory_format = torch.contiguous_format,
        share: Share = Share(),
    ) -> None:
        self.recipe, self.seed, self.share = recipe, seed, share
        self.dtype, self.layout = dtype, layout
        self.local = recipe.batch // share.world
        self.is_image = data.train.inputs.ndim == 4
        self._train, self._test = (_Rows.of(split, device) for split in (data.train, data.test))
        self._mean, self._std = (torch.from_numpy(part).to(device, dtype) for part in (by.mean, by.std))

    def training(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        samples = len(self._train.labels)
        order = self._moved(epoch_order(samples, self.seed, epoch))
        shifts = self._moved(self._shifts(samples, epoch))
        for number in range(start, samples // self.recipe.batch):
            first = number * self.recipe.batch + self.share.rank * self.local
            chosen = slice(first, first + self.local)
            rows = order[chosen]
            if self.is_image and (self.recipe.pad or self.recipe.flip):
                inputs = self._cut(rows, *shifts[:, chosen])
            else:
                inputs = self._normalised(self._train.inputs[rows])
            yield Batch(self._laid_out(inputs), self._train.labels[rows], self.local)

    def evaluation(self) -> Iterator[Batch]:
        samples = len(self._test.labels)
        mine = range(self.share.rank, samples, self.share.world)
        for start in range(0, len(mine), self.local):
            chosen = list(mine[start : start + self.local])
            filled = chosen + [0] * (self.local - len(chosen))
            rows = self._moved(np.array(filled))
            inputs = self._laid_out(self._normalised(self._test.inputs[rows]))
            yield Batch(inputs, self._test.labels[rows], len(chosen))

    def _shifts(self, samples: int, epoch: int) -> np.ndarray:
        """Of each place in the epoch's order: how far down and right the crop stands, and whether it is flipped: (3, n)."""
        draw = generator(self.seed, Stream.AUGMENT, epoch)
        pad = self.recipe.pad
        down, right = draw.integers(0, 2 * pad + 1, (2, samples))
        flipped = draw.integers(0, 2, samples) * self.recipe.flip
        return np.stack([down - pad, right - pad, flipped])

    def _cut(self, rows: Tensor, down: Tensor, right: Tensor, flipped: Tensor) -> Tensor:
        """The samples, shifted, zeros where they have no pixels (after normalisation), some mirrored: (n, c, h, w)."""
        height, width = self._train.inputs.shape[1:3]
        y = torch.arange(height, device=rows.device) + down[:, None]
        x = torch.arange(width, device=rows.device).expand(len(rows), width)
        x = torch.where(flipped[:, None] > 0, width - 1 - x, x) + right[:, None]
        inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
        y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
        pixels = self._train.inputs[rows[:, None, None], y[:, :, None], x[:, None, :]]
        if self._mean.shape[1:] == (1, 1):
            return self._normalised(pixels) * inside[:, None]
        mean = self._mean.movedim(0, -1)[y[:, :, None], x[:, None, :]].movedim(-1, 1)
        return (self._floats(pixels) - mean) / self._std * inside[:, None]

    def _normalised(self, pixels: Tensor) -> Tensor:
        return (self._floats(pixels) - self._mean) / self._std

    def _floats(self, pixels: Tensor) -> Tensor:
        """(n, h, w, c), bytes as 0 to 1, as (n, c, h, w) in the layout; (n, features) as they are."""
        if pixels.ndim == 4:
            found = pixels.movedim(-1, 1).to(self.dtype, memory_format=self.layout)
        else:
            found = pixels.to(self.dtype)
        return found / 255 if pixels.dtype == torch.uint8 else found

    def _laid_out(self, inputs: Tensor) -> Tensor:
        """Of one channel both layouts are the same in memory, but convolutions tell them by strides, and arithmetic leaves those of
        channels first.
        """
        if inputs.ndim == 4 and inputs.shape[1] == 1 and self.layout is torch.channels_last:
            return inputs.reshape(*inputs.shape[:1], *inputs.shape[2:], 1).movedim(-1, 1)
        return inputs

    def _moved(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self._train.labels.device, non_blocking=True)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A split on the device, channels last: (n, h, w, c) or (n, features)."""

    inputs: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: Split, device: torch.device) -> _Rows:
        inputs = torch.from_numpy(split.inputs)
        if inputs.ndim == 4:
            inputs = inputs.movedim(1, -1)
        return cls(inputs.contiguous().to(device), torch.from_numpy(split.labels).to(device))
