"""`resdsl completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion", no_args_is_help=True)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    eval "$(resdsl completion bash)"            # in ~/.bashrc
    resdsl completion fish > ~/.config/fish/completions/resdsl.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root()
    click.echo(kind(root.command, {}, "resdsl", "_RESDSL_COMPLETE").source())
