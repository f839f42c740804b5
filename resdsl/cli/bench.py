"""`resdsl bench`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import click

from resdsl import api
from resdsl._version import __version__
from resdsl.bench.machine import machine
from resdsl.bench.measure import SECONDS
from resdsl.bench.models import Measurement, Model, Row, measure_models
from resdsl.cli.model_options import (
    MODEL_OPTIONS,
    Numbers,
    chosen_passes,
    int8_options,
    pass_options,
    precision_option,
    read_inputs,
    refuse,
    require_images,
    require_int8,
    require_threads,
)
from resdsl.cli.options import (
    library_options,
    network_options,
    on_terminal,
    read_parameters,
    read_spec,
    reporting,
    weights_options,
)
from resdsl.targets.endings import is_compiled, is_engine
from resdsl.targets.onnx_provider import Provider
from resdsl.targets.precision import Form, Precision
from resdsl.targets.table import TARGETS, Request

SPEC_OPTIONS = MODEL_OPTIONS | {"network", "parameters", "root", "max_units", "weights", "seed"}
"""Those that say nothing of a model."""


class _Counts(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1 on, with commas between."""

    name = "N,…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        try:
            counts = tuple(dict.fromkeys(int(part) for part in str(value).split(",")))
        except ValueError:
            counts = ()
        if not counts or min(counts) < 1:
            self.fail(f"{value!r} is no list of whole numbers from 1 on, such as 1,8,64", param, ctx)
        return counts


def _number(_: click.Context, option: click.Parameter, value: float) -> float:
    """NaN is in every range of click's."""
    if math.isnan(value):
        raise click.BadParameter("this is not a number", param=option)
    return value


@click.command("bench", no_args_is_help=True)
@click.argument("model")
@click.option(
    "--against", multiple=True, metavar="OTHER", help="Another ONNX model or engine to time beside it; may be repeated."
)
@click.option("--provider", type=click.Choice([provider.value for provider in Provider]), default=Provider.CPU.value, show_default=True, help="ONNX models: what computes.")  # fmt: skip
@click.option("--batch", "batches", type=_Counts(), metavar="N,…", default=None, help="Batch sizes.  [default: what the model is made for, or an engine is best at, or 1]")  # fmt: skip
@click.option("--threads", type=_Counts(), metavar="N,…", default=None, help="ONNX models: threads of the CPU.  [default: ONNX Runtime's choice]")  # fmt: skip
@click.option("--cuda-graph", is_flag=True, help="Engines: record and replay what they launch on the GPU.")
@click.option("--rounds", type=click.IntRange(1, 10_000), help="How often each is timed.  [default: 5 to 25, as --seconds allow]")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, 3600, min_open=True), callback=_number, default=SECONDS, show_default=True, help="Time for each.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The measurements as JSON.")
@network_options
@weights_options("the initialisation from --seed")
@pass_options
@precision_option
@int8_options
def command(
    model: str,
    against: tuple[str, ...],
    provider: str,
    batches: tuple[int, ...] | None,
    threads: tuple[int, ...] | None,
    cuda_graph: bool,
    rounds: int | None,
    seconds: float,
    as_json: bool,
    network: str | None,
    parameters: tuple[str, ...],
    root: Path | None,
    max_units: int,
    weights: str | None,
    seed: int,
    level: int | None,
    names: str | None,
    precision: str,
    calibration: str | None,
    form: str,
    mean: Numbers,
    std: Numbers,
) -> None:
    """Time a model: an ONNX model in ONNX Runtime, an engine in TensorRT.

    MODEL is a file that ends in .onnx, or in .engine, .plan or .trt, or a SPEC, which is compiled to ONNX first.

    \b
    resdsl bench std/resnet164 --network preact164 --batch 1,8,64 --threads 1,2
    resdsl bench std/resnet164 --network preact164 --precision int8 --calibration images/ --against fp32.onnx
    resdsl bench ours.onnx --against theirs.onnx --provider cuda --json
    resdsl bench preact164.engine --cuda-graph --against preact164.onnx --provider cuda
    """
    if is_compiled(model):
        refuse(SPEC_OPTIONS, f"{model} is compiled already")
    require_int8([precision])
    require_images(mean, std, calibration)
    require_threads(threads or ())
    for other in against:
        if not is_compiled(other):
            raise click.UsageError(f"--against {other}: only MODEL may be a spec; name a file that ends in .onnx or .engine")  # fmt: skip
    engines = [is_engine(each) for each in (model, *against)]
    if all(engines):
        refuse(("provider", "threads"), "this is about ONNX models, and there are engines alone")
    if not any(engines):
        refuse(("cuda_graph",), "this is about engines, and there is none")
    with reporting():
        if is_compiled(model):
            first = Model(model, model)
        else:
            options = library_options(root, max_units)
            built = api.build(read_spec(model), network, read_parameters(parameters), options=options)
            request = Request(
                built,
                weights=weights,
                seed=seed,
                passes=chosen_passes(level, names),
                precision=Precision(precision),
                calibration=read_inputs(calibration, built.input, mean, std),
                form=Form(form),
            )
            first = Model(built.name, TARGETS["onnx"].to_bytes(request))
        measurement = measure_models(
            [first, *(Model(other, other) for other in against)],
            provider=Provider(provider),
            batches=batches or (),
            threads=threads or (None,),
            cuda_graph=cuda_graph,
            rounds=rounds,
            seconds=seconds,
            told=_progress if on_terminal() else None,
        )
    click.echo(json.dumps(_document(measurement), indent=2) if as_json else _text(measurement))


def _progress(done: int, rounds: int) -> None:
    click.echo(f"\rround {done} of {rounds}" + ("\r\x1b[K" if done == rounds else ""), nl=False, err=True)


def _document(measurement: Measurement) -> dict[str, object]:
    onnx = next((model.runtime for model in measurement.models if model.providers), None)
    return {
        "resdsl": __version__,
        "onnxruntime": onnx.version if onnx else None,
        "machine": asdict(machine()),
        "provider": onnx.device if onnx else None,
        "models": [
            {
                "name": model.name,
                "runtime": asdict(model.runtime),
                "providers": list(model.providers),
                "nodes": None if model.nodes is None else dict(model.nodes),
                "difference": model.difference,
                "notes": list(model.notes),
            }
            for model in measurement.models
        ],
        "rows": [_row(row) for row in measurement.rows],
    }


def _row(row: Row) -> dict[str, object]:
    lower, upper = row.timing.quartiles
    return {
        "model": row.model,
        "batch": row.batch,
        "threads": row.threads,
        "seconds": row.timing.seconds,
        "lower_quartile": lower,
        "upper_quartile": upper,
        "images_per_second": row.timing.samples_per_second,
        "speed": row.speed,
        "calls": row.timing.calls,
        "rounds": list(row.timing.rounds),
    }


def _text(measurement: Measurement) -> str:
    here, rows = machine(), measurement.rows
    runtimes = list(dict.fromkeys(str(model.runtime) for model in measurement.models))
    width = max(len("model"), *(len(model.name) for model in measurement.models))
    lines = [
        f"{' and '.join(runtimes)}; {here.cpu}, {here.cores} cores; {len(rows[0].timing.rounds)} rounds",
        f"{'model':<{width}}  batch  threads  median ms  quartiles ms         images/s  × first",
    ]
    for row in rows:
        lower, upper = row.timing.quartiles
        spread = f"{1e3 * lower:.3f}–{1e3 * upper:.3f}"
        model = measurement.models[row.model]
        threads = str(row.threads or "auto") if model.providers else "–"
        lines.append(
            f"{model.name:<{width}}  {row.batch:>5}  {threads:>7}  "
            f"{1e3 * row.timing.seconds:>9.3f}  {spread:<17}  {row.timing.samples_per_second:>10,.1f}  {row.speed:>7.2f}"
        )
    for model in measurement.models:
        if len(runtimes) > 1:
            lines.append(f"{model.name}: {model.runtime}")
        lines += model.notes
        if len(model.nodes or ()) > 1:
            parts = ", ".join(f"{count} on {name}" for name, count in (model.nodes or {}).items())
            lines.append(f"{model.name}: nodes {parts}")
        if model.difference is not None:
            lines.append(
                f"{model.name}: its output differs by {model.difference:.1e} from that of {measurement.models[0].name}"
            )
    return "\n".join(lines)
