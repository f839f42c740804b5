"""What `resdsl analyze` measures, with its progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resdsl import api
from resdsl.cli.model_options import Numbers, read_inputs
from resdsl.diagnostics import noting
from resdsl.spec import Options, Parameter

if TYPE_CHECKING:
    from resdsl.analysis.hessian.regression import Data
    from resdsl.analysis.hessian.result import Curvature
    from resdsl.analysis.report.analysed import Analysed


@dataclass(frozen=True, slots=True)
class How:
    """What is measured, and how, of each network."""

    weights: str | None
    seed: int
    input: str | None
    mean: Numbers
    std: Numbers
    samples: int | None
    precision: str
    lengths: bool
    options: Options


def analysed(
    spec: api.Spec,
    network: str | None,
    parameters: Mapping[str, Parameter],
    name: str,
    how: How,
    *,
    with_verdicts: bool,
) -> Analysed:
    from resdsl import analysis
    from resdsl.analysis.report.analysed import Analysed
    from resdsl.analysis.report.verdicts import verdicts

    with noting(f"of {name}") if name else nullcontext():
        built = api.build(spec, network, parameters, options=how.options)
        signal = analysis.signal(
            spec,
            network,
            parameters,
            weights=how.weights,
            seed=how.seed,
            inputs=read_inputs(how.input, built.input, how.mean, how.std, limit=how.samples),
            samples=how.samples,
            precision=how.precision,
            lengths=how.lengths,
            options=how.options,
            progress=_progress(name or built.name),
        )
    if _on_terminal():
        click.echo("\r\x1b[K", nl=False, err=True)
    found = verdicts(spec, built, network, how.options) if with_verdicts else None
    return Analysed(name or built.name, built, signal, found)


def curvature_of(
    spec: api.Spec,
    network: str | None,
    parameters: Mapping[str, Parameter],
    data: str,
    weights: str | None,
    seed: int,
    options: Options,
) -> Curvature:
    from resdsl import analysis
    from resdsl.samples import ARRAYS, read_array

    pair: Data = data
    if data.lower().endswith(ARRAYS):
        inputs, targets = (read_array(Path(data), name, by_name=True) for name in ("inputs", "targets"))
        pair = (inputs, targets)
    progress = _progress("Hessian")
    found = analysis.curvature(
        spec, pair, network, parameters, weights=weights, seed=seed, options=options, progress=progress
    )
    if progress is not None:
        click.echo("\r\x1b[K", nl=False, err=True)
    return found


def _progress(name: str) -> Callable[[int, int | None], None] | None:
    """Where a measurement stands, in one line of a terminal."""
    if not _on_terminal():
        return None

    def tell(done: int, total: int | None) -> None:
        where = f"{done:,}" if total is None else f"{done / total:.0%}"
        click.echo(f"\r\x1b[K{name}: {where}\r", nl=False, err=True)

    return tell


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()  # pyright: ignore[reportUnnecessaryComparison]
