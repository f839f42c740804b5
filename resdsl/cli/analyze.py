"""`resdsl analyze`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click

from resdsl.analysis.report.subjects import SETS, Subject, distinct, named_subject
from resdsl.cli.analyze_measure import How, Opened, analysed, curvature_of, opened
from resdsl.cli.analyze_show import Out, show_comparison, show_curvature, show_signal
from resdsl.cli.model_options import Numbers, image_options, refuse, require_images
from resdsl.cli.options import (
    library_options,
    networks_options,
    read_parameters,
    reporting,
    weights_options,
)
from resdsl.diagnostics import did_you_mean, fail

PRECISIONS = ("fp32", "fp64")
ABOUT_SIGNALS = (
    "comparing", "layers", "input", "mean", "std", "samples", "precision", "no_lengths",
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
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write one page of HTML with units, pictures, verdicts and gains, or of the curvature.")  # fmt: skip
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
        title, subjects = _set(first, layers) if is_set else ("", _subjects(specs, networks, given))
        if comparing and len(subjects) < 2:
            hint = "" if os.path.exists(first) else did_you_mean(first, SETS)
            raise click.UsageError(f"--compare takes two networks or more{f'; {hint}' if hint else ''}")
        ready = opened(subjects, how.options)
        if curving:
            found = curvature_of(ready[0], data or "digits", weights, seed, how.options)
            show_curvature(found, out)
            return
        if not comparing:
            show_signal(analysed(ready[0], how, with_verdicts=report is not None), out)
            return
        _refuse_doubles(ready)
        compared = [analysed(each, how, with_verdicts=report is not None) for each in ready]
        papers = {each.name: each.paper for each in subjects if each.paper is not None}
        show_comparison(title or f"{compared[0].name} and others", compared, papers, out)


def _set(name: str, layers: int | None) -> tuple[str, list[Subject]]:
    """Its title and its networks. Raises SpecError."""
    try:
        from resdsl.analysis.report.comparison import set_title, subjects_of
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise fail("missing-library", "signals are measured with PyTorch", help="pip install 'resdsl[torch]'") from None
    return set_title(name, layers), subjects_of(name, layers)


def _subjects(specs: tuple[str, ...], networks: tuple[str, ...], parameters: dict[str, str]) -> list[Subject]:
    for spec in specs:
        if spec in SETS and not os.path.exists(spec):
            raise click.UsageError(
                f"{spec} is a set of networks; alone, with --compare: resdsl analyze --compare {spec}"
            )
    found = [replace(named_subject(spec), parameters=parameters) for spec in specs]
    if not networks:
        return distinct(found)
    first, *others = found
    if others:
        raise click.UsageError("--network is for one SPEC: of several, write SPEC:NETWORK")
    if first.network is not None:
        raise click.UsageError(f"{specs[0]} names a network already; --network is for a SPEC without one")
    return [replace(first, name=name, network=name) for name in networks]


def _refuse_doubles(ready: list[Opened]) -> None:
    """Wrong use: a network that is named twice, maybe once as the only one of its spec."""
    found: dict[object, str] = {}
    for each in ready:
        subject = each.subject
        spec = os.path.realpath(subject.spec) if os.path.exists(subject.spec) else subject.spec
        written = f"{subject.spec}:{subject.network}" if subject.network else subject.spec
        network = (spec, each.network.name, tuple(subject.parameters.items()))
        if network in found:
            before = found[network]
            again = f"{written} is given twice" if before == written else f"{before} and {written} are one network"
            raise click.UsageError(f"{again}: --compare takes each network once")
        found[network] = written
