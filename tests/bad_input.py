"""Wrong specs and what is said of them: helpers of the tests of bad input.

In the tables ⟦…⟧ stands around what a diagnostic must point at.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from resdsl import api
from resdsl.diagnostics import Diagnostic, Severity
from resdsl.source import Source
from resdsl.spec import Options

SPECS = Path(__file__).parent.parent / "specs"


SECONDS = 5.0
"""Of one core: no answer may take longer, most take milliseconds. A guard against blow-ups, not a measurement."""

U = "unit u(width = 3, stride = 1) { branch conv(3x3, width, stride) -> bn shortcut identity }\n"


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS


def spec(*parts: str) -> str:
    return "resnet 1\n" + "\n".join(parts) + "\n"


def net(body: str, *, before: str = "", input: str = "3x8x8") -> str:
    """A spec of one network `n` whose second clause is `body`."""
    return spec(before, f"network n {{\n    input {input}\n    {body}\n}}")


def unit(body: str, *, stage: str = "2 * v", input: str = "3x8x8", parameters: str = "") -> str:
    """A spec whose network `n` has one stage of units `v` with these clauses."""
    return spec(f"unit v{parameters} {{\n    {body}\n}}", f"network n {{ input {input} stage {stage} }}")


def case(name: str, marked: str, code: str, *words: str, options: Options | None = None) -> ParameterSet:
    """A spec with one error, at the mark if there is one, with these words in what is shown of it."""
    return pytest.param(marked, code, words, options, id=name)


def unmark(marked: str) -> tuple[str, tuple[int, int, int, int] | None]:
    """The text without its mark; the mark's line and column (from 1), and those of its end."""
    before, opened, rest = marked.partition("⟦")
    if not opened:
        return marked, None
    inside, _, after = rest.partition("⟧")

    def place(text: str) -> tuple[int, int]:
        return text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1

    return before + inside + after, (*place(before), *place(before + inside))


def errors(text: str, options: Options | None = None) -> list[Diagnostic]:
    """What is wrong with a text, all of it well formed."""
    found = api.check(Source("x.resnet", text), options=options)
    for diagnostic in found:
        shown = diagnostic.render()
        assert shown.startswith(f"error[{diagnostic.code}]: {diagnostic.message}")
        assert "Traceback" not in shown
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", diagnostic.code)
        assert diagnostic.severity is Severity.ERROR
        assert diagnostic.span is None or 0 <= diagnostic.span.start <= diagnostic.span.end <= len(
            diagnostic.span.source.text
        )
    return found


def verify(marked: str, code: str, words: tuple[str, ...], options: Options | None = None) -> Diagnostic:
    """The one error of the text, which is as described."""
    text, place = unmark(marked)
    found = errors(text, options)
    assert [diagnostic.code for diagnostic in found] == [code], "\n\n".join(d.render() for d in found)
    (diagnostic,) = found
    shown = diagnostic.render()
    for word in words:
        assert word in shown
    if place is not None:
        assert diagnostic.span is not None, shown
        at = diagnostic.span.location()
        assert (at.line, at.column, at.end_line, at.end_column) == place, shown
        assert f"--> x.resnet:{at.line}:{at.column}" in shown
    return diagnostic


def lets(count: int, first: str, following: str) -> str:
    """`let a0 = first`, then each `a{i}` made of the one before it: `{}` in `following`."""
    return "\n".join(
        [f"let a0 = {first}", *(f"let a{i + 1} = {following.replace('{}', f'a{i}')}" for i in range(count))]
    )


def units_in_units(count: int) -> str:
    inner = [f"unit v{i} {{ branch v{i + 1} shortcut identity }}" for i in range(count)]
    return "\n".join([*inner, f"unit v{count} {{ branch relu shortcut identity }}"])
