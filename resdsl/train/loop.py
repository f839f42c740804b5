"""The loop of a run: steps, and between them what is logged, measured and saved."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from resdsl.train import checkpoint, log
from resdsl.train.batches import Batch, Batches, Share
from resdsl.train.checkpoint import Best, State
from resdsl.train.evaluate import Score, evaluate
from resdsl.train.events import Evaluated, Event, Logged, Saved
from resdsl.train.execution import Execution
from resdsl.train.model import is_random, state_of
from resdsl.train.order import Stream, generator
from resdsl.train.parallel import alike, distributed, from_first, summed, together
from resdsl.train.setup import Setup
from resdsl.train.step import Captured, Meter, Step

Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Intervals:
    """In iterations. log: between lines of the log; evaluate: between evaluations, each followed by a checkpoint. keep: how many
    checkpoints stand.
    """

    log: int
    evaluate: int
    keep: int = 2


class Loop:
    """A run in progress, on this process. Its state is in `step` and in four numbers, and `state` is all of it."""

    def __init__(
        self,
        setup: Setup,
        module: nn.Module,
        batches: Batches,
        execution: Execution,
        intervals: Intervals,
        run: Path,
        listener: Listener,
        share: Share = Share(),
    ) -> None:
        self.setup, self.module, self.batches, self.execution = setup, module, batches, execution
        self.intervals, self.run, self.listener, self.share = intervals, run, listener, share
        self.step = Step(module, setup.recipe, execution, distributed(module, share))
        self.device = self.step.device
        self.is_random = is_random(setup.network)
        self.iteration, self.best = 0, None
        self.seconds = 0.0
        self._update: Step | Captured | None = None
        self._since = time.perf_counter()

    def state(self) -> State:
        """Waits for the device, and for the other processes. The tensors are those that the next step changes."""
        loss, wrong, seen = summed(self.step.sums).tolist()
        meter = Meter(loss, round(wrong), round(seen))
        return State(self.iteration, self.seconds, meter, self.best, state_of(self.module), self.step.momentum())

    def restore(self, state: State) -> None:
        """Goes on from there. Of several processes, one does: `follow` tells the others."""
        with torch.no_grad():
            for name, tensor in state_of(self.module).items():
                tensor.copy_(state.weights[name])
            for name, tensor in self.step.momentum().items():
                tensor.copy_(state.momentum[name])
            if self.share.rank == 0:  # they are added up over the processes when they are read
                self.step.sums.copy_(torch.tensor([state.meter.loss, state.meter.wrong, state.meter.seen]))
        self.iteration, self.seconds, self.best = state.iteration, state.seconds, state.best

    def follow(self) -> None:
        """All processes go on from where the first one is."""
        self.iteration, best = from_first((self.iteration, self.best and (self.best.iteration, self.best.error)))
        self.best = best and Best(*best)
        alike([*state_of(self.module).values(), *self.step.momentum().values()])

    def train(self, stops: Callable[[], bool]) -> bool:
        """Runs to the end, or until `stops`, which is asked after each step. Whether it came to the end."""
        schedule = self.setup.schedule
        while self.iteration < schedule.iterations:
            epoch, start = divmod(self.iteration, schedule.per_epoch)
            for batch in self.batches.training(epoch, start):
                self._one(batch, epoch)
                if self.iteration >= schedule.iterations:
                    break
                if stops():
                    self.save()
                    return False
        return True

    def save(self) -> None:
        state = self.state()
        with together():
            if self.share.rank == 0:
                path = checkpoint.save(state, self.run, self.intervals.keep)
                self.listener(Saved(self.iteration, path))

    def score(self) -> Score:
        alike(self.module.buffers())
        classes = len(self.setup.data.classes)
        return evaluate(self.module, self.batches, self.execution, self.device, classes)

    def _one(self, batch: Batch, epoch: int) -> None:
        self.step.rate.fill_(self.setup.schedule.rate(self.iteration))
        if self._update is None:
            self._update = Captured(self.step, batch) if self.execution.graph else self.step
        if self.is_random:
            place = generator(self.setup.seed, Stream.NETWORK, self.iteration, self.share.rank)
            torch.manual_seed(int(place.integers(2**63)))
        self._update(batch)
        self.iteration += 1
        at_end = self.iteration == self.setup.schedule.iterations
        if self.iteration % self.intervals.log == 0 or at_end:
            self._log(epoch)
        if self.iteration % self.intervals.evaluate == 0 or at_end:
            self._evaluate(epoch)

    def _log(self, epoch: int) -> None:
        loss, wrong, seen = summed(self.step.sums).tolist()
        self.step.sums.zero_()
        now = time.perf_counter()
        took, self._since = now - self._since, now
        self.seconds += took
        rate = self.setup.schedule.rate(self.iteration - 1)
        self._tell(Logged(self.iteration, epoch, rate, loss / seen, wrong / seen, seen / took))

    def _evaluate(self, epoch: int) -> None:
        score = self.score()
        is_best = self.best is None or score.error < self.best.error
        if is_best:
            self.best = Best(self.iteration, score.error)
        self._tell(Evaluated(self.iteration, epoch, score.loss, score.error, is_best))
        with together():
            if self.share.rank == 0 and is_best:
                checkpoint.write_weights(state_of(self.module), self.run / "best.safetensors")
        self.save()
        self._since = time.perf_counter()

    def _tell(self, event: Event) -> None:
        with together():
            if self.share.rank == 0:
                log.append(self.run, event)
                self.listener(event)
