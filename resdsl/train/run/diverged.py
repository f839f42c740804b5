"""A training that has diverged: in which step it began, and in which unit, found by doing the last steps once more."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from resdsl.diagnostics import SpecError, fail
from resdsl.train.compute.execution import Compile, Execution, Precision
from resdsl.train.compute.step import Meter, Step
from resdsl.train.data.batches import Batch
from resdsl.train.run.observe import Direction, Observed, Signal, broken, observed
from resdsl.train.run.snapshot import Snapshot
from resdsl.train.schedule import Schedule

TIMES = 20
"""A mean loss over an interval that is more than this many times what a guess costs, or what the first step cost if that is more, is
one that no training was seen to come back from. Of runs on digits at rates of 0.3 to 1000, those that learned stayed below 3 times,
and those above 20 ended no better than guessing.
"""
BEFORE = 3
"""Signals that are shown before the one where it began."""


class Where(Enum):
    """In which part of a step it began."""

    START = "start"  # before the first of the steps
    OUTPUT = "output"
    LOSS = "loss"
    GRADIENT = "gradient"
    UPDATE = "update"
    GROWTH = "growth"  # all is finite, and the loss too high


@dataclass(frozen=True, slots=True)
class Found:
    """iteration: the step, counted from 1. part: a unit or a layer; of an update, a tensor; empty if it is the loss. growth: of GROWTH,
    how many times what it reads a part gives, in the first of the steps and here. signals: of the step, up to that part.
    """

    where: Where
    iteration: int
    part: str
    loss: float
    signals: tuple[Signal, ...] = ()
    growth: tuple[float, float] = (1.0, 1.0)


def bound(classes: int, first: Meter) -> float:
    """The highest loss that counts as training. first: of the run's first step; networks without norms may start high."""
    started = first.loss / first.seen if first.seen else 0.0
    return TIMES * max(math.log(classes), started if math.isfinite(started) else 0.0)


def replay(
    step: Step,
    snapshot: Snapshot,
    batches: Iterable[Batch],
    prepare: Callable[[int], None],
    until: int,
    limit: float,
) -> Found | None:
    """From the snapshot to `until` steps, one by one and nothing compiled: where it began. None if it does not begin this time.

    prepare: sets the rate and the random numbers of an iteration. The run's state is not what it was afterwards.
    """
    snapshot.restore()
    names = broken(step)
    if names:
        return Found(Where.START, snapshot.iteration, names[0], math.nan)
    first: Observed | None = None
    for iteration, batch in zip(range(snapshot.iteration, until), batches, strict=False):
        prepare(iteration)
        seen = observed(step, batch)
        found = begins(seen, first or seen, iteration + 1, limit)
        if found is not None:
            return found
        first = first or seen
    return None


def begins(seen: Observed, first: Observed, iteration: int, limit: float) -> Found | None:
    """Where in this step it began, None if it did not. first: what was seen in the first of the steps, when all was well."""
    forward = [signal for signal in seen.signals if signal.direction is Direction.FORWARD]
    for at, signal in enumerate(forward):
        if not math.isfinite(signal.read + signal.gave):
            return Found(Where.OUTPUT, iteration, signal.part, seen.loss, tuple(forward[: at + 1]))
    if not math.isfinite(seen.loss):
        return Found(Where.LOSS, iteration, "", seen.loss, tuple(forward))
    broken_by = _backward(seen)
    if broken_by is not None:
        return Found(Where.GRADIENT, iteration, broken_by, seen.loss, tuple(forward))
    if seen.broken:
        return Found(Where.UPDATE, iteration, seen.broken[0], seen.loss, tuple(forward))
    if seen.loss > limit:
        return _growth(seen, first, iteration)
    return None


def diverged(
    found: Found | None, schedule: Schedule, execution: Execution, since: int, until: int, mean: float, limit: float
) -> SpecError:
    """The error. since, until: the steps between which it began. mean: the loss that was read at `until`, over these."""
    steps = f"between step {since:,} and step {until:,}" if found is None else f"in step {found.iteration:,}"
    rate = schedule.rate((until if found is None else max(1, found.iteration)) - 1)
    message = f"training diverged {steps} of {schedule.iterations:,}, at rate {rate:g}: {_what(found, limit)}"
    notes = [_line(signal) for signal in found.signals[-BEFORE - 1 :]] if found is not None else []
    if found is None:
        notes += [f"the mean loss from step {since + 1:,} to step {until:,} is {mean:.4g}"]
        notes += [f"the steps were done once more, and stayed finite: {_unlike(execution)}"]
    elif math.isfinite(found.loss):
        notes += [f"the loss of the step is {found.loss:.4g}"]
    notes += [f"step {since:,} was still good; checkpoints and best.safetensors are of good steps"]
    return fail("diverged", message, notes=notes, help=_help(schedule, execution, rate, found))


def _backward(seen: Observed) -> str | None:
    """The part that made a gradient that is not finite out of one that was; empty if it was the loss."""
    back = [signal for signal in seen.signals if signal.direction is Direction.BACK]
    gradients = dict(seen.gradients)
    before = ""
    for signal in back:
        if not math.isfinite(signal.gave):
            return before
        before = signal.part
        if not math.isfinite(gradients.get(signal.part, 0.0)):
            return signal.part
    others = [name for name, size in seen.gradients if not math.isfinite(size)]
    return others[-1] if others else None


def _growth(seen: Observed, first: Observed, iteration: int) -> Found:
    """The part whose output has grown most over its input since the first of the steps."""
    forward = [signal for signal in seen.signals if signal.direction is Direction.FORWARD]
    earlier = {signal.part: signal for signal in first.signals if signal.direction is Direction.FORWARD}

    def gains(signal: Signal) -> tuple[float, float]:
        return (_gain(earlier[signal.part]) if seen is not first else 1.0), _gain(signal)

    most = max(forward, key=lambda signal: gains(signal)[1] / gains(signal)[0])
    until = tuple(forward[: forward.index(most) + 1])
    return Found(Where.GROWTH, iteration, most.part, seen.loss, until, gains(most))


def _gain(signal: Signal) -> float:
    return max(signal.gave, 1e-30) / max(signal.read, 1e-30)


def _what(found: Found | None, limit: float) -> str:
    if found is None:
        return "which unit did it is not known"
    last = found.signals[-1] if found.signals else None
    match found.where:
        case Where.START:
            return f"{found.part} is not finite before"
        case Where.OUTPUT if last is not None and not math.isfinite(last.read):
            if len(found.signals) == 1:
                return "what the network reads is not finite"
            return f"what {found.part} reads is not finite, and what {found.signals[-2].part} gives is"
        case Where.OUTPUT:
            return f"the output of {found.part} is not finite"
        case Where.LOSS:
            return "the loss is not finite, and what the network gives is"
        case Where.GRADIENT if not found.part:
            return "the gradient of the loss is not finite"
        case Where.GRADIENT:
            return f"the gradient that goes back through {found.part} is not finite"
        case Where.UPDATE:
            return f"{found.part} is not finite after the step"
        case Where.GROWTH:
            before, now = found.growth
            much = f"{found.part} gives {now:.3g} times what it reads"
            much += f", at first {before:.3g} times" if before != 1.0 else ""
            return f"its loss of {found.loss:.4g} is above {limit:.4g}; {much}"


def _line(signal: Signal) -> str:
    read, gave = ("x".join(map(str, shape)) for shape in signal.shapes)
    return f"{signal.part}: {read} of root mean square {_size(signal.read)} → {gave} of {_size(signal.gave)}"


def _size(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "no finite number"


def _unlike(execution: Execution) -> str:
    if execution.compile is not Compile.NONE or execution.graph:
        return "uncompiled they are not rounded alike; `--compile none` may tell more"
    return "they were not computed alike"


def _help(schedule: Schedule, execution: Execution, rate: float, found: Found | None) -> str:
    if found is not None and found.where is Where.START:
        return "`resdsl lint` checks how weights start"
    recipe = schedule.recipe
    ways = [f"a lower rate (now {recipe.rate:g})"]
    if rate != recipe.warmup_rate:
        ways.append(f"a longer warm-up (now {recipe.warmup:,} steps at {recipe.warmup_rate:g})")
    if execution.precision in (Precision.BF16, Precision.TF32):
        ways.append("`--precision fp32`")
    return f"{', '.join(ways)}; `resdsl lint` names units whose signals grow with depth"
