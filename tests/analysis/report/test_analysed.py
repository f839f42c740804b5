"""The page of an analysis: complete in itself, escaped, and as a browser shows it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from resdsl.analysis.report.analysed import MOST_FORMS, Analysed, comparison_report, signal_report
from resdsl.analysis.report.page import inline
from resdsl.analysis.report.verdicts import verdicts
from resdsl.api import build, compile
from resdsl.figures import drawing
from resdsl.spec import Options
from tests.analysis.browser import browser, dom, screenshot
from tests.analysis.made_up import made_up

needs_browser = pytest.mark.skipif(browser() is None, reason="there is no Chromium or Chrome on the PATH")
SPEC = """resnet 1
unit u(width, stride = 1) { placement post branch conv(3x3, width, stride) -> conv(3x3, width) shortcut scale(0.5) projection conv(1x1) }
network n { input 3x8x8 stem conv(3x3, 8) stage 4 * u(8) stage 3 * u(16) first(stride = 2) stage 3 * u(32) first(stride = 2) head avgpool -> linear(10) }
"""
MEASURE = """<script>
const boxes = [...document.querySelectorAll("svg.unit rect, figure.plot svg, svg.unit text")].map(each => {
  const box = each.getBoundingClientRect();
  const own = each.closest("figure").getBoundingClientRect();
  return {kind: each.tagName, words: each.textContent.trim().slice(0, 20), width: box.width, height: box.height,
    inside: box.left >= own.left && box.right <= own.right + 1 && box.top >= own.top && box.bottom <= own.bottom};
});
const wide = document.documentElement.scrollWidth <= window.innerWidth;
const requests = performance.getEntriesByType("resource").map(each => each.name);
document.body.insertAdjacentHTML("beforeend", `<pre id="measured">${JSON.stringify({boxes, wide, requests})}</pre>`);
</script></body>"""


def analysed(spec: str = SPEC, network: str | None = None, name: str = "n", factor: float = 0.5) -> Analysed:
    built = build(spec, network)
    return Analysed(name, built, made_up(name, factor=factor), verdicts(spec, built, network, Options()))


@pytest.fixture(scope="module")
def page() -> str:
    with drawing():
        return signal_report(analysed())


class Tags(HTMLParser):
    """Ids and references, and whether tags are closed in order."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "xlink:href", "src"):
                self.references.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_it_stands_alone(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(tags.ids) == len(set(tags.ids))
    assert tags.references
    assert all(each.startswith("#") and each[1:] in tags.ids for each in tags.references)
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(tags.ids)
    rest = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"https?:|file:|//\w|@import|<script|<link|<img", rest)


def test_it_says_what_it_is(page: str) -> None:
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert "<title>n before training</title>" in page
    assert page.count('role="img" aria-label="') == 2 + 5  # forms of units, figures
    assert "@media print" in page


def test_it_holds_verdicts_gains_and_numbers(page: str) -> None:
    assert "SC001 shortcut-scale" in page
    assert "8 shortcuts scaled by 0.5" in page  # two of the ten units have projections
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page)
    whole = cells.index("network")
    assert cells[whole : whole + 3] == ["network", "10", "0.0039"]  # 0.5 ** 8
    assert cells.count("stage1.0") == 1


def test_what_a_user_wrote_is_escaped() -> None:
    shown = analysed(name="<b>&\"n'")
    with drawing():
        html = signal_report(shown) + comparison_report("<i>x</i>", [shown, shown], {})
    assert "<b>&" not in html
    assert "<i>x" not in html
    assert "&lt;b&gt;&amp;&quot;n&#x27;" in html


def test_what_is_allowed_is_said() -> None:
    allowed = SPEC.replace("resnet 1\n", "resnet 1\n# resdsl: allow-file shortcut-scale (a test)\n")
    with drawing():
        html = signal_report(analysed(allowed))
    (found,) = re.findall(r"<code>SC001 shortcut-scale</code>([^<]*)<", html)
    assert found == " (a comment in the spec allows it)"


def test_a_document_has_no_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    document = compile(SPEC, "json")
    path.write_bytes(document)
    assert verdicts(str(path), build(path), None, Options()) is None
    with drawing():
        html = signal_report(Analysed("n", build(path), made_up(), None))
    assert "the linter reads specs" in html


def test_parameters_of_the_command_line_have_verdicts() -> None:
    built = build("std/resnet110", "resnet110", {"shortcut": "scale(0.5)"})
    found = verdicts("std/resnet110", built, "resnet110", Options())
    assert found is not None
    assert found[0].code == "SC001"
    assert found[0].message.startswith("52 shortcuts scaled by 0.5")
    assert all("/" not in place for each in found for place in each.places)


def test_forms_beyond_the_most_are_counted() -> None:
    many = [
        f"unit u{i} {{ placement pre branch {' -> '.join(['conv(3x3, 8)'] * (i + 1))} shortcut identity }}"
        for i in range(9)
    ]
    stages = " ".join(f"stage {i + 1} * u{i}" for i in range(9))
    spec = "resnet 1\n" + "\n".join(many) + f"\nnetwork n {{ input 8x4x4 {stages} head avgpool -> linear(2) }}\n"
    with drawing():
        html = signal_report(analysed(spec))
    assert html.count('<svg class="unit"') == MOST_FORMS
    assert "3 more forms, of 6 units, not drawn." in html  # 1 + 2 + 3


def test_pictures_of_a_page_share_no_names() -> None:
    svg = '<?xml version="1.0"?>\n<svg xmlns="x" width="7pt" height="5pt" viewBox="0 0 7 5"><metadata>http://a</metadata><style>*{}</style><g id="a" clip-path="url(#b)"><use xlink:href="#a"/></g></svg>\n'
    assert inline(svg, "p", "a & b") == (
        '<svg role="img" aria-label="a &amp; b" xmlns="x" viewBox="0 0 7 5"><g id="p-a" clip-path="url(#p-b)"><use xlink:href="#p-a"/></g></svg>'
    )  # fmt: skip


@needs_browser
@pytest.mark.slow
def test_a_browser_shows_all_of_it(page: str, tmp_path: Path) -> None:
    """A script that only the copy here has measures where things are."""
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", MEASURE), "utf-8")
    (measured,) = re.findall(r'<pre id="measured">({.*?)</pre>', dom(path, tmp_path), re.DOTALL)
    found = json.loads(measured.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))
    assert found["requests"] == []
    assert found["wide"]
    assert all(each["width"] > 0 and each["height"] > 0 and each["inside"] for each in found["boxes"]), [
        each for each in found["boxes"] if not each["inside"]
    ]
    kinds = [each["kind"] for each in found["boxes"]]
    words = [each["words"] for each in found["boxes"]]
    assert kinds.count("svg") == 5
    assert kinds.count("rect") == page.count('<rect class="box') > 10
    assert words.count("× 0.5") == 1  # a projection takes its place in the other form
    assert words.count("ReLU") == 4


@needs_browser
@pytest.mark.slow
def test_a_browser_shows_no_blank_page(page: str, tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "page.html"
    path.write_text(page, "utf-8")
    pixels = np.asarray(Image.open(screenshot(path, tmp_path)).convert("RGB"))
    assert pixels.shape == (3600, 1280, 3)
    is_path = (np.abs(pixels.astype(int) - (0x00, 0x72, 0xB2)).sum(2) < 12).sum()
    warns = (np.abs(pixels.astype(int) - (0xD5, 0x5E, 0x00)).sum(2) < 12).sum()
    assert is_path > 2000
    assert warns > 500
    assert len(np.unique(pixels.reshape(-1, 3)[::7], axis=0)) > 200
