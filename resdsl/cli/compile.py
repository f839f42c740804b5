"""`resdsl compile`."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from resdsl import api
from resdsl.cli.options import (
    library_options,
    network_options,
    read_parameters,
    read_spec,
    reporting,
    weights_options,
)
from resdsl.cli.writing import write
from resdsl.targets.table import DEFAULT_OPSET, TARGETS, Request


@click.command("compile", no_args_is_help=True)
@click.argument("spec")
@click.option("--target", "-t", type=click.Choice(list(TARGETS)), required=True, help="What to write.")
@click.option("-o", "--output", "out", metavar="OUT", help="File to write, - for standard output.  [default: NAME.onnx; text goes to standard output]")  # fmt: skip
@network_options
@weights_options("the initialisation from --seed")
@click.option("--opset", type=int, default=DEFAULT_OPSET, show_default=True, help="ONNX opset.")
@click.option("--functions", is_flag=True, help="ONNX: one model-local function per distinct unit.")
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
    opset: int,
    functions: bool,
) -> None:
    """Write a network of SPEC for a target.

    SPEC is a file, std/NAME for a packaged spec, or - for standard input.

    \b
    resdsl compile specs/preact1001.resnet --target torch -o preact1001.py
    resdsl compile specs/preact1001.resnet --target onnx --weights trained.safetensors
    resdsl compile std/resnet110 --network resnet110 -p 'shortcut=scale(0.5)' -t json
    """
    chosen = TARGETS[target]
    if not chosen.has_weights:
        given = click.get_current_context().get_parameter_source
        for option in ("weights", "seed", "opset", "functions"):
            if given(option) is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"--{option}: a {target} file holds no weights and no ONNX")
    with reporting():
        options = library_options(root, max_units)
        built = api.build(read_spec(spec), network, read_parameters(parameters), options=options)
        data = chosen.emit(Request(built, weights, seed, opset, functions))
        path = out or ("-" if chosen.is_text else f"{built.name}{chosen.suffix}")
        write(data, path)
        if path != "-":
            click.echo(f"{path}: {built.name}, {len(data):,} bytes", err=True)
