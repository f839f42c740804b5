"""A plan's runs on a Ray that the user has: each a task, in the folder of the plan, which all machines must see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.train.compute.execution import Wanted
from resdsl.train.data.open import open_data
from resdsl.train.recipe import Recipe
from resdsl.train.reproduce.outcome import Outcome
from resdsl.train.reproduce.plan import Trial
from resdsl.train.reproduce.run import How, Interrupted, train


@dataclass(frozen=True, slots=True)
class Task:
    """A run as a machine is given it. data, root: as for open_data, absolute paths where they are paths."""

    trial: Trial
    recipe: Recipe
    data: str
    root: Path | None
    wanted: Wanted
    device: str | None


def ray_outcomes(tasks: Sequence[Task], gpus: float) -> Iterator[tuple[Trial, Outcome | Interrupted]]:
    """What becomes of each, as it ends. gpus: of each task. Raises SpecError, also for the first task that does; tasks that run
    then go on until this process ends.
    """
    ray = _ray()
    if not ray.is_initialized():
        ray.init()  # connects to a cluster that it finds, and makes one of this machine otherwise
    remote = ray.remote(_task).options(num_gpus=gpus)
    waiting = {remote.remote(_anywhere(task)): task.trial for task in tasks}
    while waiting:
        ready, _ = ray.wait(list(waiting), num_returns=1)
        for reference in ready:
            match ray.get(reference):
                case (Diagnostic(), *_) as diagnostics:
                    raise SpecError(diagnostics)
                case outcome:
                    yield waiting.pop(reference), outcome


def _task(task: Task) -> Outcome | Interrupted | tuple[Diagnostic, ...]:
    """On the other machine. A SpecError goes back as its diagnostics: Ray pickles exceptions by their text."""
    try:
        how = How(task.recipe, open_data(task.data, task.root), task.wanted, task.device)
        return train(task.trial, how)
    except SpecError as error:
        return error.diagnostics


def _anywhere(task: Task) -> Task:
    """Ray's processes stand in folders of their own."""
    return replace(task, trial=replace(task.trial, run=task.trial.run.absolute()))


def _ray() -> ModuleType:
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        message = "`--with ray` hands the runs to Ray, which is not installed"
        raise fail(
            "missing-library", message, help="pip install ray, on all its machines; or run without `--with`"
        ) from None
    return ray
