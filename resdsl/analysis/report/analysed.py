"""The report of an analysis, as a page: units as drawings, signals as figures, verdicts, and gains in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from resdsl.analysis.quantities import Signal
from resdsl.analysis.report import comparison_text, text
from resdsl.analysis.report.comparison_pictures import OVERVIEW, comparison_pictures
from resdsl.analysis.report.comparison_text import Papers
from resdsl.analysis.report.ends import ends
from resdsl.analysis.report.page import Section, page, paragraph, plot, table
from resdsl.analysis.report.path_rows import COLUMNS as PATH_COLUMNS
from resdsl.analysis.report.path_rows import path_rows
from resdsl.analysis.report.pictures import pictures
from resdsl.analysis.report.sentences import factor, number
from resdsl.analysis.report.unit_forms import Form, unit_forms
from resdsl.analysis.report.verdicts import Verdict
from resdsl.linter.words import counted, listed
from resdsl.network.costs import summarise
from resdsl.network.network import Network

MOST_FORMS = 6
"""Drawings in a report; the rest is counted."""
END = "Measured by one forward and one backward pass; gradients are of a projection on one random direction, the same for all samples."
KEY = (
    '<p><span class="key clean" aria-hidden="true"></span> the shortcut, a straight way from input to output. '
    '<span class="key" aria-hidden="true"></span> What stands on that way, before the split, on the shortcut or after '
    "the addition: it acts on all that passes, once in each unit.</p>"
)


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """name: what it is called beside others. verdicts: None where there is no source to lint."""

    name: str
    network: Network
    signal: Signal
    verdicts: list[Verdict] | None


def signal_report(analysed: Analysed) -> str:
    """Of one network. Inside `drawing`."""
    signal = analysed.signal
    drawn = pictures(signal)
    remarks = [text.left_out(signal), *text.remarks(signal)]
    end = ends(signal)
    cards = [
        (f"{len(signal.units):,}", "units"),
        (factor(end.log10_direct), "of the gradient's norm reaches the first unit through the shortcuts alone"),
        (factor(end.log10_expected), "of it by the closed form" if end.log10_expected == end.log10_expected else "no closed form for that"),
        (factor(end.log10_gradient), "gradient's norm at the first unit, over that at the end"),
        (factor(end.log10_growth), "variance at the end, over that at the first unit"),
        (number(end.mean_length), "branches that the gradient passes on average"),
    ]  # fmt: skip
    rows = []
    for row in text.rows(signal):
        rows += [(f"{counted(row.skipped, 'unit')} more",)] if row.skipped else []
        rows.append(row.cells)
    by_unit = table(text.COLUMNS, rows, text.LEFT, "Signals by unit")
    sections = [
        Section("The units", "units", _units(unit_forms(analysed.network))),
        Section("The signals", "signals", f'<div class="plots">{"".join(plot(each) for each in drawn)}</div>{_notes([each.note for each in drawn])}'),
        Section("The direct path in closed form", "path", _path(analysed.network)),
        Section("What the linter says", "verdicts", _verdicts(analysed.verdicts)),
        Section("Unit by unit", "numbers", by_unit + "".join(paragraph(each) for each in remarks if each)),
    ]  # fmt: skip
    costs = summarise(analysed.network).costs
    about = f"{text.heading(signal).partition(': ')[2]}. {costs.depth:,} layers, {costs.parameters:,} parameters."
    return page(f"{signal.network} before training" if signal.weights == "initial" else signal.network, about, cards, sections, END)  # fmt: skip


def comparison_report(title: str, analysed: Sequence[Analysed], papers: Papers) -> str:
    """Of several networks. Inside `drawing`."""
    named = [(each.name, each.signal) for each in analysed]
    drawn = comparison_pictures(named)
    rows = comparison_text.cells(named, papers)
    numbers = table(comparison_text.columns(papers), rows, text.LEFT, "Networks from end to end")
    plots = "".join(
        plot(each, wide=each.name == OVERVIEW) for each in drawn if each.name == OVERVIEW or len(named) <= 3
    )
    units = "".join(_first_form(each) for each in analysed)
    found = "".join(f"<h3>{escape(each.name)}</h3>{_verdicts(each.verdicts)}" for each in analysed)
    paths = "".join(f"<h3>{escape(each.name)}</h3>{_path(each.network)}" for each in analysed)
    sections = [
        Section(
            "From end to end", "numbers", numbers + "".join(map(paragraph, comparison_text.remarks(named, papers)))
        ),
        Section("Unit by unit", "signals", f'<div class="plots">{plots}</div>{_notes([drawn[0].note])}'),
        Section("The units", "units", f'{KEY}<div class="drawings">{units}</div>'),
        Section("The direct paths in closed form", "path", paths),
        Section("What the linter says", "verdicts", found),
    ]
    return page(title, f"{comparison_text.heading(named)}.", [], sections, END)


def _units(forms: Sequence[Form]) -> str:
    drawings = "".join(_form(form) for form in forms[:MOST_FORMS])
    rest = forms[MOST_FORMS:]
    more = (
        f"{counted(len(rest), 'more form')}, of {counted(sum(form.count for form in rest), 'unit')}, not drawn."
        if rest
        else ""
    )
    return f'{KEY}<div class="drawings">{drawings}</div>{paragraph(more) if more else ""}'


def _form(form: Form, name: str = "") -> str:
    said = f"{counted(form.count, 'unit')}: {listed(list(form.labels), 3)}."
    path = f" On the path: {', '.join(form.drawing.on_path)}." if form.drawing.on_path else ""
    title = f"<strong>{escape(name)}</strong><br>" if name else ""
    return f"<figure>{form.drawing.svg}<figcaption>{title}{escape(said + path)}</figcaption></figure>"


def _first_form(analysed: Analysed) -> str:
    """The unit that the network has most of."""
    forms = unit_forms(analysed.network)
    return _form(forms[0], analysed.name) if forms else ""


def _path(network: Network) -> str:
    return table(PATH_COLUMNS, path_rows(network), PATH_COLUMNS[:1] + PATH_COLUMNS[-1:], "Gains of the direct path") + paragraph(
        "What the shortcuts do to a signal of mean 0 and second moment 1, multiplied over the units but those with a projection, from the spec and its initial weights alone: "
        "to the signal itself, to its second moment, and to the gradient's. ?: no closed form."
    )  # fmt: skip


def _verdicts(found: list[Verdict] | None) -> str:
    if found is None:
        return paragraph("This is a document, and the linter reads specs.")
    if not found:
        return paragraph("Nothing.")
    items = "".join(
        f'<li class="{each.severity.value}"><strong>{each.severity.value}</strong> '
        f"<code>{escape(each.code)} {escape(each.name)}</code>"
        f"{' (a comment in the spec allows it)' if each.allowed else ''}<br>"
        f"{escape(each.message)}<br><code>{escape(listed(list(each.places), 4))}</code>"
        f"{f'<br>Instead: {escape(each.help)}' if each.help else ''}</li>"
        for each in found
    )
    return f'<ul class="verdicts">{items}</ul>'


def _notes(notes: Sequence[str]) -> str:
    return "".join(paragraph(note) for note in notes if note)
