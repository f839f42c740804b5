"""Options about the model that is made of a network: passes, precision, and the inputs that int8 is calibrated on."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click
from click.core import ParameterSource

from resdsl.bench.machine import cores
from resdsl.diagnostics import SpecError, fail
from resdsl.passes.table import DEFAULT_LEVEL, LEVELS, PASSES, Pass, named_passes, passes_of
from resdsl.targets.precision import Form, Precision

if TYPE_CHECKING:  # numpy is not loaded where no samples are read
    import numpy as np
    from numpy.typing import NDArray

    from resdsl.network.types import Shape

F = TypeVar("F", bound=Callable[..., Any])
Numbers: TypeAlias = tuple[float, ...]

PRECISIONS = [precision.value for precision in Precision]
THREADS_PER_CORE = 16
"""At most. More never compute faster, and a runtime that starts thousands of threads does not come to an end."""
LISTING = "\0"
"""What `--passes` stands for without a value. No argument of a program can hold it, so an empty one is not taken for it."""
MODEL_OPTIONS = frozenset({"level", "names", "precision", "calibration", "form", "mean", "std"})
"""The parameters of pass_options, precision_option and int8_options."""


class _Numbers(click.ParamType[Numbers]):
    """Numbers with commas between."""

    name = "R,G,B"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Numbers:
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 0.5,0.4,0.4", param, ctx)


def pass_options(function: F) -> F:
    """-O as `level`, and --passes as `names`."""
    level = click.option("-O", "level", type=click.IntRange(LEVELS[0], LEVELS[-1]), help=f"ONNX, trt: which passes run; 0 for none.  [default: {DEFAULT_LEVEL}]")  # fmt: skip
    names = click.option("--passes", "names", metavar="NAME,…", is_flag=False, flag_value=LISTING, callback=_listed, is_eager=True, help="ONNX, trt: these passes, instead of those of a level. Without names: list them.")  # fmt: skip
    return level(names(function))


def chosen_passes(level: int | None, names: str | None) -> tuple[Pass, ...]:
    """What -O and --passes choose. Wrong use: both. Raises SpecError for a name that no pass has."""
    if level is not None and names is not None:
        raise click.UsageError("-O and --passes: one of them chooses")
    if names is not None:
        return named_passes([name.strip() for name in names.split(",")])
    return passes_of(DEFAULT_LEVEL if level is None else level)


def precision_option(function: F) -> F:
    """--precision."""
    return click.option("--precision", type=click.Choice(PRECISIONS), default=Precision.FP32.value, show_default=True, help="ONNX, trt: of weights and activations.")(function)  # fmt: skip


def int8_options(function: F) -> F:
    """--calibration, --for as `form`, and those of image_options."""
    calibration = click.option("--calibration", metavar="PATH", help="Int8: inputs to measure ranges on; a .npy, .npz or .safetensors file, an image, or a folder of either.")  # fmt: skip
    form = click.option("--for", "form", type=click.Choice([each.value for each in Form]), default=Form.ORT_CPU.value, show_default=True, help="ONNX in int8: what will run it.")  # fmt: skip
    return calibration(form(image_options(function)))


def require_int8(precisions: Collection[str]) -> None:
    """Wrong use: what is about int8, without it."""
    if Precision.INT8.value not in precisions:
        refuse(("calibration", "form"), "this is for `--precision int8`")


def image_options(function: F) -> F:
    """--mean and --std, which are the defaults of resdsl.samples.IMAGENET."""
    mean = click.option("--mean", type=_Numbers(), metavar="R,G,B", default="0.485,0.456,0.406", show_default=True, help="Images: what is taken from values of 0 to 1.")  # fmt: skip
    std = click.option("--std", type=_Numbers(), metavar="R,G,B", default="0.229,0.224,0.225", show_default=True, help="Images: what they are then divided by.")  # fmt: skip
    return mean(std(function))


def require_images(mean: Numbers, std: Numbers, *paths: str | None) -> None:
    """Wrong use of --mean and --std: where no path can hold images, and numbers that normalise none."""
    for option in _given(("mean", "std")):
        from resdsl.samples import IMAGES, Normalisation

        if not any(path and (path.lower().endswith(IMAGES) or os.path.isdir(path)) for path in paths):
            named = " and ".join(path for path in paths if path)
            raise click.UsageError(
                f"{option} is for images, and {f'{named} holds none' if named else 'none are given'}"
            )
        try:
            Normalisation(mean, std)
        except SpecError as error:
            raise click.UsageError(f"{option}: {error.diagnostics[0].message}") from None


def read_inputs(
    path: str | None, shape: Shape, mean: Numbers, std: Numbers, *, limit: int | None = None
) -> NDArray[np.float32] | None:
    """The samples at a path, as resdsl.samples.read_samples reads them; None without a path. Raises SpecError."""
    if path is None:
        return None
    if not path:
        raise fail("unreadable", "the path of the inputs is empty")
    from resdsl.samples import LIMIT, Normalisation, read_samples

    return read_samples(path, shape, normalisation=Normalisation(mean, std), limit=limit or LIMIT)


def require_threads(counts: Iterable[int]) -> None:
    """Wrong use: a number for --threads that the machine's cores cannot serve."""
    limit = THREADS_PER_CORE * cores()
    for count in counts:
        if count > limit:
            raise click.UsageError(f"--threads: {count} are too many for {cores()} cores; give {limit} at most")


def are_given(*parameters: str) -> bool:
    """Whether one of these parameters of the command stands on the command line."""
    return bool(_given(parameters))


def refuse(parameters: Collection[str], why: str) -> None:
    """Wrong use: one of these parameters of the command is given. why: stands behind the option's name."""
    for option in _given(parameters):
        raise click.UsageError(f"{option}: {why}")


def _given(parameters: Collection[str]) -> list[str]:
    """The options of these parameters that stand on the command line."""
    context = click.get_current_context()
    named = [(parameter.name or "", parameter.opts[0]) for parameter in context.command.params]
    given = context.get_parameter_source
    return [option for name, option in named if name in parameters and given(name) is ParameterSource.COMMANDLINE]


def _listed(ctx: click.Context, _: click.Parameter, names: str | None) -> str | None:
    """Prints the passes and leaves, for `--passes` without a value."""
    if names != LISTING:
        if names is not None and not names.strip():
            raise click.UsageError("--passes: it is empty; name passes, or leave the option out (-O0 runs none)")
        return names
    click.echo("\n".join(f"-O{each.level}  {each.name:<20} {each.summary}" for each in PASSES.values()))
    return ctx.exit()
