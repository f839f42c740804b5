"""The loop of a run: steps, and between them what is logged, measured and saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor, nn

from resdsl.train.compute import memory
from resdsl.train.compute.execution import Execution
from resdsl.train.compute.model import is_random, state_of
from resdsl.train.compute.parallel import alike, distributed, from_first, summed, together
from resdsl.train.compute.score import Score, evaluate
from resdsl.train.compute.step import Captured, Meter, Step
from resdsl.train.data.batches import Batch, Batches, Share
from resdsl.train.data.order import Stream, generator
from resdsl.train.run import checkpoint, log
from resdsl.train.run.checkpoint import Best, State
from resdsl.train.run.clock import Clock
from resdsl.train.run.diverged import bound, diverged, replay
from resdsl.train.run.events import Evaluated, Event, Logged, Saved
from resdsl.train.run.folder import BEST
from resdsl.train.run.snapshot import Snapshot, total
from resdsl.train.setup import Setup

Listener = Callable[[Event], None]

LOG_EVERY = 50


@dataclass(frozen=True, slots=True)
class Intervals:
    """In iterations. log: between lines of the log; evaluate: between evaluations, each followed by a checkpoint. keep: how many
    checkpoints stand.
    """

    log: int
    evaluate: int
    keep: int = 2


def intervals_of(per_epoch: int, log: int | None = None, evaluate: int | None = None, keep: int = 2) -> Intervals:
    """What is not given, as it is by default. per_epoch: iterations of an epoch."""
    return Intervals(log or min(LOG_EVERY, per_epoch), evaluate or per_epoch, keep)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the device counted, over all processes. size: of all that steps change, see `total`."""

    meter: Meter
    first: Meter
    size: float

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.meter.loss) and math.isfinite(self.size)


class Loop:
    """A run in progress, on this process. `state` is all that it depends on.

    The device is waited for at lines of the log, at evaluations, when a checkpoint is saved, and after the first step of the
    process; nowhere else. What is saved is finite: a state that is not ends the run before.
    """

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
        self.clock = Clock()
        self.is_due = False
        self.scored: Score | None = None
        self._first = torch.zeros_like(self.step.sums)
        self._update: Step | Captured | None = None
        self._snapshot: Snapshot | None = None
        self._saved: int | None = None
        self._leaves: Callable[[], bool] = _never

    @property
    def seconds(self) -> float:
        """Time of all steps so far, without evaluations and saving."""
        return self.clock.seconds

    @property
    def is_done(self) -> bool:
        return self.iteration >= self.setup.schedule.iterations and not self.is_due

    def state(self) -> State:
        """Waits for the device, and for the other processes. The tensors are those that the next step changes. Raises SpecError if
        something in it is not finite.
        """
        reading = self._read()
        self._require_sound(reading)
        return State(
            iteration=self.iteration,
            seconds=self.clock.seconds,
            lap=self.clock.lap,
            meter=reading.meter,
            first=reading.first,
            best=self.best,
            is_due=self.is_due,
            weights=state_of(self.module),
            momentum=self.step.momentum(),
        )

    def restore(self, state: State) -> None:
        """Goes on from there. Of several processes, one does: `follow` tells the others."""
        with torch.no_grad():
            for name, tensor in state_of(self.module).items():
                tensor.copy_(state.weights[name])
            for name, tensor in self.step.momentum().items():
                tensor.copy_(state.momentum[name])
            self.step.sums.copy_(_sums(state.meter))  # of one process: sums are added up when they are read
            self._first.copy_(_sums(state.first))
        self.iteration, self.best, self.is_due = state.iteration, state.best, state.is_due
        self.clock = Clock(state.seconds, state.lap)

    def follow(self) -> None:
        """All processes go on from where the first one is."""
        best = self.best and (self.best.iteration, self.best.error)
        self.iteration, self.is_due, best = from_first((self.iteration, self.is_due, best))
        self.best = best and Best(*best)
        alike([*state_of(self.module).values(), *self.step.momentum().values()])

    def train(self, stops: Callable[[], bool], leaves: Callable[[], bool] | None = None) -> bool:
        """Runs to the end, or until `stops`, which is asked after each step. Whether it came to the end. leaves: asked at the start and
        during evaluations, which are then made when the run is resumed. Raises SpecError if the training diverges, and for lack of
        memory.
        """
        self._leaves = leaves or _never
        if self._leaves():
            return False
        with memory.told(self.step, lambda: next(self._batches_from(0))[1]):
            if self.is_due and not self._evaluate((self.iteration - 1) // self.setup.schedule.per_epoch):
                return False
            return self.iteration >= self.setup.schedule.iterations or self._steps(stops)

    def save(self) -> None:
        """Writes a checkpoint, unless the last one is of this state."""
        state = self.state()
        if self._saved == self.iteration:
            return
        with together():
            if self.share.rank == 0:
                path = checkpoint.save(state, self.run, self.intervals.keep)
                self.listener(Saved(self.iteration, path))
        self._saved = self.iteration

    def score(self) -> Score:
        """On the whole test set, of the weights as they are."""
        return self._scored(self.batches)

    def _steps(self, stops: Callable[[], bool]) -> bool:
        self._snapshot = Snapshot(self.step, self.iteration)
        self.clock.go()
        for epoch, batch in self._batches_from(self.iteration):
            self._one(batch)
            at_end = self.iteration == self.setup.schedule.iterations
            if self.iteration % self.intervals.log == 0 or at_end:
                self._log(epoch)
            if self.iteration % self.intervals.evaluate == 0 or at_end:
                with self.clock.aside(self._finish):
                    if not self._evaluate(epoch):
                        return False
            if not at_end and stops():
                with self.clock.aside(self._finish):
                    self.save()
                return False
        return True

    def _batches_from(self, iteration: int) -> Iterator[tuple[int, Batch]]:
        """With the epoch of each, to the end of the run."""
        per_epoch, left = self.setup.schedule.per_epoch, self.setup.schedule.iterations - iteration
        epoch, start = divmod(iteration, per_epoch)
        while left > 0:
            for batch in self.batches.training(epoch, start):
                yield epoch, batch
                left -= 1
                if not left:
                    return
            epoch, start = epoch + 1, 0

    def _one(self, batch: Batch) -> None:
        self._prepare(self.iteration)
        if self._update is None:
            self._update = Captured(self.step, batch) if self.execution.graph else self.step
        self._update(batch)
        if self.iteration == 0:
            self._first.copy_(self.step.sums)
        self.iteration += 1
        self.clock.step(self._finish)

    def _prepare(self, iteration: int) -> None:
        """The rate and the random numbers of an iteration, counted from 0."""
        self.step.rate.fill_(self.setup.schedule.rate(iteration))
        if self.is_random:
            place = generator(self.setup.seed, Stream.NETWORK, iteration, self.share.rank)
            torch.manual_seed(int(place.integers(2**63)))

    def _log(self, epoch: int) -> None:
        reading = self._read()
        self._require_sound(reading)
        assert self._snapshot is not None
        meter = reading.meter
        self.step.sums.zero_()
        self._snapshot.take(self.iteration)
        with self.clock.aside(self._finish):
            rate = self.setup.schedule.rate(self.iteration - 1)
            speed = self.clock.speed(self.setup.recipe.batch)
            self.clock.restart()
            self._tell(
                Logged(self.iteration, epoch + 1, rate, meter.loss / meter.seen, meter.wrong / meter.seen, speed)
            )

    def _evaluate(self, epoch: int) -> bool:
        """Measures and saves. Whether the evaluation came to its end; if not, it is due, and that is saved."""
        self._require_sound(self._read())
        self.is_due = True
        watched = _Watched(self.batches, self._leaves)
        try:
            score = self._scored(watched)
        except _LeftError:
            self.save()
            return False
        self.is_due, self._saved, self.scored = False, None, score
        is_best = self.best is None or score.error < self.best.error
        if is_best:
            self.best = Best(self.iteration, score.error)
        self._tell(Evaluated(self.iteration, epoch + 1, score.loss, score.error, is_best))
        self.save()
        if is_best:  # after the checkpoint: a run that is killed in between finds out of it that this is the best
            with together():
                if self.share.rank == 0:
                    checkpoint.write_weights(state_of(self.module), self.run / BEST)
        return True

    def _scored(self, batches: Batches) -> Score:
        alike(self.module.buffers())
        return evaluate(self.module, batches, self.execution, self.device, len(self.setup.data.classes))

    def _tell(self, event: Event) -> None:
        with together():
            if self.share.rank == 0:
                log.append(self.run, event)
                self.listener(event)

    def _read(self) -> Reading:
        """Waits for the device, once, and for the other processes."""
        numbers = torch.cat([self.step.sums, self._first, total(self.step)[None]])
        *sums, size = summed(numbers).tolist()
        return Reading(_meter(*sums[:3]), _meter(*sums[3:]), size)

    def _require_sound(self, reading: Reading) -> None:
        """Raises SpecError, with the unit where it began, if the training has diverged."""
        limit = math.inf
        if self.iteration > self.setup.recipe.warmup:
            limit = bound(len(self.setup.data.classes), reading.first)
        mean = reading.meter.loss / reading.meter.seen if reading.meter.seen else 0.0
        if reading.is_finite and mean <= limit:
            return
        self._diverged(limit, mean)

    def _diverged(self, limit: float, mean: float) -> NoReturn:
        found, since = None, self.iteration
        if self._snapshot is not None:
            since = self._snapshot.iteration
            batches = (batch for _, batch in self._batches_from(since))
            found = replay(self.step, self._snapshot, batches, self._prepare, self.iteration, limit)
        with together():
            raise diverged(found, self.setup.schedule, self.execution, since, self.iteration, mean, limit)

    def _finish(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class _LeftError(Exception):
    """An evaluation that is not made to its end."""


class _Watched:
    """Batches for an evaluation that is left when `leaves` says so."""

    def __init__(self, batches: Batches, leaves: Callable[[], bool]) -> None:
        self._batches, self._leaves = batches, leaves

    def training(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        return self._batches.training(epoch, start)

    def evaluation(self) -> Iterator[Batch]:
        for batch in self._batches.evaluation():
            if self._leaves():
                raise _LeftError
            yield batch


def _never() -> bool:
    return False


def _sums(meter: Meter) -> Tensor:
    return torch.tensor([meter.loss, meter.wrong, meter.seen], dtype=torch.float64)


def _meter(loss: float, wrong: float, seen: float) -> Meter:
    """Sums over processes; counts of what is not finite are none."""
    return Meter(loss, *(round(count) if math.isfinite(count) else 0 for count in (wrong, seen)))
