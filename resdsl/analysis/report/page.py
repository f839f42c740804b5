"""A page of HTML that stands alone: no script, nothing from elsewhere, pictures inside it, readable on paper."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from resdsl.analysis.report.pictures import Picture
from resdsl.analysis.report.unit_drawing import DEFINITIONS
from resdsl.analysis.report.unit_drawing import STYLE as DRAWING_STYLE
from resdsl.analysis.style import BLUE, INK, VERMILLION
from resdsl.figures import as_svg

REFERENCES = re.compile(r'(\bid="|url\(#|href="#)')
"""In an SVG: what is named, and what names it."""
PROLOGUE = re.compile(r"^.*?(?=<svg)|<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", re.DOTALL)
SIZE = re.compile(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"')
STYLE = f"""
:root {{ color-scheme: light; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: #f6f7f9; color: {INK}; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }}
main, header > div {{ max-width: 1180px; margin: 0 auto; padding: 0 28px; }}
header {{ background: white; border-bottom: 4px solid {BLUE}; padding: 30px 0 22px; }}
h1 {{ font-size: 30px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }}
h2 {{ font-size: 21px; margin: 40px 0 6px; }}
h3 {{ font-size: 16px; margin: 22px 0 8px; }}
p {{ margin: 6px 0 12px; max-width: 78ch; }}
nav {{ margin-top: 14px; }}
nav a {{ margin-right: 18px; color: #005a8d; }}
.cards {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; margin: 24px 0 0; }}
.card {{ background: white; border: 1px solid #d9dee6; border-radius: 8px; padding: 12px 16px; }}
.card b {{ display: block; font-size: 24px; line-height: 1.25; font-variant-numeric: tabular-nums; }}
.card span {{ font-size: 13.5px; color: #475467; }}
.drawings {{ display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(500px, 100%), 1fr)); gap: 16px; }}
figure {{ margin: 0; background: white; border: 1px solid #d9dee6; border-radius: 8px; padding: 14px 16px; }}
.drawings figure {{ max-width: 100%; }}
figcaption {{ font-size: 14px; color: #344054; margin-top: 8px; max-width: 68ch; }}
.drawings figcaption {{ max-width: 300px; overflow-wrap: anywhere; }}
.plot svg {{ display: block; width: 100%; height: auto; }}
.plot.wide {{ grid-column: 1 / -1; }}
.definitions {{ position: absolute; }}
.scrolls {{ overflow-x: auto; background: white; border: 1px solid #d9dee6; border-radius: 8px; }}
table {{ border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: 6px 12px; border-bottom: 1px solid #e6e9ef; white-space: nowrap; }}
th {{ background: #eef1f5; font-weight: 600; }}
tr:last-child td {{ border-bottom: 0; }}
.words {{ text-align: left; white-space: normal; overflow-wrap: break-word; }}
.rest td {{ text-align: left; color: #667085; font-style: italic; }}
.verdicts {{ list-style: none; padding: 0; margin: 0; }}
.verdicts li {{ background: white; border: 1px solid #d9dee6; border-left: 6px solid #98a2b3; border-radius: 8px; padding: 10px 16px; margin: 0 0 10px; }}
.verdicts .error {{ border-left-color: #b42318; }}
.verdicts .warning {{ border-left-color: {VERMILLION}; }}
.verdicts code {{ font-size: 13px; color: #475467; }}
.key {{ display: inline-block; width: 30px; height: 13px; border: 2.4px dashed {VERMILLION}; background: #fdebe0; border-radius: 3px; vertical-align: -1px; }}
.key.clean {{ border: 0; background: {BLUE}; height: 4px; vertical-align: 4px; border-radius: 0; }}
footer {{ max-width: 1180px; margin: 36px auto 0; padding: 14px 28px 40px; color: #475467; font-size: 14px; }}
{DRAWING_STYLE}
@media print {{
  body {{ background: white; font-size: 11pt; }}
  nav {{ display: none; }}
  figure, .card, .verdicts li, tr {{ break-inside: avoid; }}
  h2, h3 {{ break-after: avoid; }}
  .scrolls {{ overflow: visible; }}
  th, td {{ padding: 3px 6px; font-size: 9pt; }}
  .drawings figcaption {{ max-width: 220px; }}
  * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Section:
    """title: also its entry in the contents. anchor: its id. html: what it holds, escaped."""

    title: str
    anchor: str
    html: str


def page(title: str, about: str, cards: Sequence[tuple[str, str]], sections: Sequence[Section], end: str) -> str:
    """about, end: sentences. cards: a number, and what it is."""
    contents = "".join(f'<a href="#{each.anchor}">{escape(each.title)}</a>' for each in sections)
    shown = "".join(
        f'<div class="card"><b>{escape(number)}</b><span>{escape(what)}</span></div>' for number, what in cards
    )
    body = "\n".join(
        f'<section id="{each.anchor}" aria-labelledby="{each.anchor}-title">\n'
        f'<h2 id="{each.anchor}-title">{escape(each.title)}</h2>\n{each.html}\n</section>'
        for each in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{DEFINITIONS}\n"
        f'<header><div><h1>{escape(title)}</h1><p>{escape(about)}</p><nav aria-label="Contents">{contents}</nav></div></header>\n'
        f'<main>\n<div class="cards">{shown}</div>\n{body}\n</main>\n<footer>{escape(end)}</footer>\n</body>\n</html>\n'
    )  # fmt: skip


def plot(picture: Picture, *, wide: bool = False) -> str:
    """A picture with its caption. Inside `drawing`."""
    svg = inline(as_svg(picture.figure).decode(), picture.name, picture.says)
    kind = "plot wide" if wide else "plot"
    return f'<figure class="{kind}">{svg}<figcaption>{escape(picture.meaning)}</figcaption></figure>'


def inline(svg: str, prefix: str, label: str) -> str:
    """An SVG of matplotlib for a page that holds others: names of its own, as wide as its place, with a text for who cannot see it."""
    svg = SIZE.sub(r"\1", PROLOGUE.sub("", svg), count=1)
    svg = REFERENCES.sub(rf"\g<1>{prefix}-", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1).strip()


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[str], caption: str) -> str:
    """words: columns that hold words. A row of one cell spans all."""
    kinds = [' class="words"' if column in words else "" for column in columns]
    head = "".join(f'<th scope="col"{kind}>{escape(column)}</th>' for column, kind in zip(columns, kinds, strict=True))
    body: list[str] = []
    for row in rows:
        if len(row) == 1:
            body.append(f'<tr class="rest"><td colspan="{len(columns)}">{escape(row[0])}</td></tr>')
        else:
            cells = "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True))
            body.append(f"<tr>{cells}</tr>")
    return f'<div class="scrolls"><table aria-label="{escape(caption)}"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'  # fmt: skip


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"
