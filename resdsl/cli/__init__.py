"""The command line: parse arguments, call the library, print. Commands load when they are called."""

from __future__ import annotations

import errno
import importlib
import sys

import click

from resdsl._version import __version__

COMMANDS = {
    "compile": "Write a network for a target: torch, onnx, trt, json.",
    "check": "Say what is wrong with specs.",
    "lint": "Say where networks are not what their author may believe, and mend it.",
    "explain": "Print the page of a rule of the linter.",
    "rules": "List the rules of the linter.",
    "show": "Show units, shapes and costs of a network, layers of an engine.",
    "analyze": "Measure what units do to the signal and its gradient, before training.",
    "verify": "Compare every target on the same input.",
    "run": "Compute the output of an ONNX model or an engine.",
    "bench": "Time ONNX models and engines.",
    "train": "Train a network on data.",
    "evaluate": "Say what a run, an ONNX model or an engine gets wrong.",
    "export": "Write what was trained as an ONNX model or an engine, verified.",
    "reproduce": "Compute tables of He et al. and figures of Li et al. 2016 again.",
    "weights": "Convert weights of other libraries.",
    "completion": "Print the shell's completion script.",
}
"""Each is the function of its name in the module of its name."""
INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it: 128 and the number of the signal."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"resdsl.cli.{cmd_name}").command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            click.echo(f"error[unwritable]: {error.filename or 'standard output'}: {error.strerror}", err=True)
            sys.stdout = None  # what it still holds cannot be written at the end either
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise SystemExit(INTERRUPTED) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="resdsl")
def main() -> None:
    """A language for residual networks, compiled to PyTorch, ONNX and TensorRT.

    \b
    resdsl check specs/preact1001.resnet
    resdsl lint specs/
    resdsl show std/preact1001
    resdsl compile std/preact1001 --target onnx -o preact1001.onnx
    """


__all__ = ["main"]
