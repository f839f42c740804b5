"""`resdsl explain`."""

from __future__ import annotations

import click

from resdsl.cli.options import reporting
from resdsl.diagnostics import did_you_mean, fail
from resdsl.linter.table import BY_NAME


@click.command("explain", no_args_is_help=True)
@click.argument("rule")
def command(rule: str) -> None:
    """Print the page of RULE, a code or a name: what it finds, on what evidence, and what to write instead.

    \b
    resdsl explain shortcut-scale
    resdsl explain SC001
    """
    with reporting():
        if rule not in BY_NAME:
            help = did_you_mean(rule, BY_NAME) or "see `resdsl rules`"
            raise fail("unknown-rule", f"there is no rule {rule!r}", help=help)
    found = BY_NAME[rule]
    click.echo(f"# {found.name} ({found.code})\n\n{found.page}")
