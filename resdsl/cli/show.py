"""`resdsl show`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from resdsl import api
from resdsl.analysis.costs import Summary, summarise
from resdsl.cli.options import library_options, network_options, read_parameters, read_spec, reporting
from resdsl.semantics.expand import expand
from resdsl.syntax.printer import print_file


@click.command("show", no_args_is_help=True)
@click.argument("spec")
@click.option("--expanded", is_flag=True, help="Write the network out as .resnet text with nothing implied.")
@click.option("--json", "as_json", is_flag=True, help="The table as JSON.")
@network_options
def command(
    spec: str,
    expanded: bool,
    as_json: bool,
    network: str | None,
    parameters: tuple[str, ...],
    root: Path | None,
    max_units: int,
) -> None:
    """Show a network of SPEC: units, shapes, parameters, multiply-accumulates, depth.

    \b
    resdsl show specs/preact1001.resnet
    resdsl show std/resnet110 --network preact110 --expanded
    resdsl show std/resnet164 --network preact164 --json
    """
    if expanded and as_json:
        raise click.UsageError("--expanded and --json exclude each other")
    with reporting():
        options = library_options(root, max_units)
        built = api.build(read_spec(spec), network, read_parameters(parameters), options=options)
        if expanded:
            click.echo(print_file(expand(built)), nl=False)
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
    from rich.console import Console
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
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(table, markup=False)
