"""Trains a network of a spec on data: the whole run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from resdsl.diagnostics import fail
from resdsl.network.initial import initial_weights
from resdsl.spec import Options, Parameter
from resdsl.train import checkpoint, log
from resdsl.train.batches import Batches, Resident, Share
from resdsl.train.checkpoint import Best
from resdsl.train.data.dataset import Arrays, Dataset
from resdsl.train.data.digits import digits
from resdsl.train.evaluate import Score
from resdsl.train.events import Evaluated, Event, Logged, Started
from resdsl.train.execution import Execution, Precision, Wanted, choose
from resdsl.train.folder import LAST, NAME, begin, require_same
from resdsl.train.loop import Intervals, Loop
from resdsl.train.model import state_of, training_module
from resdsl.train.parallel import own, processes, together
from resdsl.train.recipe import Recipe, recipe_named
from resdsl.train.setup import Setup, Spec, setup
from resdsl.train.stopping import stopping

LOG_EVERY = 50


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What became of a run. run: its folder. finished: whether it came to its end; otherwise it can be resumed. score: of the
    last weights on the test set; None if it did not finish. best: the least error on it of all evaluations. history: the log.
    signal: what ended it before its end.
    """

    run: Path
    finished: bool
    iteration: int
    score: Score | None
    best: Best | None
    history: tuple[Logged | Evaluated, ...]
    execution: Execution
    signal: int | None = None


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
) -> Result:
    """Trains, and leaves in the folder `run` what came of it.

    recipe: one of resdsl.train.recipe.RECIPES by name, or one of your own. data: a data set, or the name of one, as for open_data
    with `root`. device: by default `cuda` where there is one. resume: goes on from the newest checkpoint in `run`, which must be of
    the same spec, recipe, data and seed. listener: is told what happens, as it happens. SIGTERM and Ctrl-C end the run after the
    step, with a checkpoint. Raises SpecError.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    folder = Path(run)
    with processes(place) as share, stopping() as stops:
        with together():
            recipe = recipe_named(recipe) if isinstance(recipe, str) else recipe
            data = digits() if isinstance(data, str) else data
            made = setup(spec, recipe, data, network=network, parameters=parameters, seed=seed, options=options)
            place = own(place)
            execution = choose(wanted, place, share)
            _require_shares(made, execution, share)
        loop = _loop(made, execution, place, share, folder, intervals, listener)
        _begin(folder, loop, resume=resume)
        with together():
            if share.rank == 0:
                loop.listener(Started(made, execution, folder, loop.iteration))
        finished = loop.train(stops)
        score = loop.score() if finished else None
        with together():
            if finished and share.rank == 0:
                checkpoint.write_weights(state_of(loop.module), folder / LAST)
    return Result(
        folder, finished, loop.iteration, score, loop.best, tuple(log.history(folder)), execution, stops.signal
    )


def _loop(
    made: Setup,
    execution: Execution,
    device: torch.device,
    share: Share,
    folder: Path,
    intervals: Intervals | None,
    listener: Callable[[Event], None] | None,
) -> Loop:
    if intervals is None:
        intervals = Intervals(min(LOG_EVERY, made.schedule.per_epoch), made.schedule.per_epoch)
    with together():
        module = training_module(made.network, initial_weights(made.network, made.seed), execution, device)
        batches = _batches(made, execution, device, share)
    return Loop(made, module, batches, execution, intervals, folder, listener or (lambda event: None), share)


def _batches(made: Setup, execution: Execution, device: torch.device, share: Share) -> Batches:
    if isinstance(made.data, Arrays):
        dtype = torch.float64 if execution.precision is Precision.FP64 else torch.float32
        return Resident(made.data, made.recipe, made.by, seed=made.seed, device=device, dtype=dtype, share=share)
    raise NotImplementedError


def _begin(folder: Path, loop: Loop, *, resume: bool) -> None:
    """A new folder, or the run that stands in it, from its newest checkpoint on. The first process alone reads and writes it."""
    with together():
        if loop.share.rank == 0:
            _open(folder, loop, resume=resume)
    loop.follow()


def _open(folder: Path, loop: Loop, *, resume: bool) -> None:
    if not resume or not (folder / NAME).is_file():
        begin(folder, loop.setup, loop.execution, loop.share)
        return
    require_same(folder, loop.setup, loop.share)
    found = checkpoint.checkpoints(folder)
    if found:
        loop.restore(checkpoint.read(found[-1]))
    log.restart(folder, log.history(folder, loop.iteration))


def _require_shares(made: Setup, execution: Execution, share: Share) -> None:
    parts = share.world * execution.accumulate
    if made.recipe.batch % parts:
        what = f"{share.world} processes" if share.world > 1 else "one process"
        message = f"a batch of {made.recipe.batch} is not divided by {what} with {execution.accumulate} parts each"
        raise fail("wrong-batch", message, help=f"`--batch {max(1, made.recipe.batch // parts) * parts}`, say")
