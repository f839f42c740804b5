"""`resdsl evaluate`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resdsl._version import __version__
from resdsl.cli.model_options import refuse
from resdsl.cli.options import reporting
from resdsl.cli.train_options import PRECISIONS, DataFlags, data_options, device_option, opened_for, require_libraries
from resdsl.diagnostics import fail
from resdsl.recorded import NORMALISATION, classes_of, normalisation_of
from resdsl.targets.endings import COMPILED, is_compiled, is_engine
from resdsl.targets.onnx_provider import Provider

if TYPE_CHECKING:  # PyTorch comes with them
    from resdsl.train.compute.score import Score
    from resdsl.train.data.dataset import Dataset

OF_A_RUN = ("weights", "precision", "device")
SHOWN = 5
"""Pairs of classes that are confused most."""


@click.command("evaluate", no_args_is_help=True)
@click.argument("target")
@data_options
@click.option("--weights", default="best", show_default=True, metavar="best|last|FILE", help="A run: which of its weights, or a file of them or a checkpoint.")  # fmt: skip
@click.option("--precision", type=click.Choice(PRECISIONS), help="A run: of activations.  [default: its own on a GPU, fp32 on a CPU]")  # fmt: skip
@device_option
@click.option("--run", "run", type=click.Path(path_type=Path), metavar="RUN", help="A model: the run whose normalisation it needs, where it records none.")  # fmt: skip
@click.option("--provider", type=click.Choice([provider.value for provider in Provider]), default=Provider.CPU.value, show_default=True, help="ONNX models: what computes.")  # fmt: skip
@click.option("--per-class", is_flag=True, help="Also the error of each class.")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON, with the confusion matrix.")
def command(
    target: str,
    data: DataFlags,
    weights: str,
    precision: str | None,
    device: str | None,
    run: Path | None,
    provider: str,
    per_class: bool,
    as_json: bool,
) -> None:
    """Say what TARGET gets wrong on a test set: a run's folder, an ONNX model or an engine.

    A run is evaluated in PyTorch, on the data that it was trained on unless --data names others. A model is evaluated on --data, which its
    normalisation fits: `resdsl export` records that in the model.

    \b
    resdsl evaluate runs/try
    resdsl evaluate runs/preact110 --data cifar10 --root data/ --per-class
    resdsl evaluate preact110.onnx --data cifar10 --root data/ --json
    """
    if as_json and per_class:
        raise click.UsageError("--per-class: --json holds what every class is called")
    if is_compiled(target):
        refuse(OF_A_RUN, f"this is about a run, and {target} is a model")
    else:
        refuse(("run",), f"this is about a model, and {target} is none")
        refuse(("provider",), f"this is about ONNX models, and {target} is none")
    if is_engine(target):
        refuse(("provider",), f"this is about ONNX models, and {target} is an engine")
    with reporting():
        require_libraries()
        if is_compiled(target):
            title, opened, score = _of_model(target, data, run, Provider(provider))
        else:
            title, opened, score = _of_run(target, data, weights, device, precision)
    if as_json:
        click.echo(json.dumps(_document(target, opened, score), indent=2, ensure_ascii=False))
        return
    lines = [f"{title} on {opened.name}", *_lines(opened.classes, score)]
    click.echo("\n".join([*lines, *_classes(opened.classes, score)] if per_class else lines))


def _of_run(
    target: str, data: DataFlags, weights: str, device: str | None, precision: str | None
) -> tuple[str, Dataset, Score]:
    from resdsl.train.compute.devices import device_named
    from resdsl.train.compute.execution import Precision
    from resdsl.train.evaluate import evaluate_run
    from resdsl.train.trained import notes_on, open_run

    if not os.path.isdir(target):
        what = "is a file, and no model" if os.path.isfile(target) else "is not there"
        help = f"the folder of a run, or a model that ends in {', '.join(COMPILED)}"
        raise fail("no-run", f"{target} {what}", help=help)
    place = device_named(device)
    trained = open_run(Path(target), weights)
    opened = opened_for(trained, data)
    for note in notes_on(trained, opened):
        click.echo(note, err=True)
    chosen = None if precision is None else Precision(precision)
    return str(trained), opened, evaluate_run(trained, opened, place, chosen)


def _of_model(target: str, data: DataFlags, run: Path | None, provider: Provider) -> tuple[str, Dataset, Score]:
    from resdsl.targets.model import notes_of, open_model, runtime_of
    from resdsl.train.evaluate import evaluate_model
    from resdsl.train.trained import listed, notes_on, open_run

    trained = None if run is None else open_run(run)
    if trained is None and data.name is None:
        raise click.UsageError("--data: a model does not say what it was trained on; name the data, or --run its run")
    model = open_model(target, provider)
    by = trained.by if trained else normalisation_of(model.metadata, target)
    if by is None:
        message = f"{target} does not say how its inputs are normalised (no {NORMALISATION} in its metadata)"
        raise fail("no-normalisation", message, help="`--run RUN` takes it from the run; `resdsl export` records it")
    opened = opened_for(trained, data)
    named = classes_of(model.metadata, target)
    if named is not None and named != opened.classes:
        raise fail(
            "wrong-data", f"{target} is for the classes {listed(named)}, and {opened.name} has {listed(opened.classes)}"
        )
    for note in (*notes_of(model), *(notes_on(trained, opened) if trained else ())):
        click.echo(note, err=True)
    return f"{target} ({runtime_of(model)})", opened, evaluate_model(model, opened, by)


def _lines(classes: Sequence[str], score: Score) -> list[str]:
    lines = [
        f"  error  {score.error:.2%}, {score.wrong:,} of {score.samples:,} wrong",
        f"  loss   {score.loss:.4f}",
    ]
    rows = score.counts
    pairs = [(count, i, j) for i, row in enumerate(rows) for j, count in enumerate(row) if i != j and count]
    worst = sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:SHOWN]
    said = [f"{classes[i]} as {classes[j]} ({count:,})" for count, i, j in worst]
    return [*lines, f"  most   {', '.join(said)}"] if said else lines


def _classes(classes: Sequence[str], score: Score) -> list[str]:
    rows = score.counts
    width = max(len(name) for name in classes)
    lines = [f"  {'class':<{max(width, 5)}}  samples   wrong    error"]
    for index, (name, row) in enumerate(zip(classes, rows, strict=True)):
        total, wrong = sum(row), sum(row) - row[index]
        error = f"{wrong / total:>8.2%}" if total else f"{'-':>8}"
        lines.append(f"  {name:<{max(width, 5)}}  {total:>7,} {wrong:>7,} {error}")
    return lines


def _document(target: str, data: Dataset, score: Score) -> dict[str, object]:
    return {
        "resdsl": __version__,
        "target": target,
        "data": data.name,
        "samples": score.samples,
        "wrong": score.wrong,
        "error": score.error,
        "loss": score.loss,
        "classes": list(data.classes),
        "confusion": score.counts,
    }
