"""`resdsl compile`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

import click

from resdsl import api
from resdsl.cli.engine_options import ENGINE_OPTIONS, engine_options, watching
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
)
from resdsl.cli.options import (
    library_options,
    network_options,
    read_parameters,
    read_spec,
    reporting,
    weights_options,
)
from resdsl.spec import origin, spec_path
from resdsl.targets.endings import ENGINES_TEXT, is_engine
from resdsl.targets.precision import Form, Precision
from resdsl.targets.table import TARGETS, Request, Target
from resdsl.targets.tensorrt.options import EngineOptions, Via
from resdsl.writing import is_same_file, writing

MODULE_SUFFIX = ".ep"
"""Of exported programs of PyTorch, as torch-tensorrt's pages have it."""
ONNX_OPTIONS = MODEL_OPTIONS | {"weights", "seed", "compares", "opset", "functions", "external_data"}
"""Those that say nothing of a target without weights."""


@click.command("compile", no_args_is_help=True)
@click.argument("spec")
@click.option("--target", "-t", type=click.Choice(list(TARGETS)), required=True, help="What to write.")
@click.option("-o", "--output", "out", metavar="OUT", help="File to write, - for standard output.  [default: NAME.onnx, NAME.engine; text goes to standard output]")  # fmt: skip
@network_options
@weights_options("the initialisation from --seed")
@pass_options
@precision_option
@int8_options
@click.option("--verify/--no-verify", "compares", default=None, help="ONNX, trt: run the model beside the one without passes before it is written.  [default: up to 256 MiB of weights and 10,000 nodes]")  # fmt: skip
@click.option("--opset", type=int, help="ONNX opset.  [default: 21, 22 for bf16]")
@click.option("--functions", is_flag=True, help="ONNX, trt: one model-local function per distinct unit.")
@click.option("--external-data", is_flag=True, help="ONNX: weights in OUT.data, as from 2 GiB of them on.")
@engine_options()
def command(
    spec: str,
    target: str,
    out: str | None,
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
    compares: bool | None,
    opset: int | None,
    functions: bool,
    external_data: bool,
    engine: EngineOptions,
) -> None:
    """Write a network of SPEC for a target.

    SPEC is a file, std/NAME for a packaged spec, or - for standard input.

    \b
    resdsl compile specs/preact1001.resnet --target torch -o preact1001.py
    resdsl compile specs/preact1001.resnet --target onnx --weights trained.safetensors
    resdsl compile std/resnet164 --network preact164 -t onnx --precision int8 --calibration images.npy
    resdsl compile std/resnet110 --network resnet110 -p 'shortcut=scale(0.5)' -t json
    resdsl compile std/imagenet --network resnet50 -t trt --precision fp16 --weights trained.safetensors --batch 1:8:32
    """
    chosen = TARGETS[target]
    if out == "":
        raise click.UsageError("-o: the name of the output is empty")
    _require_about(chosen, engine)
    if engine.tf32 and precision in (Precision.FP16.value, Precision.BF16.value):
        raise click.UsageError(f"--tf32: this rounds float32, and there is none in {precision}")
    if chosen.name == "trt" and engine.via is not Via.TORCH_MODULE and out is not None and not is_engine(out):
        if out == "-":
            message = "-o -: an engine is checked against a second file beside it, and needs a folder to stand in"
            raise click.UsageError(message)
        raise click.UsageError(f"-o {out}: name a file that ends in {ENGINES_TEXT}, by which other commands know it")
    require_int8([precision])
    require_images(mean, std, calibration)
    with reporting():
        options = library_options(root, max_units)
        source, given_parameters = read_spec(spec), read_parameters(parameters)
        built = api.build(source, network, given_parameters, options=options)
        is_module = engine.via is Via.TORCH_MODULE
        suffix = MODULE_SUFFIX if is_module else chosen.suffix
        path = out or ("-" if chosen.is_text else f"{built.name}{suffix}")
        beside = os.path.realpath(path) + chosen.beside if chosen.beside and path != "-" and not is_module else None
        read = (None if spec == "-" else str(spec_path(spec)), weights, calibration)
        _require_new((path, beside, engine.timing_cache), read)
        _require_new((path, beside), (engine.timing_cache,))
        request = Request(
            built,
            weights=weights,
            seed=seed,
            opset=opset,
            functions=functions,
            passes=chosen_passes(level, names),
            precision=Precision(precision),
            calibration=read_inputs(calibration, built.input, mean, std),
            form=Form(form),
            compares=compares,
            external_data=external_data or None,
            origin=origin(source, given_parameters, options),
            engine=engine,
        )
        with writing(path) as output, watching() as watcher:
            written = chosen.emit(replace(request, watcher=watcher), output)
        if out is None and path == "-":
            return
        also = f", {written.beside} beside it" if written.beside else ""
        notes = [*written.notes]
        if beside is not None and written.beside is None and os.path.isfile(beside):
            notes.append(f"{os.path.basename(beside)}, from before, is no part of this model")
        where = "standard output" if path == "-" else path
        lines = [f"{where}: {built.name}, {written.size:,} bytes{also}", *(f"  {note}" for note in notes)]
        click.echo("\n".join(lines), err=True)


def _require_about(target: Target, engine: EngineOptions) -> None:
    """Wrong use: options that say nothing of what is written."""
    if not target.has_weights:
        refuse(ONNX_OPTIONS, f"a {target.name} file holds no weights and no ONNX")
    if target.name != "trt":
        refuse(ENGINE_OPTIONS, f"this is for `--target trt`, and {target.name} is no engine")
        return
    refuse(("external_data",), "an engine holds its weights")
    refuse(("form",), "an engine is always for TensorRT")
    if engine.via is not Via.ONNX:
        refuse(("opset", "functions", "compares"), f"with `--via {engine.via.value}` there is no ONNX model")


def _require_new(written: Iterable[str | None], read: Iterable[str | None]) -> None:
    """Wrong use: a file that this call reads and may replace."""
    for out, path in product(filter(None, written), filter(None, read)):
        if is_same_file(out, path):
            raise click.UsageError(f"{path} is read, and {out} would replace it; name another file with -o")
