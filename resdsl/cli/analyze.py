"""`resdsl analyze`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resdsl import api
from resdsl.cli.analyze_show import Out, show_comparison, show_curvature, show_signal
from resdsl.cli.model_options import Numbers, image_options, read_inputs, refuse, require_images
from resdsl.cli.options import (
    library_options,
    networks_options,
    read_parameters,
    read_spec,
    reporting,
    weights_options,
)
from resdsl.diagnostics import noting
from resdsl.spec import Options, Parameter

if TYPE_CHECKING:
    from resdsl.analysis.comparison import Subject
    from resdsl.analysis.curvature_result import Curvature
    from resdsl.analysis.regression import Data
    from resdsl.analysis.report import Analysed

PRECISIONS = ("fp32", "fp64")
SETS = ("table1", "table2", "plain")
"""Names of resdsl.analysis.comparison.SETS, which loads training."""
SAMPLES = 16
ABOUT_SIGNALS = (
    "comparing", "layers", "input", "mean", "std", "samples", "precision", "no_lengths", "folder", "report",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _How:
    """What is measured, and how, of each network."""

    weights: str | None
    seed: int
    input: str | None
    mean: Numbers
    std: Numbers
    samples: int
    precision: str
    lengths: bool
    options: Options


@click.command("analyze", no_args_is_help=True)
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("--compare", "comparing", is_flag=True, help="Several networks side by side: SPEC or SPEC:NETWORK each, several --network of one SPEC, or table1, table2 or plain.")  # fmt: skip
@click.option("--depth", "layers", type=click.IntRange(1), metavar="LAYERS", help="Of the networks of table1, table2 and plain.  [default: 110]")  # fmt: skip
@click.option("--input", "input", metavar="PATH", help="Inputs: a .npy, .npz or .safetensors file, an image, or a folder of either.  [default: random ones]")  # fmt: skip
@click.option("--samples", type=click.IntRange(1, 1024), default=SAMPLES, show_default=True, help="How many random inputs, or of those in PATH at most.")  # fmt: skip
@click.option("--precision", type=click.Choice(PRECISIONS), default=PRECISIONS[0], show_default=True, help="Of all that is computed.")  # fmt: skip
@click.option(
    "--no-lengths", is_flag=True, help="Leave out the path lengths of the gradient, which take most of the time."
)
@click.option(
    "--curvature",
    "curving",
    is_flag=True,
    help="Instead: the spectrum of the loss's Hessian, beside Theorem 2 of Li et al. 2016.",
)
@click.option("--data", metavar="DATA", help="Of the loss: digits, or a file with the arrays inputs and targets.  [default: digits]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="All numbers of all units, as JSON.")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Write the pictures there, as PNG and SVG.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write one page of HTML with units, pictures, verdicts and gains.")  # fmt: skip
@weights_options("initial")
@image_options
@networks_options
def command(
    specs: tuple[str, ...],
    comparing: bool,
    layers: int | None,
    input: str | None,
    samples: int,
    precision: str,
    no_lengths: bool,
    curving: bool,
    data: str | None,
    as_json: bool,
    folder: Path | None,
    report: Path | None,
    weights: str | None,
    seed: int,
    mean: Numbers,
    std: Numbers,
    networks: tuple[str, ...],
    parameters: tuple[str, ...],
    root: Path | None,
    max_units: int,
) -> None:
    """Measure what the units of a network do to the signal and to its gradient, before training, beside the closed forms.

    By unit: variance of the stream and of the branch, the gradient's norm, what of it comes through the shortcuts alone, the cosine
    between the gradients of two inputs; and how many branches the gradient passes.

    \b
    resdsl analyze std/preact1001
    resdsl analyze std/resnet110 --network scale_half -o pictures --report scale_half.html
    resdsl analyze --compare std/resnet110 --network resnet110 --network preact110
    resdsl analyze --compare mine.resnet std/resnet110:preact110 --json
    resdsl analyze --compare table1 -o table1
    resdsl analyze std/n_shortcut --network shortcut2 -p start=zero --curvature
    """
    first, *others = specs
    if not comparing and others:
        raise click.UsageError(f"{len(specs)} specs: --compare shows several networks side by side")
    if not comparing and len(networks) > 1:
        raise click.UsageError(
            f"--network is given {len(networks)} times: --compare shows several networks side by side"
        )
    if specs.count("-") > 1:
        raise click.UsageError("standard input is one spec")
    is_set = comparing and not others and first in SETS
    if layers is not None and not is_set:
        raise click.UsageError(f"--depth is for --compare with {', '.join(SETS)}")
    if is_set:
        refuse(("networks", "parameters"), f"{first} says which networks these are")
    require_images(mean, std, input)
    if curving:
        refuse(ABOUT_SIGNALS, "this is about signals, and --curvature measures none")
    else:
        refuse(("data",), "this is for --curvature")
    given = read_parameters(parameters)
    with reporting():
        out = Out(as_json, folder, report)
        out.require()
        how = _How(
            weights, seed, input, mean, std, samples, precision, not no_lengths, library_options(root, max_units)
        )
        network = networks[0] if networks else None
        if curving:
            found = _curvature(read_spec(first), network, given, data or "digits", weights, seed, how.options)
            show_curvature(found, as_json=as_json)
            return
        if not comparing:
            found = _analysed(read_spec(first), network, given, "", how, with_verdicts=report is not None)
            show_signal(found, out)
            return
        from resdsl.analysis.comparison import distinct, set_title, subjects_of

        subjects = subjects_of(first, layers) if is_set else distinct(_subjects(specs, networks, given))
        if len(subjects) < 2:
            raise click.UsageError("--compare takes two networks or more")
        compared = [
            _analysed(
                read_spec(each.spec), each.network, each.parameters, each.name, how, with_verdicts=report is not None
            )
            for each in subjects
        ]
        title = set_title(first, layers) if is_set else f"{compared[0].name} and others"
        show_comparison(title, compared, out)


def _subjects(specs: tuple[str, ...], networks: tuple[str, ...], parameters: dict[str, str]) -> list[Subject]:
    from resdsl.analysis.comparison import Subject, named_subject

    if networks:
        spec, *others = specs
        if others:
            raise click.UsageError("--network is for one SPEC: of several, write SPEC:NETWORK")
        return [Subject(name, spec, name, parameters) for name in networks]
    found = [named_subject(spec) for spec in specs]
    return [Subject(each.name, each.spec, each.network, parameters) for each in found]


def _analysed(
    spec: api.Spec,
    network: str | None,
    parameters: Mapping[str, Parameter],
    name: str,
    how: _How,
    *,
    with_verdicts: bool,
) -> Analysed:
    from resdsl import analysis
    from resdsl.analysis.report import Analysed
    from resdsl.analysis.verdicts import verdicts

    with noting(f"of {name}") if name else nullcontext():
        built = api.build(spec, network, parameters, options=how.options)
        signal = analysis.signal(
            spec,
            network,
            parameters,
            weights=how.weights,
            seed=how.seed,
            inputs=read_inputs(how.input, built.input, how.mean, how.std, limit=how.samples),
            samples=how.samples,
            precision=how.precision,
            lengths=how.lengths,
            options=how.options,
            progress=_progress(name or built.name),
        )
    if _on_terminal():
        click.echo("\r\x1b[K", nl=False, err=True)
    found = verdicts(spec, built, network, how.options) if with_verdicts else None
    return Analysed(name or built.name, built, signal, found)


def _curvature(
    spec: api.Spec,
    network: str | None,
    parameters: Mapping[str, Parameter],
    data: str,
    weights: str | None,
    seed: int,
    options: Options,
) -> Curvature:
    from resdsl import analysis
    from resdsl.samples import ARRAYS, read_array

    pair: Data = data
    if data.lower().endswith(ARRAYS):
        pair = (read_array(Path(data), "inputs"), read_array(Path(data), "targets"))
    progress = _progress("Hessian")
    found = analysis.curvature(
        spec, pair, network, parameters, weights=weights, seed=seed, options=options, progress=progress
    )
    if progress is not None:
        click.echo("\r\x1b[K", nl=False, err=True)
    return found


def _progress(name: str) -> Callable[[int, int | None], None] | None:
    """Where a measurement stands, in one line of a terminal."""
    if not _on_terminal():
        return None

    def tell(done: int, total: int | None) -> None:
        where = f"{done:,}" if total is None else f"{done / total:.0%}"
        click.echo(f"\r\x1b[K{name}: {where}\r", nl=False, err=True)

    return tell


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()  # pyright: ignore[reportUnnecessaryComparison]
