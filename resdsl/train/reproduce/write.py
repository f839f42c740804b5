"""Writes a measured table and its curves."""

from __future__ import annotations

from pathlib import Path

from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.figures import as_png, as_svg, drawing
from resdsl.train.reproduce.curves import table_curves
from resdsl.train.reproduce.measured import Measurement, title
from resdsl.train.reproduce.plan import Plan
from resdsl.train.reproduce.table_text import document, markdown
from resdsl.writing import write


def write_table(measured: Measurement) -> tuple[tuple[Path, ...], Diagnostic | None]:
    """FOLDER/TABLE.md, .json, .svg and .png; and why there are no figures, None where there are. Raises SpecError."""
    plan = measured.plan
    name, folder = plan.table.name, plan.folder
    figures: dict[str, bytes] = {}
    missing: Diagnostic | None = None
    try:
        with drawing():
            figure = table_curves(
                plan, f"{plan.table.title}: {plan.table.subject}; {title(measured.data)}, {_depths(plan)}"
            )
            figures = {f"{name}.svg": as_svg(figure), f"{name}.png": as_png(figure)}
    except SpecError as error:
        missing = error.diagnostics[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for ending in (".svg", ".png"):  # of a former table
            if name + ending not in figures:
                (folder / (name + ending)).unlink(missing_ok=True)
    except OSError as error:
        raise fail("unwritable", f"{folder} cannot be written: {error.strerror or error}") from None
    page = markdown(measured, f"{name}.svg" if figures else None)
    files = {f"{name}.md": page.encode(), f"{name}.json": document(measured).encode()} | figures
    for file, data in files.items():
        write(data, str(folder / file))
    return tuple(folder / file for file in files), missing


def _depths(plan: Plan) -> str:
    return f"{', '.join(map(str, sorted({row.layers for row in plan.rows})))} layers"
