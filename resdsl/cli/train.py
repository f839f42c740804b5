"""`resdsl train`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resdsl.cli.options import read_spec, reporting
from resdsl.cli.train_options import (
    DataFlags,
    ExecutionFlags,
    RecipeFlags,
    SpecFlags,
    data_options,
    device_option,
    execution_options,
    recipe_options,
    require_libraries,
    spec_options,
    workers_option,
)

if TYPE_CHECKING:  # PyTorch comes with them
    from resdsl.train.run.events import Event
    from resdsl.train.run.fit import Result

LOGS = ("csv", "tensorboard")
DEFAULT_DATA = "digits"


@click.command("train", no_args_is_help=True)
@click.argument("spec")
@click.option("-o", "--output", "run", type=click.Path(path_type=Path), required=True, metavar="RUN", help="Folder of the run, a new one.")  # fmt: skip
@data_options
@recipe_options
@spec_options
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the initial weights, the order of the data, its augmentation.")  # fmt: skip
@execution_options
@device_option
@workers_option
@click.option(
    "--resume", is_flag=True, help="Go on with the run in RUN, if there is one: same spec, recipe, data, seed."
)
@click.option("--keep", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="How many checkpoints stand.")  # fmt: skip
@click.option("--log-every", type=click.IntRange(1), metavar="N", help="Iterations between lines of the log.  [default: 50, an epoch at most]")  # fmt: skip
@click.option("--evaluate-every", type=click.IntRange(1), metavar="N", help="Iterations between evaluations, each with a checkpoint.  [default: an epoch]")  # fmt: skip
@click.option("--logger", "logs", type=click.Choice(LOGS), multiple=True, help="Also this log, beside log.jsonl; may be repeated.")  # fmt: skip
def command(
    spec: str,
    run: Path,
    data: DataFlags,
    recipe: RecipeFlags,
    which: SpecFlags,
    seed: int,
    execution: ExecutionFlags,
    device: str | None,
    workers: int | None,
    resume: bool,
    keep: int,
    log_every: int | None,
    evaluate_every: int | None,
    logs: tuple[str, ...],
) -> None:
    """Train a network of SPEC on data, as a recipe says, and leave in the folder RUN what came of it.

    Without --data it trains on scikit-learn's digits, which need no download. SIGTERM and Ctrl-C end the run after the step, with a
    checkpoint; --resume goes on from there.

    \b
    resdsl train std/cifar --network preact20 -o runs/try
    resdsl train std/resnet110 --network preact110 --data cifar10 --root data/ -o runs/preact110
    resdsl train mine.resnet --data mine.npz --recipe mine.toml --epochs 20 -o runs/mine --resume
    torchrun --nproc-per-node 8 -m resdsl train std/imagenet --network resnet50 --data imagenet --root data/ -o runs/resnet50
    """
    with reporting():
        require_libraries()
        from resdsl.train.compute.devices import device_named
        from resdsl.train.compute.parallel import from_first, processes, together
        from resdsl.train.run.fit import fit
        from resdsl.train.run.folder import NAME, recipe_of
        from resdsl.train.run.loop import intervals_of
        from resdsl.train.run.progress import progress
        from resdsl.train.run.side_log import SideLog
        from resdsl.train.schedule import schedule

        place = device_named(device)
        with processes(place) as share:
            with together():
                is_begun = share.rank == 0 and resume and (run / NAME).is_file()
                begun = recipe_of(run) if is_begun else None
            begun = from_first(begun)  # the others may not see the folder
            with together():
                opened = data.opened(DEFAULT_DATA)
                chosen = recipe.chosen(opened.name, len(opened.train), begun)
                per_epoch = schedule(chosen, len(opened.train)).per_epoch
                listeners = _logs(run, logs) if share.rank == 0 else []
            with progress() if share.rank == 0 else nullcontext(_silent) as shown:
                result = fit(
                    read_spec(spec),
                    chosen,
                    opened,
                    run=run,
                    network=which.network,
                    parameters=which.parameters,
                    seed=seed,
                    wanted=execution.wanted(),
                    device=place,
                    resume=resume,
                    intervals=intervals_of(per_epoch, log_every, evaluate_every, keep),
                    listener=_together([shown, *(SideLog(each, shown) for each in listeners)]),
                    options=which.options,
                    workers=workers,
                    command=sys.argv,
                )
            if share.rank == 0:
                _conclude(result)
    if not result.finished:
        raise SystemExit(128 + (result.signal or 0))


def _logs(run: Path, names: Sequence[str]) -> list[Callable[[Event], None]]:
    from resdsl.train.run.csv_log import CsvLog
    from resdsl.train.run.tensorboard import TensorBoard

    kinds: dict[str, Callable[[Path], Callable[[Event], None]]] = {"csv": CsvLog, "tensorboard": TensorBoard}
    return [kinds[name](run) for name in dict.fromkeys(names)]


def _silent(event: Event) -> None:
    """Of several processes the first one shows the run."""


def _together(listeners: Sequence[Callable[[Event], None]]) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


def _conclude(result: Result) -> None:
    if not result.finished:
        click.echo(f"{result.run}: saved at iteration {result.iteration:,}; `--resume` goes on", err=True)
        return
    from resdsl.train.report.write import write_report

    report = write_report(result.run, result.score)
    if report.missing is not None:
        click.echo(report.missing.render(), err=True)
    score, best = result.score, result.best
    words = f"{result.run}: test error {score.error:.2%}, loss {score.loss:.4f}" if score else f"{result.run}: done"
    least = f"; least {best.error:.2%}, at iteration {best.iteration:,}" if best else ""
    click.echo(f"{words}{least}; {report.files[0]}")
