"""What `resdsl analyze` measures, with its progress on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resdsl import api
from resdsl.analysis.report.subjects import Subject
from resdsl.cli.model_options import Numbers, read_inputs
from resdsl.cli.options import on_terminal, read_spec
from resdsl.diagnostics import noting
from resdsl.network.network import Network
from resdsl.spec import Options

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


@dataclass(frozen=True, slots=True)
class Opened:
    """A subject that can be measured. name: empty for one that stands alone. spec: as the library takes it."""

    name: str
    subject: Subject
    spec: api.Spec
    network: Network


def opened(subjects: Sequence[Subject], options: Options) -> list[Opened]:
    """All of them, before one is measured. Standard input is read once. Raises SpecError for the first that cannot be built."""
    specs: dict[str, api.Spec] = {}
    found: list[Opened] = []
    for each in subjects:
        name = each.name if len(subjects) > 1 else ""
        with _noting(name):
            spec = specs[each.spec] = specs[each.spec] if each.spec in specs else read_spec(each.spec)
            built = api.build(spec, each.network, each.parameters, options=options)
        found.append(Opened(name, each, spec, built))
    return found


def analysed(opened: Opened, how: How, *, with_verdicts: bool) -> Analysed:
    from resdsl import analysis
    from resdsl.analysis.report.analysed import Analysed
    from resdsl.analysis.report.verdicts import verdicts

    subject, built = opened.subject, opened.network
    name = opened.name or built.name
    with _noting(opened.name):
        signal = analysis.signal(
            opened.spec,
            subject.network,
            subject.parameters,
            weights=how.weights,
            seed=how.seed,
            inputs=read_inputs(how.input, built.input, how.mean, how.std, limit=how.samples),
            samples=how.samples,
            precision=how.precision,
            lengths=how.lengths,
            options=how.options,
            progress=_progress(name),
        )
    if on_terminal():
        click.echo("\r\x1b[K", nl=False, err=True)
    found = verdicts(opened.spec, built, subject.network, how.options) if with_verdicts else None
    return Analysed(name, built, signal, found)


def curvature_of(opened: Opened, data: str, weights: str | None, seed: int, options: Options) -> Curvature:
    from resdsl import analysis
    from resdsl.samples import ARRAYS, read_array

    pair: Data = data
    if data.lower().endswith(ARRAYS):
        inputs, targets = (read_array(Path(data), name, by_name=True) for name in ("inputs", "targets"))
        pair = (inputs, targets)
    subject, progress = opened.subject, _progress("Hessian")
    found = analysis.curvature(
        opened.spec, pair, subject.network, subject.parameters, weights=weights, seed=seed, options=options, progress=progress
    )  # fmt: skip
    if progress is not None:
        click.echo("\r\x1b[K", nl=False, err=True)
    return found


def _noting(name: str) -> AbstractContextManager[None]:
    return noting(f"of {name}") if name else nullcontext()


def _progress(name: str) -> Callable[[int, int | None], None] | None:
    """Where a measurement stands, in one line of a terminal."""
    if not on_terminal():
        return None

    def tell(done: int, total: int | None) -> None:
        where = f"{done:,}" if total is None else f"{done / total:.0%}"
        click.echo(f"\r\x1b[K{name}: {where}\r", nl=False, err=True)

    return tell
