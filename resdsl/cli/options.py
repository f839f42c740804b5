"""What the commands share: options that name a network, reading, reporting."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.semantics.lower import DEFAULT_MAX_UNITS
from resdsl.source import Source
from resdsl.spec import Options
from resdsl.syntax.parser import MAX_SOURCE_BYTES

F = TypeVar("F", bound=Callable[..., Any])

USAGE_CODES = (
    "several-networks",
    "unknown-network",
    "no-network",
    "no-parameters",
    "wrong-opset",
    "unknown-pass",
    "unsupported-option",
    "unsupported-capability",
    "unknown-rule",
    "configuration",
    "unknown-recipe",
    "unknown-data",
)
"""Diagnostics about how the command was called rather than about its input: exit code 2."""


def network_options(function: F) -> F:
    """--network, -p, --root and --max-units."""
    return _network_options(
        function, click.option("--network", metavar="NAME", help="Which network, where the spec has several.")
    )


def networks_options(function: F) -> F:
    """The same, --network as `networks`, as often as there are networks to look at."""
    return _network_options(
        function,
        click.option("--network", "networks", multiple=True, metavar="NAME", help="Which network, where the spec has several; with --compare as often as needed."),
    )  # fmt: skip


def _network_options(function: F, network: Callable[[F], F]) -> F:
    for option in (
        click.option(
            "--max-units",
            type=click.IntRange(1),
            default=DEFAULT_MAX_UNITS,
            show_default=True,
            help="Most units of a network.",
        ),
        click.option(
            "--root",
            type=click.Path(path_type=Path),
            help="Folder that imports may come from.  [default: the spec's own]",
        ),
        click.option(
            "-p",
            "--parameter",
            "parameters",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set a parameter, e.g. -p 'shortcut=scale(0.5)'.",
        ),
        network,
    ):
        function = option(function)
    return function


def weights_options(default: str) -> Callable[[F], F]:
    """--weights and --seed; `default` says what happens without --weights."""

    def add(function: F) -> F:
        seed = click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of random weights."
        )
        help = f"A .safetensors file, a PyTorch checkpoint, random-calibrated, or initial.  [default: {default}]"
        return click.option("--weights", metavar="FILE", help=help)(seed(function))

    return add


def read_spec(spec: str) -> str | Source:
    """The spec as the library takes it: standard input for `-`."""
    return spec if spec != "-" else decoded(standard_input(), "<stdin>")


def standard_input() -> bytes:
    """All of it, up to a size that no spec may have. Raises SpecError if it is closed."""
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise fail("unreadable", "standard input is closed")
    return sys.stdin.buffer.read(64 * MAX_SOURCE_BYTES)


def decoded(data: bytes, name: str) -> Source:
    """What standard input holds, under a name. Raises SpecError if it is no text."""
    try:
        return Source(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise fail("unreadable", f"standard input is not UTF-8 text (byte {error.start})") from None


def read_parameters(parameters: tuple[str, ...]) -> dict[str, str]:
    """`-p key=value` by key. Wrong use: no `=`, no value, or a key twice."""
    return read_settings("-p", parameters, needs_value=True)


def read_settings(option: str, texts: tuple[str, ...], *, needs_value: bool = False) -> dict[str, str]:
    """`KEY=VALUE` by key. Wrong use: no `=`, or a key twice."""
    result: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or (needs_value and not value.strip()):
            raise click.UsageError(f"{option} takes KEY=VALUE, not {text!r}")
        if key.strip() in result:
            raise click.UsageError(f"{option} {key.strip()} is given twice")
        result[key.strip()] = value
    return result


def on_terminal() -> bool:
    """Whether somebody watches standard error, where progress is shown."""
    return sys.stderr is not None and sys.stderr.isatty()  # pyright: ignore[reportUnnecessaryComparison]


def library_options(root: Path | None, max_units: int) -> Options:
    if root is not None and not root.is_dir():
        raise click.UsageError(f"--root {root} is no folder")
    return Options(root, max_units)


@contextmanager
def reporting(*, all_notes: bool = False) -> Generator[None]:
    """Prints the diagnostics of a SpecError to standard error and leaves with 1, or 2 for wrong use."""
    try:
        yield
    except SpecError as error:
        report(error.diagnostics, all_notes=all_notes)
    except MemoryError:
        report(
            (Diagnostic("out-of-memory", "this takes more memory than there is", help="see `resdsl show` for sizes"),)
        )
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(1) from None


def report(diagnostics: tuple[Diagnostic, ...], *, all_notes: bool = False) -> NoReturn:
    for diagnostic in diagnostics:
        click.echo(diagnostic.render(all_notes=all_notes) + "\n", err=True)
    usage = all(d.code in USAGE_CODES or (d.span and d.span.source.name.startswith("-p ")) for d in diagnostics)
    raise SystemExit(2 if usage else 1)
