"""How fast every way is: batch 1 for latency, larger ones for throughput, in rounds over all ways of a family."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gpu_cases import CASES, Case, Numbers
from gpu_open import attempt
from gpu_problem import Problem
from gpu_rows import Plan, Rows, Skipped, Speed, Task
from gpu_ways import EAGER, WAYS, Family, Way

from resdsl.bench.measure import Cell, Timing, measure
from resdsl.network.evaluate import random_input
from resdsl.network.initial import initial_weights

PART = "speed"


@dataclass(frozen=True, slots=True)
class Timed:
    """A way that is open. name: for people."""

    way: Way
    numbers: Numbers
    name: str
    cell: Cell
    opened_in: float


def time_ways(task: Task, plan: Plan, rows: Rows) -> None:
    """Times a family's ways beside the eager ones."""
    case, family = CASES[task.network], Family(task.family)
    if family is Family.WHOLE and case.slow_compile:
        rows.tell(Skipped(PART, f"{case.network}: compiled", f"{case.slow_compile}; its units are compiled instead"))
        return
    timed = _opened(case, task, plan, rows)
    if family is not Family.TORCH and all(each.way is EAGER for each in timed):
        return  # there is nothing to time beside it
    cells = [each.cell for each in timed]
    timings = attempt(lambda: measure(cells, plan.rounds, seconds=plan.seconds), PART, str(task), rows) or []
    found = list(zip(timed, timings, strict=False))
    eager = {each.numbers: timing for each, timing in found if each.way is EAGER}
    for each, timing in found:
        beside = eager.get(_against(each.numbers))
        if beside is None:
            rows.tell(Skipped(PART, each.name, "the eager way in the same numbers did not run"))
        else:
            rows.tell(_row(task, each, timing, beside))


def _opened(case: Case, task: Task, plan: Plan, rows: Rows) -> list[Timed]:
    """The ways that compute here, each called once."""
    network = case.build(quick=plan.quick)
    weights, x = initial_weights(network), random_input(network, task.batch, 1)
    timed: list[Timed] = []
    for way, numbers in _wanted(Family(task.family), plan.device):
        name = f"{case.network}: {way.name}, {numbers.value}, batch {task.batch}"
        if plan.is_over:
            rows.tell(Skipped(PART, name, "no time was left"))
            continue
        start = time.perf_counter()

        def opened(way: Way = way, numbers: Numbers = numbers) -> Cell:
            found = way.open(Problem(network, weights, x, numbers, plan.device, plan.work))
            found.call()
            return Cell(way.name, task.batch, found.call)

        cell = attempt(opened, PART, name, rows)
        if cell is not None:
            timed.append(Timed(way, numbers, name, cell, time.perf_counter() - start))
    return timed


def _wanted(family: Family, device: str) -> list[tuple[Way, Numbers]]:
    """The family's ways, behind the eager ones that they are held against."""
    own = [(way, each) for way in WAYS if way.family is family and way is not EAGER for each in way.timings(device)]
    eager = EAGER.timings(device)
    if family is not Family.TORCH:
        against = {_against(each) for _, each in own}
        eager = [each for each in eager if each in against]
    return [*((EAGER, each) for each in eager), *own]


def _against(numbers: Numbers) -> Numbers:
    """PyTorch has no int8 for convolutions on a GPU."""
    return Numbers.FP16 if numbers is Numbers.INT8 else numbers


def _row(task: Task, timed: Timed, timing: Timing, beside: Timing) -> Speed:
    lower, upper = timing.quartiles
    return Speed(
        network=task.network,
        family=task.family,
        way=timed.way.name,
        numbers=timed.numbers.value,
        batch=timing.cell.samples,
        seconds=timing.seconds,
        lower_quartile=lower,
        upper_quartile=upper,
        images_per_second=timing.samples_per_second,
        beside=_against(timed.numbers).value,
        speed=timing.speed_beside(beside),
        opened_in=timed.opened_in,
        rounds=timing.rounds,
    )
