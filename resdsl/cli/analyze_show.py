"""What `resdsl analyze` prints, and the files it writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from resdsl.diagnostics import fail
from resdsl.writing import write

if TYPE_CHECKING:
    from rich.table import Table

    from resdsl.analysis.hessian.result import Curvature
    from resdsl.analysis.report.analysed import Analysed
    from resdsl.analysis.report.comparison_text import Papers
    from resdsl.analysis.report.pictures import Picture


@dataclass(frozen=True, slots=True)
class Out:
    """folder: of pictures. report: the page."""

    as_json: bool
    folder: Path | None
    report: Path | None

    def require(self) -> None:
        """Before anything is measured: that files can be written there, and drawn. Raises SpecError."""
        if self.folder is None and self.report is None:
            return
        from resdsl.figures import drawing

        with drawing():
            pass
        if self.folder is not None:
            above = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
            if not above.is_dir():
                raise fail("unwritable", f"{self.folder} cannot be made: {above.name} is no folder")
        if self.report is not None and not self.report.parent.is_dir():
            raise fail("unwritable", f"{self.report} cannot be written: there is no folder {self.report.parent}")


def show_signal(analysed: Analysed, out: Out) -> None:
    from resdsl.analysis.report import text
    from resdsl.analysis.report.document import signal_document, written

    signal = analysed.signal
    if out.folder is not None or out.report is not None:
        from resdsl.analysis.report.analysed import signal_report
        from resdsl.analysis.report.pictures import pictures
        from resdsl.figures import drawing

        with drawing():
            drawn = pictures(signal) if out.folder is not None else []
            html = signal_report(analysed) if out.report is not None else ""
            _write(drawn, html, out)
    if out.as_json:
        click.echo(written(signal_document(signal)), nl=False)
    elif not sys.stdout.isatty():
        click.echo(text.plain(signal), nl=False)
    else:
        table = _table(text.COLUMNS, text.LEFT)
        for row in text.rows(signal):
            if row.skipped:
                table.add_row("…", f"{row.skipped:,} more")
            table.add_row(*row.cells)
        _print(text.heading(signal), table, [text.left_out(signal), *text.remarks(signal)])


def show_comparison(title: str, compared: Sequence[Analysed], papers: Papers, out: Out) -> None:
    from resdsl.analysis.report import comparison_text, text
    from resdsl.analysis.report.document import comparison_document, written

    named = [(each.name, each.signal) for each in compared]
    if out.folder is not None or out.report is not None:
        from resdsl.analysis.report.analysed import comparison_report
        from resdsl.analysis.report.comparison_pictures import comparison_pictures
        from resdsl.figures import drawing

        with drawing():
            drawn = comparison_pictures(named) if out.folder is not None else []
            html = comparison_report(title, compared, papers) if out.report is not None else ""
            _write(drawn, html, out)
    heading = f"{title}: {comparison_text.heading(named)}"
    if out.as_json:
        click.echo(written(comparison_document(named, papers)), nl=False)
    elif not sys.stdout.isatty():
        click.echo(comparison_text.plain(heading, named, papers), nl=False)
    else:
        table = _table(comparison_text.columns(papers), text.LEFT)
        for cells in comparison_text.cells(named, papers):
            table.add_row(*cells)
        _print(heading, table, comparison_text.remarks(named, papers))


def show_curvature(found: Curvature, out: Out) -> None:
    from resdsl.analysis.hessian import text as curvature_text
    from resdsl.analysis.report.document import written
    from resdsl.analysis.report.text import aligned

    if out.folder is not None or out.report is not None:
        from resdsl.analysis.hessian.page import curvature_report
        from resdsl.analysis.hessian.pictures import spectrum_picture
        from resdsl.figures import drawing

        with drawing():
            drawn = [spectrum_picture(found)] if out.folder is not None else []
            html = curvature_report(found) if out.report is not None else ""
            _write(drawn, html, out)
    if out.as_json:
        click.echo(written(curvature_text.document(found)), nl=False)
        return
    heading, rows = curvature_text.heading(found), curvature_text.rows(found)
    predicted = curvature_text.predicted_for(found)
    remarks = [f"Predicted: {predicted}." if predicted else "", *found.remarks]
    if not sys.stdout.isatty():
        lines = aligned(curvature_text.HEADINGS, rows, left=("quantity",))
        click.echo("\n".join([heading, "", *lines, "", *filter(None, remarks)]))
        return
    table = _table(curvature_text.HEADINGS, ("quantity",))
    for row in rows:
        table.add_row(*row)
    _print(heading, table, remarks)


def _write(drawn: Sequence[Picture], html: str, out: Out) -> None:
    """Inside `drawing`."""
    from resdsl.figures import as_png, as_svg

    if out.folder is not None:
        try:
            out.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise fail("unwritable", f"{out.folder} cannot be made: {error.strerror}") from None
        for picture in drawn:
            write(as_png(picture.figure), str(out.folder / f"{picture.name}.png"))
            write(as_svg(picture.figure), str(out.folder / f"{picture.name}.svg"))
        names = ", ".join(picture.name for picture in drawn)
        click.echo(f"{out.folder}: {names}, as PNG and SVG", err=True)
    if out.report is not None:
        write(html.encode(), str(out.report))
        click.echo(f"{out.report}: {len(html.encode()) / 2**20:.1f} MiB", err=True)


def _table(columns: Sequence[str], left: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table()
    for name in columns:
        table.add_column(name, justify="left" if name in left else "right", overflow="fold")
    return table


def _print(heading: str, table: Table, remarks: Sequence[str]) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.print(heading)
    console.print(table)
    console.print("\n".join(filter(None, remarks)))
