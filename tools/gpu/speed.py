"""How fast every way is: batch 1 for latency, larger ones for throughput, in rounds over all ways of a family."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gpu.cases import CASES, Case, Numbers, Opened, Problem
from gpu.rows import Part, Plan, Rows, Skipped, Speed, Task
from gpu.ways import EAGER, STEP, WAYS, Family, Way
from resdsl.bench.measure import Cell, Timing, measure
from resdsl.network.evaluate import random_input
from resdsl.network.initial import initial_weights


@dataclass(frozen=True, slots=True)
class Wanted:
    """A way, in these numbers."""

    way: Way
    numbers: Numbers

    @property
    def beside(self) -> Wanted:
        """What it is held against. PyTorch has no int8 for convolutions on a GPU."""
        if self.way.family is Family.TRAINING:
            return Wanted(STEP, Numbers.FP32)
        return Wanted(EAGER, Numbers.FP16 if self.numbers is Numbers.INT8 else self.numbers)

    def __str__(self) -> str:
        return f"{self.way.name}, {self.numbers}"


@dataclass(frozen=True, slots=True)
class Ready:
    """opened_in: seconds."""

    wanted: Wanted
    opened: Opened
    opened_in: float


def time_ways(task: Task, plan: Plan, rows: Rows) -> None:
    """Times a family's ways, beside those that they are held against if there is PyTorch."""
    case = CASES[task.network]
    if task.family is Family.WHOLE and case.slow_compile:
        why = f"{case.slow_compile}; its units are compiled instead"
        rows.tell(Skipped(Part.SPEED, f"{case.network}: compiled", why))
        return
    ready = _ready(case, task, plan, rows)
    if not any(each.wanted.way.family is task.family for each in ready):
        return
    cells = [Cell(str(each.wanted), task.batch, each.opened.call) for each in ready]
    timings = rows.attempt(lambda: measure(cells, plan.rounds, seconds=plan.seconds), Part.SPEED, str(task)) or []
    timed = {each.wanted: timing for each, timing in zip(ready, timings, strict=False)}
    for each in ready if timed else ():
        rows.tell(_row(task, each, timed[each.wanted], timed.get(each.wanted.beside)))


def _ready(case: Case, task: Task, plan: Plan, rows: Rows) -> list[Ready]:
    """The ways that compute here, each called once."""
    network = case.build(quick=plan.quick)
    weights, x = initial_weights(network), random_input(network, task.batch, 1)
    ready: list[Ready] = []
    for wanted in _wanted(task.family, plan):
        what = f"{case.network}: {wanted}, batch {task.batch}"
        if plan.is_over:
            rows.tell(Skipped(Part.SPEED, what, "no time was left"))
            continue
        start = time.perf_counter()

        def opened(wanted: Wanted = wanted) -> Opened:
            found = wanted.way.open(Problem(network, weights, x, wanted.numbers, plan.device, plan.work))
            found.call()
            return found

        found = rows.attempt(opened, Part.SPEED, what)
        if found is not None:
            ready.append(Ready(wanted, found, time.perf_counter() - start))
    return ready


def _wanted(family: Family, plan: Plan) -> list[Wanted]:
    """Each once, those that others are held against first."""
    own = [Wanted(way, each) for way in WAYS if way.family is family for each in way.timings(plan.device)]
    beside = [each.beside for each in own] if plan.has_torch else []
    return list(dict.fromkeys([*beside, *own]))


def _row(task: Task, ready: Ready, timing: Timing, beside: Timing | None) -> Speed:
    lower, upper = timing.quartiles
    return Speed(
        network=task.network,
        family=task.family,
        way=ready.wanted.way.name,
        numbers=ready.wanted.numbers,
        batch=task.batch,
        seconds=timing.seconds,
        lower_quartile=lower,
        upper_quartile=upper,
        images_per_second=timing.samples_per_second,
        beside=None if beside is None else str(ready.wanted.beside),
        speed=None if beside is None else timing.speed_beside(beside),
        opened_in=ready.opened_in,
        peak_bytes=ready.opened.peak_bytes,
        rounds=timing.rounds,
    )
