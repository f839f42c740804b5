"""What resdsl says about wrong specs: the code, the words that help, the exact place; quickly, and without a traceback.

In the tables ⟦…⟧ stands around what a diagnostic must point at.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark.structures import ParameterSet
from numpy.typing import NDArray
from safetensors.numpy import save, save_file

from resdsl import api
from resdsl.diagnostics import Diagnostic, Severity, SpecError
from resdsl.source import Source
from resdsl.spec import Options
from resdsl.weights import network_weights

SPECS = Path(__file__).parent.parent / "specs"
SECONDS = 5.0
"""No answer may take longer; most take milliseconds. It is a guard against blow-ups, not a measurement."""

U = "unit u(width = 3, stride = 1) { branch conv(3x3, width, stride) -> bn shortcut identity }\n"


@pytest.fixture(autouse=True)
def quickly() -> Iterator[None]:
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < SECONDS


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


HEADERS = [
    case("newer", "resnet ⟦2⟧\n", "wrong-version", "language version 2", "reads `resnet 1`", "a newer one may"),
    case("fraction", "resnet ⟦1.5⟧\n", "wrong-version", "1.5"),
    case("word", "resnet ⟦one⟧\n", "wrong-version", "one", "`resnet 1`"),
    case("glued", "resnet ⟦1x⟧\n", "wrong-version", "1x"),
    case("leading zero", "resnet ⟦01⟧\n", "wrong-version", "01"),
    case("no number", "⟦resnet⟧\nnetwork n { input 10 }\n", "missing-version", "write `resnet 1`"),
    case("capital", "⟦Resnet⟧ 1\n", "missing-version", "write `resnet 1`"),
    case("no line", "⟦network⟧ n { input 10 }\n", "missing-version", "x.resnet does not begin", "write `resnet 1`"),
    case("behind comments", "# one\n\n  # two\n  ⟦network⟧ n { input 10 }\n", "missing-version"),
    case("empty", "⟦⟧", "missing-version", "write `resnet 1`"),
    case("blank", " \n\n ⟦⟧", "missing-version"),
    case("comments only", "# only\n# comments\n⟦⟧", "missing-version", "write `resnet 1`"),
]

SYNTAX = [
    case("misspelled clause", net("⟦hed⟧ relu"), "syntax", "`hed` is no clause of a network", "did you mean `head`?"),
    case("misspelled in unit", unit("⟦brnch⟧ relu\n    shortcut identity"), "syntax", "no clause of a unit", "`branch`?"),
    case("unlike any clause", net("⟦zzzz⟧ relu"), "syntax", "no clause of a network", "input, stem, stage, head"),
    case("clause of a unit", net("⟦branch⟧ relu"), "syntax", "is a clause of a unit, and this is a network"),
    case("clause of a network", unit("⟦stem⟧ relu"), "syntax", "is a clause of a network, and this is a unit"),
    case("misspelled word", spec("⟦netwrk⟧ n { input 10 }"), "syntax", "import, unit, network or let", "did you mean `network`?"),
    case("from on a branch", spec("unit v { branch relu ⟦from⟧ input shortcut identity }"), "syntax", "shortcut or a projection"),
    case("misspelled first", net("stage 2 * u ⟦frist⟧(width = 3)", before=U), "syntax", "did you mean `first`?"),
    case("open brace", spec("network n {", "    input 1⟦0⟧"), "syntax", "`{` at x.resnet:2:11 is not closed", "close it with `}`"),
    case(
        "unit in an open network", spec("network n {", "    input 10", "⟦unit⟧ v { branch relu shortcut identity }"),
        "syntax", "`unit` cannot stand in a network", "`{` at x.resnet:2:11 is not closed",
    ),
    case("open parenthesis", net("head conv(3x3, 4").replace("\n}", "\n⟦}⟧"), "syntax", "expected `)` or `,`", "`(` at x.resnet:5:14"),
    case("brace too many", net("head relu") + "⟦}⟧", "syntax", "expected import, unit, network or let"),
    case("open text", spec("import ⟦\"⟧units/basic.resnet"), "syntax", "this text is not closed", "on the same line"),
    case("open docstring", spec('⟦"""⟧A network.', "network n { input 10 }"), "syntax", "this docstring is not closed", '`"""`'),
    case("docstring of a let", spec('"""Doc."""', "⟦let⟧ a = 1"), "syntax", "expected unit or network"),
    case("stray character", net("head relu ⟦$⟧ bn"), "syntax", "`$` has no meaning in a .resnet file"),
    case("arrow", net("head relu ⟦→⟧ bn"), "syntax", "write `->`"),
    case("minus sign", net("head scale(⟦−⟧1)"), "syntax", "write `-`"),
    case("times", spec("network n { input 3⟦×⟧32×32 }"), "syntax", "write `x` in a size"),
    case("bracket", net("head conv⟦[⟧3x3, 4]"), "syntax", "write `(`"),
    case("colon", net("head⟦:⟧ relu"), "syntax", "a clause is its word and its value"),
    case("semicolon", net("head relu⟦;⟧"), "syntax", "nothing stands between clauses"),
    case("other quotes", spec("import ⟦'⟧a.resnet'"), "syntax", 'between `"`'),
    case("no-break space", net("head⟦\u00a0⟧relu"), "syntax", "U+00A0 (no-break space)"),
    case("control character", net("head ⟦\x00⟧relu"), "syntax", "U+0000"),
    case("emoji", net("head ⟦🙂⟧"), "syntax", "`🙂` has no meaning"),
    case("reserved unit", spec("unit ⟦if⟧ { branch relu shortcut identity }"), "syntax", "`if` is reserved and cannot be a name"),
    case("reserved let", spec("let ⟦true⟧ = 1"), "syntax", "`true` is reserved"),
    case("reserved parameter", spec("network n(⟦or⟧ = 1) { input 10 }"), "syntax", "`or` is reserved"),
    case("positional after named", net("head conv(kernel = 3x3, ⟦16⟧)"), "argument-order", "put positional arguments first"),
    case("no value", spec("network n { input 10 head ⟦}⟧"), "syntax", "expected a value"),
    case("dangling arrow", net("stem relu ->\n    ⟦stage⟧ relu"), "syntax", "the clause before it is not complete"),
    case("dangling arrow at the end", net("head relu ->").replace("\n}", "\n⟦}⟧"), "syntax", "expected a value"),
    case("no comma", net("head conv(3x3 ⟦16⟧)"), "syntax", "expected `)` or `,`"),
    case("no arrow", net("head relu ⟦bn⟧"), "syntax", "operators are joined with `->`"),
    case("not a number", net("head conv(⟦3x3y⟧, 16)"), "syntax", "`3x3y` is not a number or a size"),
    case("underscores in a number", net("head linear(⟦1_000⟧)"), "syntax", "is not a number"),
    case("name that begins with a digit", spec("network ⟦3n⟧ { input 10 }"), "syntax", "names begin with a letter"),
    case("chained comparison", net("head relu if 1 < 2 ⟦<⟧ 3 else bn"), "syntax", "comparisons do not chain", "`a < b and b < c`"),
    case("if without else", net("head (relu if 1 < 2⟦)⟧"), "syntax", "expected `else`"),
    case("equal sign in a clause", spec("network n { input ⟦=⟧ 10 }"), "syntax", "expected a value"),
    case("comma between clauses", spec("network n { input 10⟦,⟧ head relu }"), "syntax", "a clause of a network or `}`"),
    case("parameters without comma", spec("unit v(a ⟦b⟧) { branch relu shortcut identity }"), "syntax", "`,`"),
    case("unit without a name", spec("unit ⟦{⟧ branch relu }"), "syntax", "expected a name"),
    case("assert without a text", net("assert 1 < 2, ⟦n⟧"), "syntax", '"text"'),
    case("no value in a message", net('assert 1 > 2, "a ⟦{b c}⟧"'), "syntax", "`{b c}` in a message holds no value"),
    case("header twice", spec("⟦resnet⟧ 1"), "syntax", "`resnet` cannot stand here"),
]  # fmt: skip

NAMES = [
    case("operator", net("head ⟦relx⟧"), "unknown-name", "there is no value, unit or operator `relx`", "did you mean `relu`?"),
    case("called operator", net("head ⟦cnv⟧(3x3, 4)"), "unknown-name", "no unit or operator `cnv`", "did you mean `conv`?"),
    case("unit", net("stage 2 * ⟦basik⟧", before="unit basic { branch relu shortcut identity }"), "unknown-name", "`basic`?"),
    case("value", net("let width = 3\n    head linear(⟦widht⟧)"), "unknown-name", "did you mean `width`?"),
    case("tap", unit("branch relu\n    shortcut identity from ⟦inpt⟧"), "unknown-name", "did you mean `input`?"),
    case("placement", unit("placement ⟦psot⟧\n    branch relu\n    shortcut identity"), "unknown-name", "did you mean `post`?"),
    case("placement chain", net("head ⟦post.pots⟧"), "unknown-name", "pre, mid, post and after", "did you mean `post`?"),
    case("chain of no placement", net("head ⟦relu.pre⟧"), "wrong-value", "belongs to a placement, and this is an operator"),
    case("network", spec("network resnet8 { input 10 }", "network b = ⟦resnet9⟧"), "unknown-name", "did you mean `resnet8`?"),
    case("alias of an operator", spec("network b = ⟦relu⟧"), "unknown-name", "there is no network `relu`"),
    case("alias of a value", spec("network b = ⟦3⟧"), "wrong-value", "write `network b = a(…)`"),
    case("argument", net("head conv(3x3, 4, ⟦strid = 2⟧)"), "unknown-argument", "`strid`", "did you mean `stride`?", "dilation"),
    case("unit's argument", net("stage u(⟦wdth = 3⟧)", before=U), "unknown-argument", "u has no parameter", "`width`?"),
    case("override's argument", net("stage 2 * u first(⟦strid = 1⟧)", before=U), "unknown-argument", "`stride`?"),
    case("alias's argument", spec("network a(classes = 1) { input 10 }", "network b = a(⟦clases = 2⟧)"), "unknown-argument", "`classes`?"),
    case("placement's argument", unit("placement at(⟦mild = act⟧)\n    branch relu\n    shortcut identity"), "unknown-argument", "`mid`?"),
    case("in a message", net('let width = 3\n    assert width > 3, "{1 + ⟦widht⟧}"'), "unknown-name", "did you mean `width`?"),
    case("network as a value", net("head ⟦n⟧"), "wrong-value", "`n` is a network"),
    case("network called", net("head ⟦n⟧()"), "not-callable", "`n`"),
    case("value called", net("let a = 3\n    head ⟦a⟧(3)"), "not-callable", "`a` is a value and takes no arguments"),
    case("identity called", net("head ⟦identity()⟧"), "not-callable", "write `identity`"),
    case("unit twice", spec(U, f"unit ⟦u⟧{U[6:]}"), "declared-twice", "`u` is declared twice", "first at x.resnet:2:6"),
    case("unit and let", spec("let v = 3", "unit ⟦v⟧ { branch relu shortcut identity }"), "declared-twice", "first at x.resnet:2:1"),
    case("let twice", net("let a = 1\n    ⟦let a = 2⟧"), "declared-twice", "`a`"),
    case("parameter twice", spec("unit v(⟦a⟧, a) { branch relu shortcut identity }"), "declared-twice", "parameter `a`"),
    case("clause twice", spec("network n { input 10 ⟦input 11⟧ }"), "clause-twice", "`input` stands twice", "x.resnet:2:13"),
    case("no input", spec("network ⟦n⟧ { head relu }"), "missing-clause", "no `input`", "write for instance `input 3x32x32`"),
    case("no branch", spec("unit ⟦v⟧ { shortcut identity }"), "missing-clause", "no `branch`"),
    case("no shortcut", spec("unit ⟦v⟧ { branch relu }"), "missing-clause", "no `shortcut`", "`shortcut identity`"),
]  # fmt: skip

ARGUMENTS = [
    case("kind", net("head conv(⟦3⟧, 16)"), "wrong-argument", "`kernel` of conv must be a size like 3x3, and this is 3"),
    case("size of three", net("head conv(⟦3x3x3⟧, 16)"), "wrong-argument", "3x3x3"),
    case("order", net("head conv(⟦16⟧, 3x3)"), "wrong-argument", "`kernel`", "this is 16"),
    case("operator for a number", net("head scale(⟦relu⟧)"), "wrong-argument", "must be a number, and this is an operator"),
    case("number for a truth value", net("head conv(3x3, 16, bias = ⟦1⟧)"), "wrong-argument", "true or false"),
    case("truth value for a number", net("head dropout(⟦true⟧)"), "wrong-argument", "from 0 to below 1", "true"),
    case("float for a count", net("head conv(3x3, ⟦16.0⟧)"), "wrong-argument", "a whole number from 1, and this is 16.0"),
    case("init", net("head conv(3x3, 16, init = ⟦relu⟧)"), "wrong-argument", "he, xavier, orthogonal, zero"),
    case("gain", net("init he(gain = ⟦relu⟧)\n    head relu"), "wrong-argument", "`gain` of he must be a number"),
    case("chain", net("head concat(relu, ⟦1⟧)"), "wrong-argument", "an argument of concat must be an operator or a chain"),
    case("negative", net("head conv(3x3, ⟦-1⟧)"), "wrong-argument", "a whole number from 1, and this is -1"),
    case("zero", net("head avgpool -> linear(⟦0⟧)"), "wrong-argument", "`features` of linear", "this is 0"),
    case("zero kernel", net("head conv(⟦0x0⟧, 16)"), "wrong-argument", "this is 0x0"),
    case("zero stride", net("head conv(3x3, 16, ⟦0⟧)"), "wrong-argument", "`stride` of conv", "this is 0"),
    case("huge", net("head conv(3x3, ⟦16777217⟧)"), "wrong-argument", "may be 16,777,216 at most, and this is 16777217"),
    case("huge window", net("head maxpool(⟦3x99999999⟧, 1)"), "wrong-argument", "16,777,216 at most"),
    case("negative padding", net("head conv(3x3, 4, padding = ⟦-1⟧)"), "wrong-argument", "a whole number from 0"),
    case("probability", net("head dropout(⟦1.5⟧)"), "wrong-argument", "a number from 0 to below 1, and this is 1.5"),
    case("certainty", net("head drop_path(⟦1⟧)"), "wrong-argument", "from 0 to below 1"),
    case("epsilon", net("head bn(eps = ⟦0⟧)"), "wrong-argument", "above 0"),
    case("fraction", net("head partial(⟦2⟧)"), "wrong-argument", "above 0, up to 1"),
    case("part of a channel", net("head partial(⟦0.5⟧)"), "wrong-argument", "0.5 of 3 channels is no whole number"),
    case("beyond float32", net("head scale(⟦1e300⟧)"), "wrong-argument", "float32", "1e+300"),
    case("missing", net("head ⟦conv⟧"), "missing-argument", "conv needs `kernel`", "conv(kernel, channels, stride"),
    case("missing channels", net("head ⟦conv(3x3)⟧"), "missing-argument", "`channels` here", "only on a shortcut or projection"),
    case("missing stride", net("head ⟦maxpool(3x3)⟧"), "missing-argument", "maxpool needs `stride`"),
    case("no chain", net("head ⟦concat()⟧"), "wrong-argument", "concat(chain, chain, …)"),
    case("named chain", net("head ⟦concat(a = relu)⟧"), "wrong-argument", "concat(chain, chain, …)"),
    case("even kernel", net("head ⟦conv(2x2, 4)⟧"), "missing-argument", "2x2, has no middle", "`padding = 0`"),
    case("missing for a unit", net("stage 2 * ⟦w⟧", before="unit w(a) { branch relu shortcut identity }"), "missing-argument", "w needs `a`", "w(a)"),
    case("twice", net("head conv(3x3, 16, ⟦channels = 4⟧)"), "wrong-argument", "`channels` of conv is given twice"),
    case("too many", net("head linear(1, true, ⟦3⟧)"), "wrong-argument", "2 arguments at most, and this is number 3"),
    case("none taken", net("head relu(⟦1⟧)"), "wrong-argument", "relu takes no arguments"),
    case("too many for a unit", net("stage u(3, 1, ⟦2⟧)", before=U), "wrong-argument", "u takes 2 arguments at most"),
    case("through a unit", unit("branch conv(⟦k⟧, 3)\n    shortcut identity", parameters="(k)", stage="v(3)"), "wrong-argument", "in v(3) at x.resnet:6:"),
    case("gate in a branch", net("head ⟦gate(1)⟧"), "wrong-value", "gate stands on a shortcut"),
    case("scale of the branch", net("head ⟦scale(1, branch = 2)⟧"), "wrong-value", "`branch`", "stands on the shortcut"),
    case("none in a chain", net("head relu -> ⟦none⟧"), "wrong-value", "`none` stands alone", "write `identity`"),
    case("number for a chain", net("head ⟦3⟧"), "wrong-value", "an operator or a chain must stand here, and this is a whole number"),
    case("placement for a chain", net("head ⟦post⟧"), "wrong-value", "a placement"),
    case("chain for a placement", unit("placement ⟦relu⟧\n    branch relu\n    shortcut identity"), "wrong-value", "relu_only_pre", "at(pre, mid, post, after)"),
    case("operator for a tap", unit("branch relu\n    shortcut identity from ⟦relu⟧"), "wrong-value", "`from` takes input or activated"),
    case("operator for an init", net("init ⟦relu⟧\n    head relu"), "wrong-value", "he, xavier, orthogonal or zero"),
    case("unit on a shortcut", net("stage w", before=U + "unit w { branch relu shortcut ⟦u⟧ }"), "wrong-value", "a unit cannot stand here", "branches, stages"),
    case("1 is not true", net("stage v(1) -> v(true)", before="unit v(x) { branch scale(⟦x⟧) shortcut identity }"), "wrong-argument", "this is true", "v(true)"),
    case("2 is not 2.0", net("stage v(2) -> v(2.0)", before="unit v(x) { branch se(1) -> conv(1x1, ⟦x⟧) shortcut none }"), "wrong-argument", "this is 2.0"),
]  # fmt: skip

INPUTS = [
    case("zero", net("head relu", input="⟦0x1x1⟧"), "wrong-value", "at least one channel", "`input 3x32x32`"),
    case("negative", net("head relu", input="⟦-3⟧"), "wrong-value", "`input 10` (a vector)"),
    case("two numbers", net("head relu", input="⟦3x8⟧"), "wrong-value", "no shape of an input"),
    case("four numbers", net("head relu", input="⟦1x3x8x8⟧"), "wrong-value", "no shape of an input"),
    case("huge image", net("head relu", input="⟦3x8x99999999⟧"), "shape", "16,777,216 at most"),
    case("huge vector", net("head relu", input="⟦16777217⟧"), "shape", "16,777,216 at most"),
    case("float", net("head relu", input="⟦10 / 2⟧"), "wrong-value", "this is a number", "`input 10`"),
    case("operator", net("head relu", input="⟦relu⟧"), "wrong-value", "this is an operator"),
    case("truth value", net("head relu", input="⟦true⟧"), "wrong-value", "a truth value"),
    case("its place", net("head relu", input="⟦index⟧"), "wrong-value", "depends on the unit's place"),
    case("how many units", net("stage 2 * u", before=U, input="⟦count⟧"), "wrong-value", "depends on the unit's place"),
]

ARITHMETIC = [
    case("0.0 / 0.0", net("head linear(⟦0.0 / 0.0⟧)"), "arithmetic", "divides by zero"),
    case("1 // 0", net("head linear(⟦1 // 0⟧)"), "arithmetic", "divides by zero"),
    case("5 % 0", net("head linear(⟦5 % 0⟧)"), "arithmetic", "divides by zero"),
    case("0 ** -1", net("head linear(⟦0 ** -1⟧)"), "arithmetic", "divides by zero"),
    case("root of -1", net("head scale(⟦(-1) ** 0.5⟧)"), "arithmetic", "not a number"),
    case("inf - inf", net("head scale(⟦1e308 * 10⟧ - 1e308 * 10)"), "number-too-large", "too large"),
    case("1e999", net("head scale(⟦1e999⟧)"), "number-too-large", "1e999"),
    case("10 ** 10 ** 10", net("head linear(⟦10 ** 10 ** 10⟧)"), "number-too-large", "10 ** 10000000000"),
    case("power beyond floats", net("head linear(⟦999999999999999999 ** 64⟧)"), "number-too-large", "18 digits"),
    case("float power", net("head scale(⟦1e10 ** 1e10⟧)"), "number-too-large"),
    case("product", net("head linear(⟦10 ** 17 * 100⟧)"), "number-too-large", "18 digits"),
    case("digits", net(f"head linear(⟦{'9' * 5000}⟧)"), "number-too-large", "999999999999…", "18 digits"),
    case("digits of a size", net(f"head conv(⟦3x{'9' * 50}⟧, 4)"), "number-too-large", "18 digits"),
    case("operators added", net("head ⟦relu⟧ + bn"), "wrong-value", "a number must stand here, and this is an operator"),
    case("operator negated", net("head -⟦relu⟧"), "wrong-value", "a number must stand here"),
    case("number as a truth value", net("head relu if ⟦1⟧ else bn"), "wrong-value", "true or false must stand here"),
    case("not a number", net("head relu if not ⟦0⟧ else bn"), "wrong-value", "true or false must stand here"),
    case("and", net("head relu if true and ⟦1⟧ else bn"), "wrong-value", "a whole number"),
    case("size in arithmetic", net("head linear(⟦3x3⟧ + 1)"), "wrong-value", "this is a size"),
    case("repetition turned round", net("head ⟦relu * 2⟧"), "wrong-repetition", "write the number first"),
    case("negative repetition", net("head ⟦-1⟧ * relu"), "wrong-repetition", "a whole number from 0, and this is -1"),
    case("half a repetition", net("head ⟦1.5⟧ * relu"), "wrong-repetition", "1.5"),
    case("true repetition", net("head ⟦true⟧ * relu"), "wrong-repetition", "true"),
]  # fmt: skip

SHAPES = [
    case(
        "no projection",
        spec(
            "unit v(width, stride = 1) {", "    branch conv(3x3, width, stride) -> bn", "    shortcut ⟦identity⟧", "}",
            "network n {", "    input 3x8x8", "    stem conv(3x3, 16)", "    stage 2 * v(16)", "    stage 2 * v(32) first(stride = 2)", "}",
        ),
        "shape", "16x8x8 meets 32x4x4 in v(32, stride = 2), stage 2 of n", "gives 16x8x8; the branch gives 32x4x4",
        "in v(32, stride = 2) at x.resnet:10:11", "in stage 2 of n at x.resnet:10:11", "`projection conv(1x1)`",
    ),
    case("projection of another size", unit("branch conv(3x3, 16, 2)\n    shortcut identity\n    projection ⟦conv(1x1, 8)⟧"), "shape", "8x8x8 meets 16x4x4", "`conv(1x1)` or `pad`"),
    case("projection without weights", unit("branch conv(3x3, 16, 2)\n    shortcut identity\n    projection ⟦relu⟧"), "shape", "3x8x8 meets 16x4x4"),
    case("no stride leads there", unit("branch conv(3x3, 16, 2) -> conv(1x3, 16, padding = 0)\n    shortcut ⟦conv(1x1)⟧"), "shape", "no stride leads from 8x8 to 4x2"),
    case("branch gives a vector", unit("branch avgpool -> linear(3)\n    shortcut ⟦identity⟧"), "shape", "3x8x8 meets 3", "`projection avgpool -> linear`"),
    case("pad takes nothing away", unit("branch conv(3x3, 2)\n    shortcut identity\n    projection ⟦pad⟧"), "shape", "3 are more than 2", "use `conv(1x1)`"),
    case("two take the channels", unit("branch conv(3x3, 16, 2)\n    shortcut identity\n    projection pad -> ⟦conv(1x1)⟧"), "ambiguous-fit", "the branch's channels", "write the channels of one of them"),
    case("two take the stride", unit("branch conv(3x3, 16, 2)\n    shortcut identity\n    projection pad -> ⟦conv(1x1, 16)⟧"), "ambiguous-fit", "the branch's stride"),
    case("groups", net("head ⟦conv(3x3, 16, groups = 5)⟧"), "shape", "3 channels in and 16 out do not divide into 5 groups"),
    case("groups of a norm", net("head ⟦groupnorm(2)⟧"), "shape", "3 channels do not divide into 2 groups"),
    case("linear on an image", net("head ⟦linear(10)⟧"), "shape", "linear reads a vector, and this is 3x8x8", "put `avgpool` or `flatten` before it", "in head of n"),
    case("conv on a vector", net("head avgpool -> ⟦conv(3x3, 4)⟧"), "shape", "an image, and this is a vector of 3", "use `linear`"),
    case("pooling of a vector", net("head avgpool -> ⟦avgpool⟧"), "shape", "a vector of 3"),
    case("window", net("head ⟦conv(9x9, 3, padding = 0)⟧"), "shape", "a 9x9 window does not fit into 3x8x8"),
    case("window of a dilated kernel", net("head ⟦conv(3x3, 3, dilation = 8, padding = 0)⟧"), "shape", "does not fit into 3x8x8"),
    case("window of a pooling", net("head ⟦maxpool(10x10, 1)⟧"), "shape", "10x10 window does not fit"),
    case("padding of a pooling", net("head ⟦maxpool(3x3, 1, padding = 2)⟧"), "shape", "more than half of the kernel"),
    case("concat", net("head ⟦concat(relu, conv(3x3, 4, 2))⟧"), "shape", "3x8x8 meets 4x4x4"),
    case("concat of a vector", net("head ⟦concat(avgpool, relu)⟧"), "shape", "concat joins channels"),
    case("reduction", net("head ⟦se(16)⟧"), "shape", "se(16) leaves none of 3 channels"),
    case("features", net("head ⟦flatten⟧", input="3x4096x4096"), "shape", "50,331,648", "16,777,216"),
    case("in a placement", unit("norm groupnorm(5)\n    placement ⟦post⟧\n    branch conv(3x3, 3)\n    shortcut identity"), "shape", "3 channels do not divide into 5 groups", "in v at"),
]  # fmt: skip

UNITS = [
    case("assert", unit('assert ⟦width % 4 == 0⟧, "width {width} is no multiple of {2 + 2}"\n    branch relu\n    shortcut identity', parameters="(width = 3)"), "assertion", "width 3 is no multiple of 4", "this is false", "in v at x.resnet:7:31", "in stage 1 of n"),
    case("assert on the place", unit('assert ⟦index < 1⟧, "unit {index} of {count}"\n    branch relu\n    shortcut identity'), "assertion", "unit 1 of 2"),
    case("assert of a network", net('assert ⟦false⟧, "never"'), "assertion", "never"),
    case("assert without words", net('assert ⟦false⟧, ""'), "assertion", "an assertion failed"),
    case("assert of a number", net('assert ⟦1⟧, "x"'), "wrong-value", "true or false must stand here"),
    case("error in a message", net('assert false, "{⟦1 / 0⟧}"'), "arithmetic", "divides by zero"),
    case("first of an operator", net("stage ⟦2 * relu first(a = 1)⟧"), "wrong-override", "a repetition of one unit"),
    case("first of a chain", net("stage ⟦(u -> u) first(width = 3)⟧", before=U), "wrong-override", "this is a chain"),
    case("first and last", net("stage ⟦1 * u first(width = 3) last(width = 3)⟧", before=U), "wrong-override", "both set `width` on the only copy"),
    case("first twice", net("stage 2 * u first(width = 3) ⟦first(stride = 1)⟧", before=U), "wrong-override", "put all of it into one"),
    case("itself", spec("unit ⟦a⟧ { branch a shortcut identity }"), "recursive-unit", "a -> a"),
    case("each other", spec("unit ⟦a⟧ { branch b shortcut identity }", "unit b { branch c shortcut identity }", "unit c { branch a shortcut identity }"), "recursive-unit", "a -> b -> c -> a"),
    case("circular let", net("let a = b\n    let b = ⟦a⟧\n    head linear(a)"), "circular-value", "`a` depends on itself"),
    case("circular default", unit("branch scale(a)\n    shortcut identity", parameters="(a = b, b = ⟦a⟧)", stage="v"), "circular-value", "`a`"),
    case("circular in its place", unit("let a = ⟦index + a⟧\n    branch scale(a)\n    shortcut identity"), "circular-value", "depends on itself"),
    case("norm of itself", unit("norm ⟦norm⟧ -> relu\n    branch relu\n    shortcut identity"), "circular-value", "`norm` is set to itself"),
    case("norm in its own concat", unit("norm concat(⟦norm⟧, relu)\n    branch norm\n    shortcut identity"), "circular-value", "`norm`"),
    case("norm and act", unit("norm act -> bn\n    act ⟦norm⟧\n    branch norm\n    shortcut identity"), "circular-value", "`norm` is set to itself"),
    case("norm that waits", unit("norm (⟦norm⟧ if index > 0 else bn)\n    branch norm\n    shortcut identity"), "circular-value", "`norm`"),
    case("place where no unit is", net("stem dropout(⟦index⟧)"), "wrong-value", "no unit is here"),
    case("position where no unit is", net("stem dropout(⟦position⟧)"), "wrong-value", "no unit is here"),
    case("place of a unit of units", net("stage 2 * w", before=U + "unit w { branch u -> dropout(⟦index⟧) shortcut identity }"), "wrong-value", "no unit is here"),
    case("place as a repetition of units", net("stage 2 * w", before=U + "unit w { branch ⟦index * u⟧ shortcut identity }"), "wrong-repetition", "depends on the number of units, or on their place", "arguments of operators"),
    case("number of units as a repetition", net("stage ⟦count * u⟧ -> u", before=U), "wrong-repetition", "the number of units"),
    case("place as channels", unit("branch conv(1x1, ⟦index⟧)\n    shortcut identity"), "wrong-argument", "`channels` of conv", "this is 0"),
    case("value of the last copy", unit("branch dropout(⟦index / 1⟧)\n    shortcut identity"), "wrong-argument", "this is 1.0"),
    case("place gives no chain", unit("branch ⟦relu if index > 0 else 3⟧\n    shortcut identity"), "wrong-value", "an operator or a chain must stand here"),
    case("place gives concat no chain", unit("branch concat(relu, ⟦relu if index > 0 else 3⟧)\n    shortcut none"), "wrong-argument", "an argument of concat", "this is 3"),
    case("network needs a value", spec("network n(classes) { input 10 head linear(classes) }", "network m = n(classes = relu)").replace("linear(classes)", "linear(⟦classes⟧)"), "wrong-argument", "`features` of linear", "in head of m"),
]  # fmt: skip


def lets(count: int, first: str, following: str) -> str:
    """`let a0 = first`, then each `a{i}` made of the one before it: `{}` in `following`."""
    return "\n".join(
        [f"let a0 = {first}", *(f"let a{i + 1} = {following.replace('{}', f'a{i}')}" for i in range(count))]
    )


def units_in_units(count: int) -> str:
    inner = [f"unit v{i} {{ branch v{i + 1} shortcut identity }}" for i in range(count)]
    return "\n".join([*inner, f"unit v{count} {{ branch relu shortcut identity }}"])


DEEP = "more than 100 deep"
LIMITS = [
    case("repeated units", net("stage ⟦1000000000 * u⟧", before=U), "too-many-units", "1,000,000,000 units", "--max-units"),
    case("repeated chain", net("stage ⟦1000000000 * (conv(3x3, 3) -> bn)⟧"), "too-many-units", "2,000,000,000", "--max-units"),
    case("repeated operator", net("head ⟦1000000000 * relu⟧"), "too-many-units", "1,000,000,000"),
    case("repetition of repetitions", net("stage ⟦1000 * (1000 * (1000 * u))⟧", before=U), "too-many-units", "1,000,000"),
    case("units of units of units", net("stage 1000 * c", before=U + "unit b { branch 1000 * u shortcut identity }\nunit c { branch ⟦1000 * b⟧ shortcut identity }"), "too-many-units", "1,001,000 units", "in c at x.resnet:"),
    case("--max-units", net("stage 4 * u\n    stage ⟦4 * u⟧", before=U), "too-many-units", "8 units, and a network may have 7", options=Options(max_units=7)),
    case("doubled chain", net("head a40", before=lets(40, "relu", "{} -> {}")), "too-many-units", "operators or units"),
    case("doubled concat", net("head a40", before=lets(40, "relu", "concat({}, {})")), "too-many-units"),
    case("doubled argument", net("stage a40", before="unit v(x, y) { branch x shortcut none }\n" + lets(40, "relu", "v({}, {})")), "too-many-units"),
    case("repetition that waits", net("head 1000 * a", before="let a = (count + 1000) * relu"), "too-many-units", "1,000,000"),
    case("doubled choice", unit("branch a40\n    shortcut none") + lets(40, "relu", "({} if index > 0 else relu) -> ({} if index > 0 else relu)"), "too-many-units"),
    case("placement of a long chain", unit("placement at(mid = 1000 * relu)\n    branch ⟦1000 * conv(1x1, 3)⟧\n    shortcut none"), "too-many-units", "1,001,000"),
    case("norm of a long chain", unit("norm 50000 * relu\n    branch 100 * norm\n    shortcut none"), "too-many-units", "400,001"),
    case("parentheses", net(f"head {'(' * 99}⟦(⟧{'(' * 100}relu{')' * 200}"), "nesting-too-deep", DEEP, "`let`"),
    case("calls", net(f"head {'concat(' * 200}relu{')' * 200}"), "nesting-too-deep", DEEP),
    case("braces", spec("{" * 100_000), "nesting-too-deep", DEEP),
    case("not", net(f"head relu if {'not ' * 20_000}true else bn"), "nesting-too-deep", DEEP),
    case("minus", net(f"head scale({'- ' * 20_000}1)"), "nesting-too-deep", DEEP),
    case("if", net(f"head {'relu if false else ' * 5000}bn"), "nesting-too-deep", DEEP),
    case("plus", net(f"head scale({'1 + ' * 20_000}1)"), "nesting-too-deep", DEEP),
    case("powers", net(f"head scale({'1 ** ' * 20_000}1)"), "nesting-too-deep", DEEP),
    case("parentheses in a message", net(f'assert false, "{{{"(" * 200}1{")" * 200}}}"'), "syntax", "in a message holds no value"),
    case("chains in arguments", net(f"head {'concat(' * 33}relu{')' * 33}"), "nesting-too-deep", "32 deep in arguments"),
    case("units in units", net("stage v0", before=units_in_units(40)), "nesting-too-deep", "nested more than 32 deep", "in v31 at", "… 27 more …", "in stage 1 of n"),
    case("values of values", net("head scale(a1000)", before=lets(1000, "1", "{} + 1")), "nesting-too-deep", DEEP),
    case("chains of chains", net("head a1000", before=lets(1000, "relu", "partial(1.0, {})")), "nesting-too-deep"),
    case("units of units by value", net("stage a1000", before="unit v(x) { branch x shortcut none }\n" + lets(1000, "relu", "v({})")), "nesting-too-deep"),
    case("values that wait", unit("branch scale(a1000)\n    shortcut none") + lets(1000, "index", "{} + {}"), "nesting-too-deep", DEEP),
    case("aliases", spec("network a0 { input 10 }", *(f"network a{i + 1} = a{i}" for i in range(51))), "nesting-too-deep", "more than 50"),
    case("source", "resnet 1\n#" + "x" * 256 * 1024, "source-too-large", "262,144"),
    case("source of multibyte characters", "resnet 1\n#" + "€" * 90_000, "source-too-large", "270,010 bytes", "`import`"),
    case("long stride search", unit("branch conv(3x3, 4, 2) -> conv(1x3, 4, padding = 0)\n    shortcut ⟦conv(1x1)⟧", input="3x16000000x16000001"), "shape", "no stride leads from"),
    case("ring of units", spec(*(f"unit a{i} {{ branch a{(i + 1) % 1000} shortcut identity }}" for i in range(1000))), "recursive-unit", "a0 -> a1", "… -> a0"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("marked", "code", "words", "options"),
    [*HEADERS, *SYNTAX, *NAMES, *ARGUMENTS, *INPUTS, *ARITHMETIC, *SHAPES, *UNITS, *LIMITS],
)
def test_one_error(marked: str, code: str, words: tuple[str, ...], options: Options | None) -> None:
    verify(marked, code, words, options)


def test_all_syntax_errors_of_a_file() -> None:
    text = spec(
        "network n {", "    input 3x8x8", "    stag relu", "    hed relu ->", "    stem bn ->", "}",
        "unit v(width) {", "    brnch conv(3x3, width)", "    shortcut identity $", "    after relu)", "}",
    )  # fmt: skip
    found = errors(text)
    assert [(d.code, d.span.location().line) for d in found if d.span] == [
        ("syntax", line) for line in (4, 5, 7, 9, 10, 11)
    ]
    labels = [d.label for d in found]
    assert [label for label in labels if label] == [f"did you mean `{w}`?" for w in ("stage", "head", "branch")]


def test_all_errors_of_names_in_every_unit() -> None:
    text = spec(
        "unit v(width) { branch conv(3x3, widht) -> relx shortcut idntity }",
        "unit w { branch conv(3x3, 3, strid = 1) shortcut identity }",
        "network n { input 10 head liner(3) }",
        "network m { head relu }",
    )
    found = errors(text)
    assert [(d.code, str(d.span)) for d in found] == [
        ("unknown-name", "x.resnet:2:34"),
        ("unknown-name", "x.resnet:2:44"),
        ("unknown-name", "x.resnet:2:58"),
        ("unknown-argument", "x.resnet:3:30"),
        ("unknown-name", "x.resnet:4:27"),
        ("missing-clause", "x.resnet:5:9"),
    ]
    assert [d.label for d in found[:5]] == [
        f"did you mean `{word}`?" for word in ("width", "relu", "identity", "stride", "linear")
    ]


def test_each_network_is_checked_and_each_error_told_once() -> None:
    text = spec(
        "network a(n = 1) { input 3x8x8 head linear(n) }", "network b = a(n = 2)",
        "network c { input 3x8x8 head conv(3x3, 0) }", "network d(n) { input 3x8x8 head linear(n) }",
    )  # fmt: skip
    assert [(d.code, str(d.span)) for d in errors(text)] == [
        ("shape", "x.resnet:2:37"),
        ("wrong-argument", "x.resnet:4:40"),
    ]


def test_a_flood_of_errors_ends() -> None:
    names = errors(spec(*(f"let a{i} = b{i}" for i in range(5000))))
    assert 1 < len(names) <= 25
    syntax = errors(spec("network n {", *("    hed relu" for _ in range(300)), "}"))
    assert 1 < len(syntax) <= 10


def test_aliases_without_an_end() -> None:
    found = errors(spec("network a = b", "network b = c", "network c = a", "network d = d"))
    assert {d.code for d in found} == {"recursive-network"}
    assert [str(d.span) for d in found] == [f"x.resnet:{line}:9" for line in (2, 3, 4, 5)]
    assert "a -> b -> c -> a" in found[0].message


ACCEPTED = {
    "CRLF": "resnet 1\r\nnetwork n {\r\n    input 10\r\n    head linear(3)\r\n}\r\n",
    "tabs": "resnet\t1\n\tnetwork\tn {\n\t\tinput\t10\n\t}\n",
    "no line break at the end": "resnet 1\nnetwork n { input 10 }",
    "comments": "# a\nresnet 1 # b\n# c\nnetwork n { # d\n    input 10 # e }\n} # f",
    "unicode in comments and docstrings": 'resnet 1\n# größer → ✓\n"""Netz für 🙂."""\nnetwork n { input 10 }\n',
    "long lines": "resnet 1\nnetwork n { input 10 head " + "relu -> " * 2000 + "relu }\n#" + "x" * 100_000 + "\n",
    "no network": "resnet 1\nunit u { branch relu shortcut identity }\n",
    "nothing": "resnet 1\n",
    "99 parentheses": net("head " + "(" * 99 + "relu" + ")" * 99),
    "a long sum": net("head avgpool -> linear(" + "1 + " * 90 + "1)"),
    "0 units": net("stage 0 * u", before=U),
    "0 units, overridden": net("stage 0 * u first(width = 3)", before=U),
    "the most units": net("stage 100000 * u", before=U),
    "clause words as names": net("let shortcut = 3\n    let stage = relu\n    head stage -> conv(3x3, shortcut)"),
    "50 aliases": spec("network a0 { input 10 }", *(f"network a{i + 1} = a{i}" for i in range(50))),
    "30 units in units": spec(units_in_units(30), "network n { input 10 stage v0 }"),
    "values doubled": unit("branch dropout(0 * a30)\n    shortcut identity") + lets(30, "index", "{} + {}"),
    "many units in turn": net("stage " + " -> ".join(["u", "v"] * 500), before=U + "unit v { branch relu shortcut identity }"),
    "units that differ, twice": net("stage 3 * v -> 3 * v", before="unit v { branch dropout(index / 10) shortcut identity }"),
}  # fmt: skip


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize(
    ("marked", "shown", "carets"),
    [
        ("resnet 1\r\nnetwork n { input 10 head ⟦relx⟧ }\r\n", "2 | network n { input 10 head relx }", 31),
        ("resnet 1\n\tnetwork n {\n\t\tinput 10\n\t\thead ⟦relx⟧\n}\n", "4 |   head relx", 12),
        ("resnet 1\nnetwork n { input 10 # größer\nhead ⟦relx⟧ }\n", "3 | head relx }", 10),
        (
            'resnet 1\n"""größer 🙂"""network n { input 10 head ⟦relx⟧ }\n',
            '2 | """größer 🙂"""network n { input 10 head relx }',
            45,
        ),
    ],
    ids=["CRLF", "tabs", "behind a comment", "behind unicode"],
)
def test_the_caret_stands_under_its_word(marked: str, shown: str, carets: int) -> None:
    diagnostic = verify(marked, "unknown-name", ("did you mean `relu`?",))
    lines = [line.rstrip() for line in diagnostic.render().splitlines()]
    at = lines.index(shown)
    assert lines[at + 1].index("^") == carets - 1
    assert shown[carets - 1 : carets + 3] == "relx"


def test_a_long_line_is_cut_around_its_error() -> None:
    text, place = unmark(
        spec("network n { input 10 head " + "relu -> " * 2000 + "⟦relx⟧ -> " + "bn -> " * 2000 + "bn }")
    )
    (found,) = errors(text)
    assert place is not None
    assert found.span is not None
    assert (found.span.location().line, found.span.location().column) == place[:2]
    line, carets = found.render().splitlines()[3:5]
    assert len(line) < 200
    assert line[carets.index("^") :].startswith("relx -> ")


def test_names_have_plain_letters() -> None:
    verify(spec("network ⟦größe⟧ { input 10 }"), "syntax", ("`größe` is not a name", "letters from a to z"))
    verify(spec("network ⟦élan⟧ { input 10 }"), "syntax", ("`élan` is not a name",))
    verify(spec("let a = ⟦²⟧"), "syntax", ("is not a name",))


# What was once taken for something else.


def test_units_with_a_norm_that_fits_behind_the_choice() -> None:
    """Placement reaches convolutions in a concat that waits for the unit's place."""
    body = "placement post\n    branch concat(relu, conv(1x1, 3) if index > 0 else conv(1x1, 3))\n    shortcut none"
    network = api.build(unit(body))
    kinds = [type(e).__name__ for e in network.stages[0][0].runs[0].unit.branch[0].chains[1]]  # type: ignore[union-attr]
    assert kinds == ["Conv", "BatchNorm"]


def test_a_docstring_is_no_code(tmp_path: Path) -> None:
    """Generated Python holds a docstring's backslashes and quotes as text."""
    evil = r"\N{no such} \x \u12 C:\new " + "\x00 \u202e" + ' ends with "'
    text = spec(f'"""{evil} """', "network n { input 10 head linear(3) }")
    compile(api.compile(text, "torch"), "generated", "exec")
    document = json.loads(api.compile(text, "json"))
    written = tmp_path / "written"
    document["doc"] = f'x"""; open({str(written)!r}, "w"); """'
    source = api.compile(Source("n.json", json.dumps(document)), "torch")
    exec(compile(source, "generated", "exec"), {"__name__": "generated"})
    assert not written.exists()


# Files and imports.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "unit.resnet").write_text(spec("unit v { branch relu shortcut identity }"))
    (tmp_path / "outside.resnet").write_text(spec("unit v { branch relu shortcut identity }"))
    return inside


def imports(folder: Path, *lines: str, options: Options | None = None) -> list[Diagnostic]:
    path = folder / "main.resnet"
    path.write_text(spec(*lines))
    return api.check(path, options=options)


def only(found: list[Diagnostic], code: str, *words: str, at: str = "main.resnet:2:1") -> None:
    assert [d.code for d in found] == [code], found
    shown = found[0].render()
    assert f"{at}\n" in shown
    for word in words:
        assert word in shown


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("nope.resnet", "unreadable", "there is no file"),
        ("../outside.resnet", "import-outside", "widen it with `--root FOLDER`"),
        ("../../etc/passwd", "import-outside", "the folder that imports may come from"),
        ("/etc/passwd", "import-outside", "is not a relative path"),
        ("", "import-outside", "is not a relative path"),
        (".", "unreadable", "is a folder"),
        ("link.resnet", "import-outside", "leaves"),
        ("pipe", "unreadable", "is not a regular file"),
        ("binary.resnet", "unreadable", "is not UTF-8 text (byte 0)"),
        ("large.resnet", "source-too-large", "262,144 bytes"),
        ("std/nope.resnet", "unreadable", "there is no file"),
        ("std/../../etc/passwd", "import-outside", "leaves"),
        ("main.resnet", "import-cycle", "main.resnet -> main.resnet"),
    ],
)
def test_import(folder: Path, path: str, code: str, words: str) -> None:
    (folder / "link.resnet").symlink_to(folder.parent / "outside.resnet")
    (folder / "binary.resnet").write_bytes(b"\xff\xfe\x00\x01")
    (folder / "large.resnet").write_bytes(b"#" * 300_000)
    if path == "pipe":
        import os

        os.mkfifo(folder / "pipe")
    only(imports(folder, f'import "{path}"', "network n { input 10 }"), code, words)


def test_import_that_the_root_allows(folder: Path) -> None:
    assert imports(folder, 'import "../outside.resnet"', options=Options(root=folder.parent)) == []


def test_all_imports_that_fail(folder: Path) -> None:
    found = imports(folder, 'import "a.resnet"', 'import "unit.resnet"', 'import "b.resnet"')
    assert [(d.code, d.span.location().line) for d in found if d.span] == [("unreadable", 2), ("unreadable", 4)]


def test_errors_of_an_imported_file_are_its_own(folder: Path) -> None:
    (folder / "broken.resnet").write_text(spec("unit w {", "    brnch relu", "}"))
    only(imports(folder, 'import "broken.resnet"'), "syntax", "did you mean `branch`?", at="broken.resnet:3:5")
    (folder / "newer.resnet").write_text("resnet 2\n")
    only(imports(folder, 'import "newer.resnet"'), "wrong-version", at="newer.resnet:1:8")
    (folder / "names.resnet").write_text(spec("unit w { branch relx shortcut identity }"))
    only(imports(folder, 'import "names.resnet"'), "unknown-name", at="names.resnet:2:17")
    (folder / "shape.resnet").write_text(spec("unit w(s) { branch conv(3x3, 3, s) shortcut identity }"))
    found = imports(folder, 'import "shape.resnet"', "network n { input 3x8x8 stage w(2) }")
    only(found, "shape", "in w(2) at", "main.resnet:3:31", "in stage 1 of n", at="shape.resnet:2:45")


def test_imports_in_a_ring(folder: Path) -> None:
    for name, following in (("a", "b"), ("b", "c"), ("c", "a")):
        (folder / f"{name}.resnet").write_text(spec(f'import "{following}.resnet"'))
    only(imports(folder, 'import "a.resnet"'), "import-cycle", "a.resnet -> b.resnet -> c.resnet -> a.resnet", at="c.resnet:2:1")  # fmt: skip


def test_a_long_row_of_imports(folder: Path) -> None:
    for number in range(100):
        (folder / f"a{number}.resnet").write_text(spec(f'import "a{number + 1}.resnet"'))
    (found,) = imports(folder, 'import "a0.resnet"')
    assert (found.code, "more than 50" in found.message) == ("nesting-too-deep", True)


def test_imports_that_declare_the_same(folder: Path) -> None:
    (folder / "again.resnet").write_text(spec("", "unit v { branch bn shortcut identity }"))
    found = imports(folder, 'import "unit.resnet"', 'import "again.resnet"')
    only(found, "declared-twice", "unit.resnet:2:6", "again.resnet:3:6", at="main.resnet:3:1")
    found = imports(folder, 'import "unit.resnet"', "unit v { branch bn shortcut identity }")
    only(found, "declared-twice", "main.resnet:3:6", "unit.resnet:2:6")
    assert imports(folder, 'import "unit.resnet"', 'import "./unit.resnet"', 'import "../inside/unit.resnet"') == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.resnet", None, "there is no file"),
        ("missing.json", None, "No such file"),
        ("folder", "folder", "is a folder, not a .resnet file"),
        ("latin.resnet", b"resnet 1\n# gr\xfc\xdfe\n", "is not UTF-8 text (byte 13)"),
        ("binary.resnet", bytes(range(256)), "is not UTF-8 text"),
        ("utf16.resnet", "resnet 1\n".encode("utf-16"), "is not UTF-8 text (byte 0)"),
        ("large.resnet", b"#" * 300_000, "262,144 bytes"),
        ("latin.json", b'{"\xfc": 1}', "cannot be read"),
    ],
)
def test_unreadable_file(tmp_path: Path, name: str, content: bytes | str | None, words: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.mkdir()
    (found,) = api.check(path)
    assert found.code in ("unreadable", "source-too-large")
    assert str(path) in found.message
    assert words in found.render()


def test_packaged_spec_that_is_not_there() -> None:
    for name, words in (
        ("std/resnet101", "did you mean `resnet1"),
        ("std/", "there are"),
        ("std/../specs", "there are"),
    ):
        (found,) = api.check(name)
        assert (found.code, words in found.help) == ("unreadable", True), found


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "bom.resnet"
    path.write_bytes("\ufeffresnet 1\nnetwork n { input 10 head relx }\n".encode())
    (found,) = api.check(path)
    assert str(found.span) == f"{path}:2:27"


# Parameters from outside.


@pytest.mark.parametrize(
    ("parameters", "code", "words"),
    [
        ({"width": "conv(3x3"}, "syntax", "`(` at -p width:1:5 is not closed"),
        ({"width": ""}, "syntax", "expected a value"),
        ({"width": "1 2"}, "syntax", "`2` cannot stand here: expected the end"),
        ({"width": "relx"}, "unknown-name", "did you mean `relu`?"),
        ({"width": "1 / 0"}, "arithmetic", "divides by zero"),
        ({"width": "9" * 1000}, "number-too-large", "18 digits"),
        ({"width": "((" * 1000}, "nesting-too-deep", "100 deep"),
        ({"wdth": 3}, "unknown-argument", "did you mean `width`?"),
        ({"width": 10**30}, "number-too-large", "18 digits"),
    ],
)
def test_wrong_parameter(parameters: dict[str, int | str], code: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        api.build(spec("network n(width = 3) { input 3x8x8 stem conv(3x3, width) }"), None, parameters)
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert words in found.render()
    assert found.span is not None
    assert found.span.source.name == f"-p {next(iter(parameters))}"


def test_parameter_of_another_kind() -> None:
    text = spec("network n(width = 3) { input 3x8x8 stem conv(3x3, width) }")
    with pytest.raises(
        SpecError, match="`channels` of conv must be a whole number from 1, and this is an operator"
    ) as caught:
        api.build(text, None, {"width": "relu"})
    assert str(caught.value.diagnostics[0].span) == "<text>:2:51"


# Targets and weights.


HUGE = {
    "channels": net("stem conv(3x3, 16777216) -> conv(3x3, 16777216)"),
    "features": net("stem linear(16777216)", input="16777216"),
    "window": net("stem conv(9999999x9999999, 16)"),
    "units": net("stage 100000 * v", before="unit v { branch conv(3x3, 512) shortcut identity }", input="512x8x8"),
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE.keys())
def test_more_weights_than_a_file_holds(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        api.compile(text, "onnx")
    (found,) = caught.value.diagnostics
    assert found.code == "weights-too-large"
    assert re.search(r"the weights of n take [\d,.]+ GiB, and an ONNX file holds less than 2", found.message)
    assert api.compile(text, "torch").startswith(b'"""')


NETWORK = spec(U, "network n { input 3x8x8 stage 2 * u head avgpool -> linear(3) }")
Arrays = dict[str, NDArray[np.generic]]


def arrays() -> Arrays:
    return dict(network_weights(api.build(NETWORK)))


def compiled(weights: Path) -> bytes:
    return api.compile(NETWORK, "onnx", weights=weights)


def refused(path: Path, *words: str) -> None:
    with pytest.raises(SpecError) as caught:
        compiled(path)
    assert {d.code for d in caught.value.diagnostics} == {"weights"}
    shown = str(caught.value)
    for word in words:
        assert word in shown
    assert "\x1b" not in shown
    assert "weights_only" not in shown, "no advice to read the file in an unsafe way"


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    good = arrays()
    kernel, bias = "stage1.0.conv.weight", "head_linear.bias"
    save_file(good, path)
    assert compiled(path) == api.compile(NETWORK, "onnx")

    save_file({name: array for name, array in good.items() if name != bias}, path)
    refused(path, f"{path} lacks 1 of the 12 tensors of n", bias)
    save_file({}, path)
    refused(path, "lacks 12 of the 12", "and 7 more")
    save_file(good | {"more": np.zeros(3, np.float32)}, path)
    refused(path, "holds 1 more than the 12 tensors of n", "more")
    save_file(good | {kernel: np.zeros((3, 3, 1, 1), np.float32)}, path)
    refused(path, f"{kernel} is 3x3x1x1, must be 3x3x3x3")
    save_file(good | {kernel: np.zeros((3, 3, 3, 3), np.int64)}, path)
    refused(path, kernel, "int64, not floating-point")
    save_file(good | {bias: np.array([0, np.nan, 0], np.float32)}, path)
    refused(path, bias, "NaN or infinity")
    save_file(good | {bias: np.array([0, 1e300, 0])}, path)
    refused(path, bias, "too large for float32")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_broken_weights(tmp_path: Path, name: str) -> None:
    if name.endswith(".pt"):
        pytest.importorskip("torch")
    path = tmp_path / name
    refused(path, f"there is no weights file {path}", "random-calibrated")
    refused(tmp_path, "there is no weights file")
    whole = save(arrays())
    for content in (
        b"",
        b"\x00",
        whole[:4],
        whole[: len(whole) // 2],
        b"not weights at all" * 100,
        b"\xff" * 8 + whole[8:],
    ):
        path.write_bytes(content)
        refused(path, str(path), "safetensors" if name.endswith("safetensors") else "PyTorch checkpoint")


class Evil:
    """Something that runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def test_checkpoints(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path, written = tmp_path / "w.pt", tmp_path / "written"
    good = {name: torch.from_numpy(array.copy()) for name, array in arrays().items()}
    expected = api.compile(NETWORK, "onnx")
    counters = {"stage1.0.bn.num_batches_tracked": torch.tensor(7)}
    for fits in (
        good,
        good | counters,
        {"state_dict": good, "epoch": 3},
        {"model": {"state_dict": good}},
        {f"module.{name}": tensor for name, tensor in good.items()},
        {name: torch.nn.Parameter(tensor) for name, tensor in good.items()},
        {name: tensor.double() for name, tensor in good.items()},
    ):
        torch.save(fits, path)
        assert compiled(path) == expected
    torch.save({name: tensor.bfloat16() for name, tensor in good.items()}, path)
    assert len(compiled(path)) == len(expected)

    kernel = "stage1.0.conv.weight"
    for wrong, word in (
        ({"a": Evil(written)}, "other things than tensors"),
        ({"a": 3}, "no state_dict"),
        (list(good.values()), "no state_dict"),
        (dict(enumerate(good.values())), "no state_dict"),
        (torch.zeros(3), "no state_dict"),
        ({}, "lacks 12 of the 12"),
        (good | {kernel: good[kernel].int()}, "int32, not floating-point"),
        (good | {kernel: good[kernel].to(torch.complex64)}, "complex64, not floating-point"),
        (good | {kernel: good[kernel].to_sparse()}, f"{kernel} in {path} is a tensor that is sparse"),
        (good | {kernel: good[kernel].to("meta")}, "without numbers"),
        (good | {kernel: good[kernel] * float("nan")}, "NaN or infinity"),
        (good | {"more": torch.zeros(3)}, "holds 1 more"),
    ):
        torch.save(wrong, path)
        refused(path, word, str(path))
    assert not written.exists()


def document() -> dict[str, object]:
    return json.loads(api.compile(NETWORK, "json"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "this is no JSON"),
        ('{"a": 1}', "lacks"),
        ("[" * 100_000, ""),
        ('{"a":' * 100_000, "nested"),
        ('{"resdsl": NaN}', "finite"),
    ],
)
def test_wrong_document(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "n.json"
    path.write_text(text)
    found = api.check(path)
    assert found
    assert {d.code for d in found} == {"document"}
    assert words in "\n".join(d.render() for d in found)


def test_wrong_parts_of_a_document() -> None:
    good = document()
    for change, words in (
        ({"resdsl": 2}, "the version of the format"),
        ({"name": "a/b"}, "/name"),
        ({"input": {"image": [0, 8, 8]}}, "/input"),
        ({"input": {"image": [4, 8, 8]}}, "what the unit reads here is 4x8x8"),
        ({"extra": 1}, "unknown key"),
        ({"head": [{"linear": 3}]}, "/head/0"),
    ):
        source = Source("n.json", json.dumps(good | change))
        found = api.check(source)
        assert {d.code for d in found} == {"document"}
        assert words in "\n".join(d.render() for d in found)


# Blow-ups and random damage.


def test_repetition_takes_no_memory() -> None:
    """Within 1 GiB of address space and a few seconds, imports included."""
    program = textwrap.dedent(
        """
        import resource, sys, time
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        from resdsl import api
        start = time.perf_counter()
        for text in sys.stdin.read().split("=====\\n"):
            codes = sorted({found.code for found in api.check(text)})
            assert codes in (["too-many-units"], ["nesting-too-deep"]), (codes, text[:200])
        assert time.perf_counter() - start < 30
        print("done")
        """
    )
    names = ("repeated", "repetition", "units of units of units", "doubled", "placement of", "values", "braces")
    texts = [
        unmark(str(parameter.values[0]))[0]
        for parameter in LIMITS
        if parameter.id is not None and str(parameter.id).startswith(names)
    ]
    assert len(texts) > 10
    result = subprocess.run(
        [sys.executable, "-c", program], input="=====\n".join(texts), capture_output=True, text=True, timeout=120,
        env={"PATH": "", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


TOKENS = re.compile(r'"""[\s\S]*?"""|"[^"\n]*"|#[^\n]*|\w+|->|\*\*|//|[<>=!]=|\s+|.')
NUMBERS = ("0", "1", "2", "3", "16", "100000", "999999999", "0.5", "1.5", "1e300", "-1", "index", "count", "position", "true", "n")  # fmt: skip
SIZES = ("1x1", "3x3", "2x2", "0x0", "3x16x16", "99999x99999")
VALUES = (
    "relu", "identity", "none", "norm", "act", "pad", "conv(1x1)", "conv(3x3, 16)", "concat(identity, relu)", "avgpool",
    "partial(0.5, relu)", "he", "post", "post.mid", "at(mid = norm)", "input", "activated", "gate(index)", "se(4)",
    "scale(0.5, branch = 0.5)", "dropout(index / count)", "(relu if index > 1 else identity)", "2 * (relu -> bn)",
    "count * relu", "3 * bottleneck(16) first(stride = 2)", "linear(7)", "1", "3x3", "true",
)  # fmt: skip
JUNK = ("{", "}", "(", ")", ",", "=", "->", "*", "if", "else", "first", "from", "é", "\t", "\n", "#", '"', '"""', "$", "\x00", "let", "assert")  # fmt: skip


def damaged(rng: random.Random, text: str) -> str:
    """The text with a few of its words changed: mostly for others of their kind."""
    words = TOKENS.findall(text)
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        at = rng.randrange(2, len(words))
        word = words[at]
        if rng.random() < 0.3:
            words[at] = rng.choice((rng.choice(JUNK), "", word + word, rng.choice(words)))
        elif re.fullmatch(r"\d+x[\dx]+", word):
            words[at] = rng.choice(SIZES)
        elif word[:1].isdigit():
            words[at] = rng.choice(NUMBERS)
        elif re.fullmatch(r"[a-z]\w*", word):
            words[at] = rng.choice(VALUES)
        else:
            lines = "".join(words).split("\n")
            line = lines.pop(rng.randrange(1, len(lines)))
            lines[rng.randrange(1, len(lines)) : 0] = [line] * rng.randrange(3)
            words = TOKENS.findall("\n".join(lines))
    return "".join(words)


@pytest.mark.parametrize("seed", range(30))
def test_damaged_specs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each either builds or says what is wrong."""
    monkeypatch.chdir(SPECS)
    rng = random.Random(seed)
    texts = [path.read_text().replace("111", "5") for path in sorted(SPECS.glob("*.resnet"))]
    for _ in range(10):
        text = damaged(rng, rng.choice(texts))
        try:
            errors(text)
        except Exception as error:
            raise AssertionError(f"seed {seed}:\n{text}") from error
