"""What a run says while it lasts: what it is, then a bar on a terminal, or a line for each evaluation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from resdsl.network.costs import summarise
from resdsl.train.recipe import RECIPES, Recipe, Unit
from resdsl.train.recipe_file import differences, shown
from resdsl.train.run.events import Evaluated, Event, Logged, Noticed, Saved, Started
from resdsl.train.setup import Setup

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Say = Callable[[str], None]
HOUR, MINUTE = 3600, 60


@contextmanager
def progress() -> Generator[Callable[[Event], None]]:
    """A listener that writes to standard error, and has a bar there if that is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield Lines(lambda text: print(text, file=sys.stderr, flush=True))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Bar(bars)


class Lines:
    """A line for each evaluation, with the training loss that was logged last."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.started: Started | None = None
        self.logged: Logged | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self.started = event
                self.say("\n".join(introduction(event)))
            case Noticed(diagnostic=diagnostic):
                self.say(diagnostic.render())
            case Logged():
                self.logged = event
            case Evaluated():
                self.say(self.line(event))
            case Saved():
                pass

    def line(self, event: Evaluated) -> str:
        total = self.started.setup.schedule.iterations if self.started else event.iteration
        words = [f"{event.iteration:>{len(f'{total:,}')},}/{total:,}", f"epoch {event.epoch}"]
        if self.logged is not None:
            words += [
                f"rate {self.logged.rate:g}",
                f"training loss {self.logged.loss:.4f}, error {self.logged.error:.2%}",
            ]
        words.append(f"test loss {event.loss:.4f}, error {event.error:.2%}{' (best)' if event.is_best else ''}")
        if self.logged is not None:
            words.append(_speed(self.logged))
            if self.started is not None and self.logged.iteration < total:
                words.append(f"{left(self.started.setup, self.logged)} left")
        return "  ".join(words)


class Bar(Lines):
    """The bar moves with the log, and evaluations scroll away above it."""

    def __init__(self, bars: Progress) -> None:
        super().__init__(lambda text: bars.console.print(text, markup=False, highlight=False, soft_wrap=True))
        self.bars = bars
        self.task: TaskID | None = None

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, Started):
            self.task = self.bars.add_task("", total=event.setup.schedule.iterations, completed=event.iteration)
        if isinstance(event, Logged) and self.task is not None and self.started is not None:
            words = (
                f"loss {event.loss:.4f}",
                f"error {event.error:.2%}",
                f"rate {event.rate:g}",
                _speed(event),
                f"{left(self.started.setup, event)} left",
            )
            self.bars.update(self.task, completed=event.iteration, description="  ".join(words))


def introduction(event: Started) -> list[str]:
    """What is trained on what, and how, a line each."""
    setup, recipe = event.setup, event.setup.recipe
    schedule, data = setup.schedule, setup.data
    summary = summarise(setup.network)
    named = f"{setup.network.name}: {summary.costs.parameters:,} parameters, {summary.units:,} units"
    resumed = f", from iteration {event.iteration:,} on" if event.iteration else ""
    return [
        f"{named}, reads {setup.network.input}",
        f"  data       {data.name}: {len(data.train):,} to train on, {len(data.test):,} to test with, {len(data.classes):,} classes",
        *_recipe_lines(recipe),
        f"  length     {schedule.iterations:,} iterations of {recipe.batch:,}, {schedule.per_epoch:,} an epoch{resumed}",
        f"  execution  {event.execution}",
        *(f"             {reason}" for reason in event.execution.reasons),
        f"  run        {event.run}, seed {setup.seed}",
    ]


def left(setup: Setup, event: Logged) -> str:
    """How long the run will still take at the speed of late, as 1:02:03."""
    remaining = (setup.schedule.iterations - event.iteration) * setup.recipe.batch
    seconds = round(remaining / event.samples_per_second) if event.samples_per_second > 0 else 0
    hours, minutes, seconds = seconds // HOUR, seconds % HOUR // MINUTE, seconds % MINUTE
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _recipe_lines(recipe: Recipe) -> list[str]:
    lines = [f"  recipe     {recipe.name} ({recipe.source})"]
    base = RECIPES.get(recipe.name)
    changed = differences(recipe, base) if base is not None else {}
    if changed:
        lines.append(f"             but {', '.join(f'{name} {value}' for name, value in changed.items())}")
    drops = [f"{step:,}" for step in recipe.steps]
    falls = f", times {recipe.factor:g} at {', '.join(drops)} {_unit(recipe)}" if drops else ""
    warm = f", {recipe.warmup_rate:g} for the first {recipe.warmup:,} iterations" if recipe.warmup else ""
    momentum = f"momentum {recipe.momentum:g}{' (Nesterov)' if recipe.nesterov else ''}"
    lines.append(f"             rate {recipe.rate:g}{falls}{warm}; {momentum}")
    decay = f"weight decay {recipe.weight_decay:g} on {shown(recipe.decay)}"
    return [*lines, f"             {decay}; batch {recipe.batch:,}"]


def _unit(recipe: Recipe) -> str:
    return "iterations" if recipe.unit is Unit.ITERATIONS else "epochs"


def _speed(event: Logged) -> str:
    return f"{event.samples_per_second:,.0f} samples/s"
