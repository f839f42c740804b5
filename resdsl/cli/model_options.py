"""Options about the model that is made of a network: passes, and the samples that int8 is calibrated on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from resdsl.passes.table import DEFAULT_LEVEL, LEVELS, PASSES, Pass, named_passes, passes_of
from resdsl.targets.precision import Form, Precision

F = TypeVar("F", bound=Callable[..., Any])

PRECISIONS = [precision.value for precision in Precision]


def pass_options(function: F) -> F:
    """-O as `level`, and --passes as `names`."""
    level = click.option("-O", "level", type=click.IntRange(LEVELS[0], LEVELS[-1]), help=f"ONNX: which passes run; 0 for none.  [default: {DEFAULT_LEVEL}]")  # fmt: skip
    names = click.option("--passes", "names", metavar="NAME,…", is_flag=False, flag_value="", callback=_listed, is_eager=True, help="ONNX: these passes, instead of those of a level. Without names: list them.")  # fmt: skip
    return level(names(function))


def chosen_passes(level: int | None, names: str | None) -> tuple[Pass, ...]:
    """What -O and --passes choose. Wrong use: both. Raises SpecError for a name that no pass has."""
    if level is not None and names is not None:
        raise click.UsageError("-O and --passes: one of them chooses")
    if names is not None:
        return named_passes([name.strip() for name in names.split(",")])
    return passes_of(DEFAULT_LEVEL if level is None else level)


def int8_options(function: F) -> F:
    """--calibration, and --for as `form`."""
    calibration = click.option("--calibration", metavar="PATH", help="ONNX in int8: inputs to measure ranges on; a .npy, .npz or .safetensors file, or a folder of arrays or images.")  # fmt: skip
    form = click.option("--for", "form", type=click.Choice([each.value for each in Form]), default=Form.ORT_CPU.value, show_default=True, help="ONNX in int8: what will run it.")  # fmt: skip
    return calibration(form(function))


def _listed(ctx: click.Context, _: click.Parameter, names: str | None) -> str | None:
    """Prints the passes and leaves, for `--passes` without names."""
    if names != "":
        return names
    click.echo("\n".join(f"-O{each.level}  {each.name:<20} {each.summary}" for each in PASSES.values()))
    return ctx.exit()
