"""Computes what the figures need and is not there yet, and writes each figure as soon as it can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from resdsl.analysis.demystify import text
from resdsl.analysis.demystify.compute import compute
from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.draw import draw
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.points import Point, Results
from resdsl.analysis.demystify.sizes import Sizes
from resdsl.analysis.demystify.store import begin, store, stored
from resdsl.analysis.demystify.table import FIGURES
from resdsl.diagnostics import Diagnostic, Severity, SpecError
from resdsl.figures import as_png, as_svg, drawing
from resdsl.train.run.lock import held
from resdsl.writing import write

Progress = Callable[[int, int, Point], None]
"""Is told how many points are there, of how many, and the one that is computed next."""


@dataclass(frozen=True, slots=True)
class Written:
    """A figure in its folder. missing: why there are no pictures of it, None where there are."""

    number: int
    found: Finding
    table: str
    files: tuple[Path, ...]
    missing: Diagnostic | None


def reproduce(
    numbers: Sequence[int], folder: Path, data: Data, sizes: Sizes, progress: Progress | None = None
) -> Iterator[Written]:
    """Each figure, in the order of `numbers`. What is computed is kept, so whatever ends this, the next call goes on.

    Raises SpecError for a folder of other settings, one that another process works in, and for what cannot be read or written.
    """
    wanted = list(dict.fromkeys(point for number in numbers for point in FIGURES[number].points(sizes)))
    begin(folder, data, sizes)
    with held(folder):
        results = Results()
        for point in wanted:
            if (value := stored(folder, point, sizes)) is not None:
                results.add(point, value)
        for number in numbers:
            for point in FIGURES[number].points(sizes):
                if point in results:
                    continue
                if progress is not None:
                    progress(results.count, len(wanted), point)
                with _one_thread():
                    value = compute(point, data, sizes)
                store(folder, point, value)
                results.add(point, value)
            yield _written(number, folder, data, sizes, results)


@contextmanager
def _one_thread() -> Generator[None]:
    """Several of them work on matrices of 10x10 many times as slowly as one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _written(number: int, folder: Path, data: Data, sizes: Sizes, results: Results) -> Written:
    plan = FIGURES[number]
    found = plan.found(sizes, data, results)
    table = text.plain(number, plan, data, found)
    files = {"json": text.document(number, plan, data, found).encode()}
    missing: Diagnostic | None = None
    try:
        files |= _pictures(found)
    except SpecError as error:
        missing = replace(
            error.diagnostics[0], severity=Severity.WARNING
        )  # pictures of a former run show the same points
    paths = {ending: folder / f"figure{number}.{ending}" for ending in files}
    for ending, path in paths.items():
        write(files[ending], str(path))
    return Written(number, found, table, tuple(paths.values()), missing)


def _pictures(found: Finding) -> dict[str, bytes]:
    with drawing():
        figure = draw(found.title, found.panels)
        return {"png": as_png(figure), "svg": as_svg(figure)}
