"""`resdsl check`."""

from __future__ import annotations

from pathlib import Path

import click

from resdsl.cli.options import library_options, read_spec
from resdsl.diagnostics import Diagnostic, SpecError
from resdsl.semantics.lower import DEFAULT_MAX_UNITS
from resdsl.spec import check


@click.command("check", no_args_is_help=True)
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@click.option("--root", type=click.Path(path_type=Path), help="Folder that imports may come from.  [default: each spec's own]")  # fmt: skip
@click.option("--max-units", type=click.IntRange(1), default=DEFAULT_MAX_UNITS, show_default=True, help="Most units of a network.")  # fmt: skip
def command(specs: tuple[str, ...], root: Path | None, max_units: int) -> None:
    """Say what is wrong with SPECs: syntax, names, arguments, shapes, in every network.

    Exits with 0 if nothing is, with 1 if something is.

    \b
    resdsl check specs/*.resnet
    resdsl check - < my.resnet
    """
    options = library_options(root, max_units)
    found: list[Diagnostic] = []
    for spec in specs:
        try:
            found += check(read_spec(spec), options)
        except SpecError as error:
            found += error.diagnostics
    for diagnostic in found:
        click.echo(diagnostic.render() + "\n", err=True)
    files = "1 file" if len(specs) == 1 else f"{len(specs)} files"
    if found:
        errors = "1 error" if len(found) == 1 else f"{len(found)} errors"
        click.echo(f"{errors} in {files}", err=True)
        raise SystemExit(1)
    click.echo(f"{files}: no errors")
