"""`resdsl analyze`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from resdsl.cli.analyze_measure import How, analysed, curvature_of
from resdsl.cli.analyze_show import Out, show_comparison, show_curvature, show_signal
from resdsl.cli.model_options import Numbers, image_options, refuse, require_images
from resdsl.cli.options import (
    library_options,
    networks_options,
    read_parameters,
    read_spec,
    reporting,
    weights_options,
)

if TYPE_CHECKING:
    from resdsl.analysis.report.comparison import Subject

PRECISIONS = ("fp32", "fp64")
SETS = ("table1", "table2", "plain")
"""Names of resdsl.analysis.report.comparison.SETS, which loads training."""
ABOUT_SIGNALS = (
    "comparing", "layers", "input", "mean", "std", "samples", "precision", "no_lengths", "folder", "report",
)  # fmt: skip


@click.command("analyze", no_args_is_help=True)
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("--compare", "comparing", is_flag=True, help="Several networks side by side: SPEC or SPEC:NETWORK each, several --network of one SPEC, or table1, table2 or plain.")  # fmt: skip
@click.option("--depth", "layers", type=click.IntRange(1), metavar="LAYERS", help="Of the networks of table1, table2 and plain.  [default: 110]")  # fmt: skip
@click.option("--input", "input", metavar="PATH", help="Inputs: a .npy, .npz or .safetensors file, an image, or a folder of either.  [default: random ones]")  # fmt: skip
@click.option("--samples", type=click.IntRange(1, 1024), help="How many random inputs, or of those in PATH at most.  [default: 8 images or 256 vectors]")  # fmt: skip
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
@click.option("--data", metavar="DATA", help="Of the loss: digits, or a .npz or .safetensors file with the arrays inputs and targets.  [default: digits]")  # fmt: skip
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
    samples: int | None,
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
        how = How(weights, seed, input, mean, std, samples, precision, not no_lengths, library_options(root, max_units))
        network = networks[0] if networks else None
        if curving:
            found = curvature_of(read_spec(first), network, given, data or "digits", weights, seed, how.options)
            show_curvature(found, as_json=as_json)
            return
        if not comparing:
            found = analysed(read_spec(first), network, given, "", how, with_verdicts=report is not None)
            show_signal(found, out)
            return
        from resdsl.analysis.report.comparison import distinct, set_title, subjects_of

        subjects = subjects_of(first, layers) if is_set else distinct(_subjects(specs, networks, given))
        if len(subjects) < 2:
            raise click.UsageError("--compare takes two networks or more")
        compared = [
            analysed(
                read_spec(each.spec), each.network, each.parameters, each.name, how, with_verdicts=report is not None
            )
            for each in subjects
        ]
        title = set_title(first, layers) if is_set else f"{compared[0].name} and others"
        show_comparison(title, compared, out)


def _subjects(specs: tuple[str, ...], networks: tuple[str, ...], parameters: dict[str, str]) -> list[Subject]:
    from resdsl.analysis.report.comparison import Subject, named_subject

    if networks:
        spec, *others = specs
        if others:
            raise click.UsageError("--network is for one SPEC: of several, write SPEC:NETWORK")
        return [Subject(name, spec, name, parameters) for name in networks]
    found = [named_subject(spec) for spec in specs]
    return [Subject(each.name, each.spec, each.network, parameters) for each in found]
