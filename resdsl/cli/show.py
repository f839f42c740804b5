"""`resdsl show`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resdsl import api
from resdsl.cli.model_options import refuse
from resdsl.cli.options import library_options, network_options, read_parameters, read_spec, reporting
from resdsl.network.costs import Summary, summarise
from resdsl.semantics.expand import expand
from resdsl.syntax.printer import print_file
from resdsl.targets.endings import is_engine
from resdsl.theory.path_gain import Path as DirectPath
from resdsl.theory.path_gain import paths

if TYPE_CHECKING:
    from rich.table import Table

SPEC_OPTIONS = ("expanded", "as_paths", "network", "parameters", "root", "max_units")
"""Those that say nothing of an engine."""


@click.command("show", no_args_is_help=True)
@click.argument("spec", metavar="SPEC|ENGINE")
@click.option("--expanded", is_flag=True, help="Write the network out as .resnet text with nothing implied.")
@click.option("--paths", "as_paths", is_flag=True, help="Show what the shortcuts do to the signal before training.")
@click.option("--json", "as_json", is_flag=True, help="The table as JSON.")
@network_options
def command(
    spec: str,
    expanded: bool,
    as_paths: bool,
    as_json: bool,
    network: str | None,
    parameters: tuple[str, ...],
    root: Path | None,
    max_units: int,
) -> None:
    """Show a network of SPEC: units, shapes, parameters, multiply-accumulates, depth.

    Of an engine, a file that ends in .engine, .plan or .trt: what it was made of and for what GPU, and, where it can be loaded, its
    layers: which nodes were fused, the kernels of convolutions, memory.

    \b
    resdsl show specs/preact1001.resnet
    resdsl show std/resnet110 --network preact110 --expanded
    resdsl show std/resnet164 --network preact164 --json
    resdsl show std/resnet110 --network scale_half --paths
    resdsl show preact164.engine
    """
    if is_engine(spec):
        from resdsl.cli.show_engine import show_engine  # loads numpy, which no spec is shown with

        refuse(SPEC_OPTIONS, f"{spec} is an engine, and this is about specs")
        with reporting():
            show_engine(spec, as_json=as_json)
        return
    if expanded and (as_json or as_paths):
        raise click.UsageError(f"--expanded and {'--json' if as_json else '--paths'} exclude each other")
    with reporting():
        options = library_options(root, max_units)
        built = api.build(read_spec(spec), network, read_parameters(parameters), options=options)
        if expanded:
            click.echo(print_file(expand(built)), nl=False)
        elif as_paths:
            found = paths(built)
            if as_json:
                click.echo(json.dumps([_path_document(path) for path in found], indent=2))
            else:
                _draw_paths(built.name, found)
        elif as_json:
            click.echo(json.dumps(_document(summarise(built)), indent=2))
        else:
            _draw(summarise(built))


def _document(summary: Summary) -> dict[str, object]:
    return {
        "network": summary.network,
        "parameters": summary.costs.parameters,
        "macs": summary.costs.macs,
        "depth": summary.costs.depth,
        "units": summary.units,
        "input": str(summary.input),
        "output": str(summary.output),
        "parts": [
            {
                "section": row.section,
                "part": row.what,
                "count": row.count,
                "input": str(row.input),
                "output": str(row.output),
                "shortcut": row.shortcut or None,
                "parameters": row.costs.parameters,
                "macs": row.costs.macs,
            }
            for row in summary.rows
        ],
    }


def _draw(summary: Summary) -> None:
    from rich.table import Table

    costs = summary.costs
    title = f"{summary.network}: {costs.depth} layers, {summary.units} units, {costs.parameters:,} parameters"
    table = Table(title=title, title_justify="left", caption=f"{costs.macs:,} multiply-accumulates a sample", caption_justify="left")  # fmt: skip
    for name in ("section", "part", "times", "in", "out", "shortcut", "parameters", "MACs"):
        table.add_column(name, justify="right" if name in ("times", "parameters", "MACs") else "left", overflow="fold")
    section = ""
    for row in summary.rows:
        shown = row.section if row.section != section else ""
        section = row.section
        numbers = (
            f"{row.costs.parameters:,}" if row.costs.parameters else "",
            f"{row.costs.macs:,}" if row.costs.macs else "",
        )
        table.add_row(
            shown, row.what, str(row.count) if row.shortcut else "", str(row.input), str(row.output), row.shortcut, *numbers
        )  # fmt: skip
    _print(table)


def _path_document(path: DirectPath) -> dict[str, object]:
    """Gains as logarithms to the base 10; null for 0, and for all three where there is no closed form."""

    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    gain = path.gain
    return {
        "section": path.section,
        "units": path.units,
        "closed_form": gain is not None and not path.norms,
        "log10_mean": finite(gain.mean) if gain else None,
        "log10_forward": finite(gain.forward) if gain else None,
        "log10_backward": finite(gain.backward) if gain else None,
        "projections": path.projections,
        "relus": path.relus,
        "open": path.open,
        "norms": path.norms,
        "between": path.between,
    }


def _draw_paths(name: str, found: list[DirectPath]) -> None:
    from rich.table import Table

    table = Table(title=f"{name}: the direct path, before training", title_justify="left")
    for column in ("path", "units", "mean", "forward", "backward", "projections", "what else stands on it"):
        table.add_column(column, justify="left" if column in ("path", "what else stands on it") else "right")
    for path in found:
        gain = path.gain
        gains = ("?", "?", "?") if gain is None else map(_power, (gain.mean, gain.forward, gain.backward))
        after: list[str] = []
        if path.relus:
            after.append(f"{path.relus} ReLU: open with {path.open:.2g}")
        if path.norms:
            after.append(f"{path.norms} norms: exponential, measure it")
        if path.between:
            after.append(f"{path.between} operators between units")
        table.add_row(path.section, str(path.units), *gains, str(path.projections or ""), "; ".join(after))
    _print(table)


def _power(log10: float) -> str:
    """10 to this power."""
    if log10 == -math.inf:
        return "0"
    if -4 < log10 < 5:
        return f"{10**log10:.4g}"
    exponent = math.floor(log10)
    return f"{10 ** (log10 - exponent):.2f}e{exponent:+03d}"


def _print(table: Table) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(table, markup=False)
