"""Trains a network of a spec on data: the whole run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from resdsl.diagnostics import Diagnostic, fail
from resdsl.network.initial import initial_weights
from resdsl.network.types import Image
from resdsl.spec import Options, Parameter
from resdsl.train.compute import memory
from resdsl.train.compute.devices import device_named
from resdsl.train.compute.execution import Execution, Precision, Wanted, choose, in_force
from resdsl.train.compute.model import is_random, state_of, training_module
from resdsl.train.compute.norms import least_positions
from resdsl.train.compute.parallel import own, processes, together
from resdsl.train.compute.score import Score
from resdsl.train.data.batches import Batches, Resident, Share
from resdsl.train.data.dataset import Arrays, Dataset
from resdsl.train.data.open import open_data
from resdsl.train.data.pictures import Pictures
from resdsl.train.recipe import Recipe, recipe_named
from resdsl.train.run import checkpoint, folder, lock, log
from resdsl.train.run.checkpoint import Best
from resdsl.train.run.environment import Environment, environment
from resdsl.train.run.events import Evaluated, Event, Logged, Noticed, Started
from resdsl.train.run.loop import Intervals, Loop, intervals_of
from resdsl.train.run.resume import newest, without_checkpoint
from resdsl.train.run.stopping import stopping
from resdsl.train.setup import Setup, Spec, setup


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What became of a run. run: its folder. finished: whether it came to its end; otherwise it can be resumed. score: of the
    last weights on the test set; None if it did not finish. best: the least error on it of all evaluations. history: the log.
    signal: what ended it before its end. seconds: of all its steps, without evaluations and saving. notices: what a person
    should know of how it was resumed.
    """

    run: Path
    finished: bool
    iteration: int
    score: Score | None
    best: Best | None
    history: tuple[Logged | Evaluated, ...]
    execution: Execution
    signal: int | None = None
    seconds: float = 0.0
    notices: tuple[Diagnostic, ...] = ()


def fit(
    spec: Spec,
    recipe: Recipe | str = "digits",
    data: Dataset | str = "digits",
    *,
    run: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    network: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    seed: int = 0,
    wanted: Wanted = Wanted(),
    device: str | torch.device | None = None,
    resume: bool = False,
    intervals: Intervals | None = None,
    listener: Callable[[Event], None] | None = None,
    options: Options = Options(),
    workers: int | None = None,
    command: Sequence[str] = (),
) -> Result:
    """Trains, and leaves in the folder `run` what came of it.

    recipe: one of resdsl.train.recipe.RECIPES by name, or one of your own. data: a data set, or the name of one, as for open_data
    with `root`. device: by default `cuda` where there is one. resume: goes on from the newest checkpoint in `run`, which must be of
    the same spec, recipe, data and seed; only the recipe's length may be another, if the run has not gone further. A run that has
    ended stays as it is. listener: is told what happens, as it happens. workers: processes that read images. command: words for the
    run's records. SIGTERM, SIGHUP, SIGUSR1 and Ctrl-C end the run after the step, with a checkpoint. Raises SpecError.
    """
    place = device_named(None if device is None else str(device))
    run = Path(run)
    with processes(place) as share, stopping() as stops, ExitStack() as stack:
        with together():
            recipe = recipe_named(recipe) if isinstance(recipe, str) else recipe
            data = open_data(data, None if root is None else Path(root)) if isinstance(data, str) else data
            made = setup(spec, recipe, data, network=network, parameters=parameters, seed=seed, options=options)
            place = own(place)
            execution = choose(wanted, place, share, draws=is_random(made.network))
            _require_shares(made, execution, share)
            _require_variance(made, execution, share)
        with together():
            if share.rank == 0:
                _enter(stack, run, made, share, resume=resume)
        stack.enter_context(in_force(execution, place))
        with together():
            loop = _loop(made, execution, place, share, run, intervals, listener, workers)
        notices: list[Diagnostic] = []
        with together():
            if share.rank == 0:
                notices = _open(run, loop, environment(place, command))
        loop.follow()
        with together():
            if share.rank == 0:
                for event in (Started(made, execution, run, loop.iteration), *map(Noticed, notices)):
                    loop.listener(event)
        finished = loop.train(stops, stops.alone)
        score = (loop.scored or loop.score()) if finished else None
        with together():
            if finished and share.rank == 0:
                checkpoint.write_weights(state_of(loop.module), run / folder.LAST)
    history = tuple(log.history(run))
    return Result(
        run, finished, loop.iteration, score, loop.best, history, execution, stops.signal, loop.seconds, tuple(notices)
    )


def _enter(stack: ExitStack, run: Path, made: Setup, share: Share, *, resume: bool) -> None:
    """Holds the folder, if the run may begin there or go on. Raises SpecError."""
    if resume and (run / folder.NAME).is_file():
        folder.require_same(run, made, share)
        stack.enter_context(lock.held(run))
        return
    folder.require_vacant(run)
    stack.enter_context(lock.held(run))
    folder.require_vacant(run)  # another process may have begun and ended in between


def _loop(
    made: Setup,
    execution: Execution,
    device: torch.device,
    share: Share,
    run: Path,
    intervals: Intervals | None,
    listener: Callable[[Event], None] | None,
    workers: int | None,
) -> Loop:
    if intervals is None:
        intervals = intervals_of(made.schedule.per_epoch)
    try:
        module = training_module(made.network, initial_weights(made.network, made.seed), execution, device)
        batches = _batches(made, execution, device, share, workers)
        return Loop(made, module, batches, execution, intervals, run, listener or (lambda event: None), share)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not memory.is_lack_of_memory(error):
            raise
        raise memory.without_room(device, "the network, its momentum and the data") from None


def _batches(made: Setup, execution: Execution, device: torch.device, share: Share, workers: int | None) -> Batches:
    dtype = torch.float64 if execution.precision is Precision.FP64 else torch.float32
    layout, seed = execution.layout, made.seed
    if isinstance(made.data, Arrays):
        return Resident(
            made.data, made.recipe, made.by, seed=seed, device=device, dtype=dtype, layout=layout, share=share
        )
    shape = made.network.input
    assert isinstance(shape, Image)  # `setup` refuses any other for files
    return Pictures(
        made.data, made.recipe, made.by, shape, seed=seed, device=device, dtype=dtype, layout=layout, share=share,
        workers=workers,
    )  # fmt: skip


def _open(run: Path, loop: Loop, environment: Environment) -> list[Diagnostic]:
    """A new folder, or the run that stands in it, from its newest checkpoint on. The first process alone reads and writes it. Returns
    what a person should know.
    """
    if not (run / folder.NAME).is_file():
        folder.begin(run, loop.setup, loop.execution, loop.share, environment)
        return []
    folder.sweep(run)
    state, notices = newest(run, loop)
    if state is None:
        notices = without_checkpoint(run)
    else:
        loop.restore(state)
    folder.require_same(run, loop.setup, loop.share, loop.iteration)
    if not loop.is_done:
        notices += folder.go_on(run, loop.setup, loop.execution, loop.share, environment, loop.iteration)
        (run / folder.LAST).unlink(missing_ok=True)
    log.restart(run, _history(run, loop))
    if state is not None:  # it may have been killed between a checkpoint and what follows it
        checkpoint.thin(run, loop.intervals.keep)
        if loop.best is not None and loop.best.iteration == loop.iteration:
            checkpoint.write_weights(state_of(loop.module), run / folder.BEST)
    return notices


def _history(run: Path, loop: Loop) -> list[Logged | Evaluated]:
    """The log up to where the run goes on; an evaluation that is still due is none of it."""
    return [
        event
        for event in log.history(run, loop.iteration)
        if not (loop.is_due and isinstance(event, Evaluated) and event.iteration == loop.iteration)
    ]


def _require_shares(made: Setup, execution: Execution, share: Share) -> None:
    parts = share.world * execution.accumulate
    if made.recipe.batch % parts:
        what = f"{share.world} processes" if share.world > 1 else "one process"
        message = f"a batch of {made.recipe.batch} is not divided by {what} with {execution.accumulate} parts each"
        raise fail("wrong-batch", message, help=f"`--batch {max(1, made.recipe.batch // parts) * parts}`, say")


def _require_variance(made: Setup, execution: Execution, share: Share) -> None:
    """Batch norms see at least two values of each channel at once."""
    local = made.recipe.batch // share.world
    at_once = local // execution.accumulate * (share.world if execution.sync_norm else 1)
    positions = least_positions(made.network)
    if positions is None or at_once * positions > 1:
        return
    message = f"a batch norm of {made.network.name} sees one value of each channel at a time, which has no variance"
    parts = next((parts for parts in range(local // 2, 0, -1) if local % parts == 0), None)
    if parts is None:
        raise fail("wrong-batch", message, help=f"`--batch {2 * share.world}` or more")
    raise fail("wrong-batch", message, help=f"`--accumulate {parts}` or fewer parts, of 2 samples or more")
