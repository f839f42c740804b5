"""Batches of a data set of image files: read, cut and scaled by worker processes, normalised on the device."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.network.types import Image
from resdsl.recorded import Recorded
from resdsl.train.data.batches import Batch, Share
from resdsl.train.data.cuts import Cut, Extent, centred, drawn
from resdsl.train.data.dataset import Files, Listed
from resdsl.train.data.decoding import decoded, require_pillow
from resdsl.train.data.order import Stream, epoch_order, generator
from resdsl.train.recipe import Recipe

MOST_WORKERS = 8
"""Per process, unless more are asked for."""
EVALUATION = -1
"""Stands where training has an epoch."""


class Pictures:
    """A data set of files. Which part of a picture is cut, and whether it is flipped, is drawn for each sample of each
    epoch on its own, so that it depends neither on the workers nor on where a run goes on.

    shape: what the network reads, in three colours. layout: of batches in memory. workers: processes that read; 0 reads in this one. Iterators of
    `training` share these, so that a new one ends the one before. Iterating raises SpecError for a file that is no image.
    """

    def __init__(
        self,
        data: Files,
        recipe: Recipe,
        by: Recorded,
        shape: Image,
        *,
        seed: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        layout: torch.memory_format = torch.contiguous_format,
        share: Share = Share(),
        workers: int | None = None,
    ) -> None:
        require_pillow()
        if shape.channels != 3:
            raise fail("wrong-data", f"the network reads {shape}, and {data.name} has images in three colours")
        self.recipe, self.seed, self.share = recipe, seed, share
        self.device, self.dtype, self.layout = device, dtype, layout
        self.local = recipe.batch // share.world
        self._samples = len(data.train), len(data.test)
        self._mean, self._std = (torch.from_numpy(part).to(device, dtype) for part in (by.mean, by.std))
        self._workers = default_workers() if workers is None else workers
        self._plan = _Plan()
        wanted = Extent(shape.height, shape.width)
        self._training = self._loader(_Samples(_Paths.of(data.train), wanted, recipe, seed), self._plan, lasting=True)
        self._tested = _Samples(_Paths.of(data.test), wanted, recipe, seed)

    def training(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        order = epoch_order(self._samples[0], self.seed, epoch)
        firsts = [
            number * self.recipe.batch + self.share.rank * self.local
            for number in range(start, self._samples[0] // self.recipe.batch)
        ]
        mine = [[(epoch, int(index)) for index in order[first : first + self.local]] for first in firsts]
        self._plan.batches = mine
        for loaded in self._loaded(self._training):
            yield self._batch(loaded)
            if self._plan.batches is not mine:
                raise RuntimeError("a newer iterator of training has taken the workers")

    def evaluation(self) -> Iterator[Batch]:
        mine = range(self.share.rank, self._samples[1], self.share.world)
        plan = [
            [(EVALUATION, index) for index in mine[start : start + self.local]]
            for start in range(0, len(mine), self.local)
        ]
        for loaded in self._loaded(self._loader(self._tested, _Plan(plan), lasting=False)):
            yield self._batch(loaded)

    def _batch(self, loaded: tuple[Tensor, Tensor]) -> Batch:
        pixels, labels = (part.to(self.device, non_blocking=True) for part in loaded)
        valid = len(labels)
        if valid < self.local:
            chosen = torch.arange(self.local, device=self.device).clamp(max=valid - 1)
            pixels, labels = pixels[chosen], labels[chosen]
        floats = pixels.movedim(-1, 1).to(self.dtype, memory_format=self.layout)
        return Batch((floats / 255 - self._mean) / self._std, labels, valid)

    def _loader(self, samples: _Samples, plan: _Plan, *, lasting: bool) -> DataLoader[tuple[Tensor, Tensor]]:
        return DataLoader(
            samples,
            batch_sampler=plan,
            num_workers=self._workers,
            collate_fn=_together,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_start,
            persistent_workers=lasting and self._workers > 0,
            generator=torch.Generator(),  # none of its numbers matter; by default it would draw from the network's
        )

    def _loaded(self, loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        batches = iter(loader)
        while True:
            try:
                found = next(batches, None)
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                message = "a process that reads images was ended from outside, or for lack of memory"
                help = "fewer workers; in a container, more shared memory (docker run --shm-size)"
                raise fail("lost-worker", message, help=help) from error
            match found:
                case None:
                    return
                case _Broken(diagnostics=diagnostics):
                    raise SpecError(diagnostics)
                case _:
                    yield found


def default_workers() -> int:
    """As many as this process may use processors, at most MOST_WORKERS."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(MOST_WORKERS, usable or 1)


Place = tuple[int, int]
"""The epoch, or EVALUATION, and the sample's index."""


@dataclass(slots=True)
class _Plan:
    """Which samples are in which batch; it stays in the process that trains, and each iteration has its own."""

    batches: Sequence[Sequence[Place]] = ()

    def __iter__(self) -> Iterator[Sequence[Place]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


@dataclass(frozen=True, slots=True)
class _Broken:
    """An error on its way out of a worker: torch would build it anew from its text."""

    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Paths:
    """Paths as one block of bytes: a million objects would be copied into every worker, page by page, by counting who
    refers to them.
    """

    names: NDArray[np.bytes_]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, listed: Listed) -> _Paths:
        return cls(np.array([os.fsencode(path) for path in listed.paths]), listed.labels)


@dataclass(frozen=True, slots=True, eq=False)
class _Samples(Dataset[object]):
    """Pixels, (height, width, 3) of uint8, and the label of a place."""

    paths: _Paths
    wanted: Extent
    recipe: Recipe
    seed: int

    def __getitem__(self, place: Place) -> tuple[NDArray[np.uint8], int] | _Broken:
        epoch, index = place
        try:
            pixels = decoded(
                os.fsdecode(self.paths.names[index]), self.wanted, lambda picture: self._cut(picture, epoch, index)
            )
        except SpecError as error:
            return _Broken(error.diagnostics)
        return pixels, int(self.paths.labels[index])

    def _cut(self, picture: Extent, epoch: int, index: int) -> Cut:
        if epoch == EVALUATION:
            return centred(picture, self.wanted)
        draw = generator(self.seed, Stream.AUGMENT, epoch, index)
        return drawn(picture, self.wanted, self.recipe.crop, flip=self.recipe.flip, draw=draw)


def _together(samples: Sequence[tuple[NDArray[np.uint8], int] | _Broken]) -> tuple[Tensor, Tensor] | _Broken:
    """(n, height, width, 3) and (n,), or the first error."""
    read: list[tuple[NDArray[np.uint8], int]] = []
    for sample in samples:
        if isinstance(sample, _Broken):
            return sample
        read.append(sample)
    pixels = torch.from_numpy(np.stack([pixels for pixels, _ in read]))
    return pixels, torch.tensor([label for _, label in read])


def _start(_: int) -> None:
    """In a worker. What ends a run is often sent to all of its processes, and the one that trains still has to save: a
    worker ends when that one says so, or is gone.
    """
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # elsewhere, as on macOS, SIGTERM ends it, whoever sent it
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_when_told, args=(os.getppid(),), daemon=True).start()


def _end_when_told(by: int) -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != by:
        pass
    os._exit(0)
