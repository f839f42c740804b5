"""Writes the report of a run into its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.figures import as_png, as_svg, drawing
from resdsl.train.compute.score import Score
from resdsl.train.report.confusion import confusion_figure
from resdsl.train.report.curves import curves
from resdsl.train.report.document import to_text
from resdsl.train.report.facts import Facts, facts
from resdsl.train.report.page import CONFUSION, CURVES, page
from resdsl.writing import write

FOLDER = "report"


@dataclass(frozen=True, slots=True)
class Report:
    """The files that were written, the page for people first. missing: why there are no figures; None where there are."""

    files: tuple[Path, ...]
    missing: Diagnostic | None


def write_report(run: Path, score: Score | None) -> Report:
    """Writes RUN/report/: report.md, report.json, and curves and confusion as .svg and .png, those of a former report replaced.

    score: of the last weights, as Result.score; None for a run that was not evaluated to its end. In a run of several
    processes, the first one calls this. Each file is written whole or not at all, the page last. Raises SpecError.
    """
    found = facts(run, score)
    figures, missing = _figures(found)
    names = tuple(dict.fromkeys(Path(name).stem for name in figures))
    texts = {"report.json": to_text(found).encode(), "report.md": page(found, names).encode()}
    folder = run / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        for name in (CURVES, CONFUSION):  # a former report's may be of other weights
            for ending in (".svg", ".png"):
                if name + ending not in figures:
                    (folder / (name + ending)).unlink(missing_ok=True)
    except OSError as error:
        raise fail("unwritable", f"{folder} cannot be written: {error.strerror or error}") from None
    for name, data in (figures | texts).items():
        write(data, str(folder / name))
    return Report(tuple(folder / name for name in ("report.md", "report.json", *figures)), missing)


def _figures(found: Facts) -> tuple[dict[str, bytes], Diagnostic | None]:
    """By the names of their files."""
    files: dict[str, bytes] = {}
    try:
        with drawing():
            drawn = {
                CURVES: curves(found.trained, found.tested, f"{found.about['network']}, {found.about['data']['name']}")
            }
            if found.score is not None:
                drawn[CONFUSION] = confusion_figure(found.score.confusion, found.classes)
            for name, figure in drawn.items():
                files |= {f"{name}.svg": as_svg(figure), f"{name}.png": as_png(figure)}
    except SpecError as error:
        return {}, error.diagnostics[0]
    return files, None
