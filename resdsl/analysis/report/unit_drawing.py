"""A unit as the figures of He et al. 2016 show it, as SVG: the shortcut straight down, the branch beside it, the addition.

What stands on the way of the shortcut, before the split, on it, or after the addition, is a box in a warning colour with a thick, broken
frame, so that a clean path is one straight line, in print as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from resdsl.analysis.report.unit_words import box_text, is_nothing, on_branch
from resdsl.analysis.style import BLUE, INK, VERMILLION
from resdsl.network import operators as op
from resdsl.network.types import Tap

BOX, GAP, LETTER = 26, 16, 6.7
"""Height of a box, the distance between two, the width of a letter."""
LEAST = 92
"""Width of a box, at least."""
FRAME = 10
"""Between a frame and what is in it."""
SENTENCE = 200
"""Width of what stands below a unit without a shortcut."""
WARM, COOL = "#fdebe0", "#eef4fb"
RADIUS = 11


@dataclass(frozen=True, slots=True)
class Drawing:
    """svg: one element, without a declaration. on_path: texts of the boxes on the shortcut's way, from top to bottom."""

    svg: str
    on_path: tuple[str, ...]


@dataclass(slots=True)
class _Canvas:
    parts: list[str] = field(default_factory=list[str])
    on_path: list[str] = field(default_factory=list[str])
    widths: bool = True

    def line(self, *points: tuple[float, float], kind: str = "branch", arrow: bool = False) -> None:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        head = f' marker-end="url(#{kind}-arrow)"' if arrow else ""
        self.parts.append(f'<polyline class="{kind}" points="{path}"{head}/>')

    def text(self, x: float, y: float, words: str, kind: str = "label", anchor: str = "middle") -> None:
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>')

    def box(self, x: float, y: float, words: str, *, warns: bool, rests: bool = False) -> None:
        """Around x, from y down."""
        width = _width(words)
        kind = "box warns" if warns else "box"
        place = f'x="{x - width / 2:g}" y="{y:g}" width="{width:g}" height="{BOX}" rx="5"'
        self.parts.append(f'<rect class="{kind}" {place}/>')
        if rests:  # units inside: a second frame
            inner = f'x="{x - width / 2 + 3:g}" y="{y + 3:g}" width="{width - 6:g}" height="{BOX - 6}" rx="3"'
            self.parts.append(f'<rect class="inner" {inner}/>')
        self.text(x, y + BOX / 2 + 4.5, words)
        if warns:
            self.on_path.append(words)


def draw_unit(unit: op.Unit, *, widths: bool = True) -> Drawing:
    """widths: with channels, features and shapes; without them, units of one form have one drawing."""
    canvas = _Canvas(widths=widths)
    shortcut = unit.shortcut.chain
    chain = None if shortcut is None else tuple(element for element in shortcut if not is_nothing(element))
    lead = unit.branch[: unit.lead] if unit.shortcut.tap is Tap.ACTIVATED and chain is not None else ()
    branch = unit.branch[len(lead) :]
    ends = tuple(words for element in shortcut or () if (words := on_branch(element)))
    trunk = max([_chain_size(part, widths)[0] for part in (lead, chain or (), unit.after)] + [78])
    branch_width, branch_height = _chain_size(branch, widths)
    for words in ends:
        branch_width, branch_height = max(branch_width, _width(words)), branch_height + GAP + BOX
    x = trunk / 2 + 16
    right = (x + trunk / 2 + 34 + branch_width / 2) if chain is not None else x + 60
    if chain is None:
        x = right = max(branch_width, trunk, SENTENCE) / 2 + 16

    top = 34.0
    canvas.text(x, 20, f"x, {unit.input}" if widths else "x", "name")
    y = _down(canvas, lead, x, top, warns=True) if lead else top
    split = y + GAP / 2
    after_branch = split + GAP + branch_height + GAP
    height_beside = _chain_size(chain or (), widths)[1]
    addition = max(after_branch, split + GAP + height_beside + GAP) + RADIUS

    if chain is None:
        canvas.line((x, y), (x, split + GAP))
        below = _down(canvas, branch, x, split + GAP, warns=False)
        bottom = below
    else:
        canvas.line((x, split), (right, split), (right, split + GAP), arrow=True)
        start = split + GAP + (addition - RADIUS - GAP - after_branch + GAP) / 2
        if start > split + GAP:
            canvas.line((right, split + GAP), (right, start))
        below = _down(canvas, branch, right, start, warns=False)
        for words in ends:
            canvas.line((right, below), (right, below + GAP), arrow=True)
            canvas.box(right, below + GAP, words, warns=False)
            below += GAP + BOX
        canvas.line((right, below), (right, addition), (x + RADIUS + 2, addition), arrow=True)
        middle = split + (addition - RADIUS - split - height_beside) / 2
        if chain:
            canvas.line((x, y), (x, middle), kind="path", arrow=True)
            end = _down(canvas, chain, x, middle, warns=True)
            canvas.line((x, end), (x, addition - RADIUS - 1), kind="path", arrow=True)
        else:
            canvas.line((x, y), (x, addition - RADIUS - 1), kind="path", arrow=True)
        canvas.parts.append(f'<circle class="plus" cx="{x:g}" cy="{addition:g}" r="{RADIUS}"/>')
        canvas.line((x - 6, addition), (x + 6, addition), kind="sign")
        canvas.line((x, addition - 6), (x, addition + 6), kind="sign")
        bottom = addition + RADIUS
    kind = "branch" if chain is None else "path"
    if unit.after:
        canvas.line((x, bottom), (x, bottom + GAP), kind=kind, arrow=True)
        bottom = _down(canvas, unit.after, x, bottom + GAP, warns=chain is not None)
    canvas.line((x, bottom), (x, bottom + GAP + 6), kind=kind, arrow=True)
    canvas.text(x, bottom + GAP + 24, f"{unit.output}" if widths else "y", "name")
    bottom += GAP + 36
    if chain is None:
        canvas.text(x, bottom + 6, "no shortcut: nothing is added", "warning")
        bottom += 18
    width = max(right + branch_width / 2, x + max(trunk, 0 if chain is not None else SENTENCE) / 2) + 16
    return Drawing(_svg(canvas, width, bottom, unit), tuple(canvas.on_path))


def _svg(canvas: _Canvas, width: float, height: float, unit: op.Unit) -> str:
    if unit.shortcut.chain is None:
        said = "It has no shortcut."
    elif canvas.on_path:
        said = f"On the way of its shortcut stand, from top to bottom: {', '.join(canvas.on_path)}."
    else:
        said = "Its shortcut is one straight line from the input to the output: nothing stands on it."
    name = f"The unit {unit.label}" if canvas.widths else "A unit"
    words = escape(f"{name}. {said}", quote=True)
    inside = "".join(canvas.parts)
    return (
        f'<svg class="unit" role="img" aria-label="{words}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}">{inside}</svg>'
    )


def _down(canvas: _Canvas, chain: op.Chain, x: float, y: float, *, warns: bool) -> float:
    """The chain's boxes below each other from y on, joined by arrows; where they end."""
    kind = "path" if warns else "branch"
    for index, element in enumerate(chain):
        if index:
            canvas.line((x, y), (x, y + GAP), kind=kind, arrow=True)
            y += GAP
        y = _element(canvas, element, x, y, warns=warns)
    return y


def _element(canvas: _Canvas, element: op.Element, x: float, y: float, *, warns: bool) -> float:
    chains = _inside(element)
    words = box_text(element, widths=canvas.widths)
    if not chains:
        canvas.box(x, y, words, warns=warns, rests=isinstance(element, op.Units))
        return y + BOX
    width, height = _size(element, canvas.widths)
    kind = "frame warns" if warns else "frame"
    canvas.parts.append(f'<rect class="{kind}" x="{x - width / 2:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8"/>')  # fmt: skip
    canvas.text(x, y + 16, words, "small")
    if warns:
        canvas.on_path.append(words)
    left = x - width / 2 + FRAME
    for chain in chains:
        own, _ = _chain_size(chain, canvas.widths)
        _down(canvas, chain, left + own / 2, y + 26, warns=False)
        left += own + FRAME
    return y + height


def _inside(element: op.Element) -> tuple[op.Chain, ...]:
    match element:
        case op.Partial(chain=chain):
            return (chain,)
        case op.Concat(chains=chains):
            return chains
        case _:
            return ()


def _chain_size(chain: op.Chain, widths: bool) -> tuple[float, float]:
    """Width and height."""
    if not chain:
        return 40, 0
    sizes = [_size(element, widths) for element in chain]
    return max(width for width, _ in sizes), sum(height for _, height in sizes) + GAP * (len(sizes) - 1)


def _size(element: op.Element, widths: bool) -> tuple[float, float]:
    chains = _inside(element)
    words = _width(box_text(element, widths=widths))
    if not chains:
        return words, BOX
    sizes = [_chain_size(chain, widths) for chain in chains]
    wide = sum(width for width, _ in sizes) + FRAME * (len(sizes) + 1)
    return max(wide, words), 26 + max(height for _, height in sizes) + FRAME


def _width(words: str) -> float:
    return max(LEAST, len(words) * LETTER + 18)


DEFINITIONS = (
    '<svg class="definitions" width="0" height="0" aria-hidden="true"><defs>'
    + "".join(
        f'<marker id="{kind}-arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="{size}" markerHeight="{size}" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,1 L10,5 L0,9 z" fill="{colour}"/></marker>'
        for kind, size, colour in (("path", 13, BLUE), ("branch", 9, INK))
    )
    + "</defs></svg>"
)
"""The arrow heads, once in a page that holds drawings."""
STYLE = f"""
.unit {{ max-width: 100%; height: auto; font: 12px system-ui, "DejaVu Sans", sans-serif; }}
.unit polyline {{ fill: none; stroke: {INK}; stroke-width: 1.2; }}
.unit polyline.path {{ stroke: {BLUE}; stroke-width: 3.5; }}
.unit polyline.sign {{ stroke-width: 2; }}
.unit .box {{ fill: {COOL}; stroke: #475467; stroke-width: 1.1; }}
.unit .frame {{ fill: none; stroke: #98a2b3; stroke-dasharray: 2 3; }}
.unit .inner {{ fill: none; stroke: #475467; stroke-width: 0.7; }}
.unit .warns {{ fill: {WARM}; stroke: {VERMILLION}; stroke-width: 2.4; stroke-dasharray: 6 2.5; }}
.unit .plus {{ fill: white; stroke: {INK}; stroke-width: 1.6; }}
.unit text {{ fill: {INK}; }}
.unit .name {{ font-style: italic; }}
.unit .small {{ font-size: 11px; }}
.unit .warning {{ fill: #9a3b00; font-weight: 600; }}
"""
