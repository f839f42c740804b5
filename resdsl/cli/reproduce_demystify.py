"""`resdsl reproduce demystify`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resdsl.cli.options import on_terminal, reporting
from resdsl.cli.train_options import require_libraries

if TYPE_CHECKING:  # PyTorch comes with it
    from resdsl.analysis.demystify.points import Point

FIGURES = ("2", "3", "4", "5", "6", "7", "8", "9")
ALL = "all"
DATA = ("digits", "mnist")


@click.command("demystify")
@click.option("--figure", "figures", multiple=True, type=click.Choice((*FIGURES, ALL)), default=(ALL,), show_default=True, help="Which figure; may be repeated.")  # fmt: skip
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Folder of figureN.json, .png and .svg, and of what was computed for them.")  # fmt: skip
@click.option("--data", "name", type=click.Choice(DATA), default="digits", show_default=True, help="Ten whitened principal components of these images are learned.")  # fmt: skip
@click.option("--root", type=click.Path(path_type=Path), metavar="FOLDER", help="Folder of MNIST's four files, each perhaps with .gz.")  # fmt: skip
@click.option("--paper", is_flag=True, help="The paper's sizes instead of quick ones: hours instead of minutes.")
def command(figures: tuple[str, ...], folder: Path, name: str, root: Path | None, paper: bool) -> None:
    """Compute the figures of Li et al. 2016, Demystifying ResNet, again: condition numbers, indices, losses and weight norms of small
    networks by depth, and print each as a table with what it says, and what does not reproduce.

    What is computed is kept in FOLDER: repeat the command after an interruption, or with other figures, and it goes on.

    \b
    resdsl reproduce demystify -o figures
    resdsl reproduce demystify --figure 4 --figure 8 -o figures
    resdsl reproduce demystify --paper --data mnist --root data/ -o figures/mnist
    """
    if name == "mnist" and root is None:
        raise click.UsageError("--data mnist: name the folder of its files with --root")
    with reporting():
        require_libraries()
        from resdsl.analysis.demystify import sizes
        from resdsl.analysis.demystify.data import read_data
        from resdsl.analysis.demystify.run import reproduce

        numbers = tuple(map(int, FIGURES if ALL in figures else dict.fromkeys(figures)))
        data = read_data(name, root)
        try:
            for written in reproduce(numbers, folder, data, sizes.PAPER if paper else sizes.QUICK, _progress()):
                _clear()
                click.echo(written.table)
                if written.missing is not None and written.number == numbers[0]:
                    click.echo(written.missing.render(), err=True)
        except KeyboardInterrupt:
            _clear()
            click.echo("interrupted, and saved: the same command goes on", err=True)
            raise SystemExit(128 + signal.SIGINT) from None
    click.echo(f"{folder}: figures {', '.join(map(str, numbers))}", err=True)


def _progress() -> Callable[[int, int, Point], None] | None:
    """What is computed next, in one line of a terminal."""
    if not on_terminal():
        return None
    from resdsl.analysis.demystify.points import words

    return lambda done, total, point: click.echo(f"\r\x1b[K{done} of {total}: {words(point)}", nl=False, err=True)


def _clear() -> None:
    if on_terminal():
        click.echo("\r\x1b[K", nl=False, err=True)
