"""`resdsl reproduce`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resdsl.cli.options import on_terminal, reporting
from resdsl.cli.train_options import (
    DataFlags,
    ExecutionFlags,
    RecipeFlags,
    data_options,
    device_option,
    execution_options,
    recipe_options,
    require_libraries,
)
from resdsl.diagnostics import fail

if TYPE_CHECKING:  # PyTorch comes with them
    from resdsl.train.reproduce.measured import Measurement
    from resdsl.train.reproduce.outcome import Outcome
    from resdsl.train.reproduce.plan import Plan, Trial
    from resdsl.train.reproduce.run import How, Interrupted
    from resdsl.train.run.events import Event

    Outcomes = Iterator[tuple[Trial, Outcome | Interrupted]]

TABLES = ("table1", "table2", "table3")
DEMYSTIFY = "demystify"
"""In the place of a table: the figures of another paper, by a command with options of its own."""
PLACES = ("slurm", "ray")
OURS = frozenset({"elsewhere", "only", "seeds", "seed", "as_json", "collect"})
"""Options that a task of an array is not given as they were given here."""


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """Where runs go to. gpus: of each."""

    place: str | None
    gpus: float


class _Reproduce(click.Command):
    """Hands `reproduce demystify …` to its command, for running, help and completion alike."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] != [DEMYSTIFY]:
            return super().make_context(info_name, args, parent, **extra)
        from resdsl.cli.reproduce_demystify import command as demystify

        return demystify.make_context(f"{info_name} {DEMYSTIFY}", args[1:], parent, **extra)


@click.command("reproduce", cls=_Reproduce, no_args_is_help=True)
@click.argument("table", type=click.Choice((*TABLES, DEMYSTIFY)))
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Folder of the runs, FOLDER/VARIANT/seedN, and of the table.")  # fmt: skip
@data_options
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, metavar="N", help="Train each variant with the seeds 0 to N - 1.")  # fmt: skip
@click.option("--depth", "layers", type=click.IntRange(1), metavar="LAYERS", help="Another depth of all networks than the paper's.")  # fmt: skip
@click.option(
    "--only", multiple=True, metavar="VARIANT", help="Only this variant; may be repeated. No table is written."
)
@click.option("--seed", type=click.IntRange(0), help="Only this seed. No table is written.")
@click.option("--collect", is_flag=True, help="Train nothing: the table of what there is.")
@click.option("--with", "elsewhere", type=click.Choice(PLACES), help="slurm: print a job array and train nothing. ray: a task for each run.")  # fmt: skip
@click.option("--gpus", type=click.FloatRange(0, 64), default=1, show_default=True, help="With slurm and ray: GPUs of each run.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The table as JSON.")
@recipe_options
@execution_options
@device_option
def command(
    table: str,
    folder: Path,
    data: DataFlags,
    seeds: int,
    layers: int | None,
    only: tuple[str, ...],
    seed: int | None,
    collect: bool,
    elsewhere: str | None,
    gpus: float,
    as_json: bool,
    recipe: RecipeFlags,
    execution: ExecutionFlags,
    device: str | None,
) -> None:
    """Train the networks of a table of He et al. 2016, Identity Mappings, and print its errors beside those measured.

    Runs that are at their end are not repeated, and one that was interrupted goes on: repeat the command. The paper's setting is
    CIFAR-10 for 64,000 iterations with 5 seeds. Digits at a small depth take minutes on a CPU, and say little of it.

    The figures of Li et al. 2016, Demystifying ResNet, are a command of their own: `resdsl reproduce demystify --help`.

    \b
    resdsl reproduce table2 --data cifar10 --root data/ -o runs
    resdsl reproduce table1 --data digits --depth 20 --iterations 150 --seeds 1 -o runs/digits
    resdsl reproduce table1 --data cifar10 --root data/ -o runs --with slurm > table1.sh
    """
    if table == DEMYSTIFY:
        raise click.UsageError(f"{DEMYSTIFY} stands before its options: resdsl reproduce {DEMYSTIFY} …")
    if data.name is None:
        raise click.UsageError(
            "name the data with --data: cifar10 and cifar100 are the paper's, digits need no download"
        )
    if elsewhere is not None and collect:
        raise click.UsageError("--collect trains nothing, and --with says where to train")
    with reporting():
        require_libraries()
        _require_one_process()
        from resdsl.train.reproduce.measured import measurement
        from resdsl.train.reproduce.plan import plan
        from resdsl.train.reproduce.run import How
        from resdsl.train.reproduce.tables import TABLES as PAPERS
        from resdsl.train.reproduce.write import write_table

        planned = plan(
            PAPERS[table], data.name, folder, seeds=range(seeds) if seed is None else (seed,), layers=layers, only=only
        )
        if elsewhere == "slurm":
            _print_script(planned, gpus)
            return
        opened = data.opened(data.name)
        how = How(recipe.chosen(opened.name, len(opened.train)), opened, execution.wanted(), device)
        outcomes, signal = _outcomes(planned, how, data, _Elsewhere(elsewhere, gpus), collect=collect)
        measured = measurement(planned, opened.name, how.recipe, outcomes)
        if not only and seed is None:
            files, missing = write_table(measured)
            click.echo(f"{folder}: {', '.join(file.name for file in files)}", err=True)
            if missing is not None:
                click.echo(missing.render(), err=True)
    _show(measured, as_json=as_json)
    if signal is not None:
        click.echo("interrupted, and saved: the same command goes on", err=True)
        raise SystemExit(128 + signal)


def _outcomes(
    planned: Plan, how: How, data: DataFlags, elsewhere: _Elsewhere, *, collect: bool
) -> tuple[dict[Trial, Outcome], int | None]:
    """Of all runs that are at their end, and the signal that ended one before it was."""
    from resdsl.train.reproduce.run import Interrupted, outcome_of

    done = {trial: outcome for trial in planned.trials if (outcome := outcome_of(trial, how)) is not None}
    left = [trial for trial in planned.trials if trial not in done]
    if collect:
        return done, None
    if done and left:
        click.echo(f"{len(done)} of {len(planned.trials)} runs are at their end already", err=True)
    trained = _on_ray(left, how, data, elsewhere.gpus) if elsewhere.place == "ray" else _here(left, how)
    for count, (trial, outcome) in enumerate(trained, 1):
        if isinstance(outcome, Interrupted):
            return done, outcome.signal
        done[trial] = outcome
        clear = "\x1b[K" if on_terminal() else ""
        click.echo(f"{clear}{count} of {len(left)}: {_named(trial)}: {_said(outcome)}", err=True)
    return done, None


def _here(left: list[Trial], how: How) -> Outcomes:
    """One after the other."""
    from resdsl.train.reproduce.run import train

    for count, trial in enumerate(left, 1):
        yield trial, train(trial, how, _progress(f"{count} of {len(left)}: {_named(trial)}"))


def _on_ray(left: list[Trial], how: How, data: DataFlags, gpus: float) -> Outcomes:
    from resdsl.train.data.open import DATASETS
    from resdsl.train.reproduce.on_ray import Task, ray_outcomes

    assert data.name is not None
    name = data.name if data.name in DATASETS else str(Path(data.name).resolve())
    root = data.root and data.root.resolve()
    return ray_outcomes([Task(trial, how.recipe, name, root, how.wanted, how.device) for trial in left], gpus)


def _progress(name: str) -> Callable[[Event], None] | None:
    """Where a run stands, in one line of a terminal."""
    if not on_terminal():
        return None
    from resdsl.train.run.events import Evaluated, Logged

    def tell(event: Event) -> None:
        match event:
            case Logged():
                words = f"training loss {event.loss:.4f}"
            case Evaluated():
                words = f"test error {event.error:.2%}"
            case _:
                return
        click.echo(f"\r\x1b[K{name}: iteration {event.iteration:,}, {words}\r", nl=False, err=True)

    return tell


def _show(measured: Measurement, *, as_json: bool) -> None:
    from resdsl.train.reproduce import table_text

    if as_json:
        click.echo(table_text.document(measured), nl=False)
    elif not sys.stdout.isatty():
        click.echo(table_text.plain(measured), nl=False)
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table(title=table_text.heading(measured), title_justify="left")
        for index, name in enumerate(table_text.columns(measured)):
            table.add_column(name, justify="left" if index < 2 else "right", overflow="fold")
        for row in table_text.cells(measured):
            table.add_row(*row)
        console = Console(highlight=False, markup=False)
        console.print(table)
        console.print("\n".join(table_text.remarks(measured)))


def _print_script(planned: Plan, gpus: float) -> None:
    from resdsl.train.reproduce.slurm import slurm_script

    if gpus != int(gpus):
        raise click.UsageError(f"--gpus {gpus:g}: Slurm gives whole GPUs")
    click.echo(slurm_script(planned, ["resdsl", "reproduce", *_given()], int(gpus)), nl=False)


def _given() -> list[str]:
    """The words of this command line that a task of an array repeats."""
    ctx = click.get_current_context()
    words: list[str] = []
    for param in ctx.command.params:
        name = param.name or ""
        if name in OURS | {"gpus"} or ctx.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[name]
        if isinstance(param, click.Argument):
            words.append(str(value))
        elif isinstance(param, click.Option) and param.is_flag:
            words.append(param.opts[-1] if value else param.secondary_opts[-1])
        else:
            for each in value if param.multiple else (value,):
                words += [param.opts[-1], str(each)]
    return words


def _require_one_process() -> None:
    if "TORCHELASTIC_RUN_ID" in os.environ:
        message = "reproduce trains one run after the other, each in one process"
        raise fail(
            "unsupported-option",
            message,
            help="start it without torchrun; `--with slurm` and `--with ray` use more GPUs",
        )


def _named(trial: Trial) -> str:
    return f"{trial.row.variant.name}, seed {trial.seed}"


def _said(outcome: Outcome) -> str:
    from resdsl.train.reproduce.outcome import Diverged

    return outcome.reason if isinstance(outcome, Diverged) else f"{outcome.error:.2%}"
