"""The report of a curvature, as a page."""

from __future__ import annotations

from resdsl.analysis.hessian import text
from resdsl.analysis.hessian.pictures import spectrum_picture
from resdsl.analysis.hessian.result import Curvature
from resdsl.analysis.report.page import Section, page, paragraph, plot, table

END = "The loss is 1/(2m) ||Y - f(X)||² over all m samples, in float64; the Hessian is that of all parameters."
CARDS = ("largest |eigenvalue|", text.CONDITION, text.INDEX)


def curvature_report(curvature: Curvature) -> str:
    """Of one network. Inside `drawing`."""
    drawn = spectrum_picture(curvature)
    rows = text.rows(curvature)
    cards = [(measured, name) for name, measured, _ in rows if name in CARDS]
    predicted = text.predicted_for(curvature)
    remarks = [f"Predicted: {predicted}."] if predicted else []
    numbers = table(text.HEADINGS, rows, ("quantity",), "The spectrum in numbers")
    sections = [
        Section("The spectrum", "spectrum", f'<div class="plots">{plot(drawn, wide=True)}</div>'),
        Section("The numbers", "numbers", numbers + "".join(map(paragraph, [*remarks, *curvature.remarks]))),
    ]  # fmt: skip
    about = f"{text.heading(curvature).partition(': ')[2]}."
    return page(f"Curvature of {curvature.network}", about, cards, sections, END)
