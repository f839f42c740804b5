"""What resdsl says about wrong specs: the code, the words that help, the exact place; and no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resdsl import api
from resdsl.diagnostics import SpecError
from resdsl.network.operators import BatchNorm, Concat, Conv, Units
from resdsl.source import Source
from resdsl.spec import Options
from tests.bad_input import U, case, errors, lets, net, spec, unit, units_in_units, unmark, verify
from tests.bad_input import quickly as quickly

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
    case(
        "misspelled in unit", unit("⟦brnch⟧ relu\n    shortcut identity"), "syntax", "no clause of a unit", "`branch`?"
    ),
    case("unlike any clause", net("⟦zzzz⟧ relu"), "syntax", "no clause of a network", "input, stem, stage, head"),
    case("clause of a unit", net("⟦branch⟧ relu"), "syntax", "is a clause of a unit, and this is a network"),
    case("clause of a network", unit("⟦stem⟧ relu"), "syntax", "is a clause of a network, and this is a unit"),
    case(
        "misspelled word",
        spec("⟦netwrk⟧ n { input 10 }"),
        "syntax",
        "import, unit, network or let",
        "did you mean `network`?",
    ),
    case(
        "from on a branch",
        spec("unit v { branch relu ⟦from⟧ input shortcut identity }"),
        "syntax",
        "shortcut or a projection",
    ),
    case("misspelled first", net("stage 2 * u ⟦frist⟧(width = 3)", before=U), "syntax", "did you mean `first`?"),
    case(
        "open brace",
        spec("network n {", "    input 1⟦0⟧"),
        "syntax",
        "`{` at x.resnet:2:11 is not closed",
        "close it with `}`",
    ),
    case(
        "unit in an open network",
        spec("network n {", "    input 10", "⟦unit⟧ v { branch relu shortcut identity }"),
        "syntax",
        "`unit` cannot stand in a network",
        "`{` at x.resnet:2:11 is not closed",
    ),
    case(
        "open parenthesis",
        net("head conv(3x3, 4").replace("\n}", "\n⟦}⟧"),
        "syntax",
        "expected `)` or `,`",
        "`(` at x.resnet:5:14",
    ),
    case("brace too many", net("head relu") + "⟦}⟧", "syntax", "expected import, unit, network or let"),
    case("open text", spec('import ⟦"⟧units/basic.resnet'), "syntax", "this text is not closed", "on the same line"),
    case(
        "open docstring",
        spec('⟦"""⟧A network.', "network n { input 10 }"),
        "syntax",
        "this docstring is not closed",
        '`"""`',
    ),
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
    case(
        "reserved unit",
        spec("unit ⟦if⟧ { branch relu shortcut identity }"),
        "syntax",
        "`if` is reserved and cannot be a name",
    ),
    case("reserved let", spec("let ⟦true⟧ = 1"), "syntax", "`true` is reserved"),
    case("reserved parameter", spec("network n(⟦or⟧ = 1) { input 10 }"), "syntax", "`or` is reserved"),
    case(
        "positional after named",
        net("head conv(kernel = 3x3, ⟦16⟧)"),
        "argument-order",
        "put positional arguments first",
    ),
    case("no value", spec("network n { input 10 head ⟦}⟧"), "syntax", "expected a value"),
    case("dangling arrow", net("stem relu ->\n    ⟦stage⟧ relu"), "syntax", "the clause before it is not complete"),
    case("dangling arrow at the end", net("head relu ->").replace("\n}", "\n⟦}⟧"), "syntax", "expected a value"),
    case("no comma", net("head conv(3x3 ⟦16⟧)"), "syntax", "expected `)` or `,`"),
    case("no arrow", net("head relu ⟦bn⟧"), "syntax", "operators are joined with `->`"),
    case("not a number", net("head conv(⟦3x3y⟧, 16)"), "syntax", "`3x3y` is not a number or a size"),
    case("underscores in a number", net("head linear(⟦1_000⟧)"), "syntax", "is not a number"),
    case("name that begins with a digit", spec("network ⟦3n⟧ { input 10 }"), "syntax", "names begin with a letter"),
    case(
        "chained comparison",
        net("head relu if 1 < 2 ⟦<⟧ 3 else bn"),
        "syntax",
        "comparisons do not chain",
        "`a < b and b < c`",
    ),
    case("if without else", net("head (relu if 1 < 2⟦)⟧"), "syntax", "expected `else`"),
    case("equal sign in a clause", spec("network n { input ⟦=⟧ 10 }"), "syntax", "expected a value"),
    case(
        "comma between clauses", spec("network n { input 10⟦,⟧ head relu }"), "syntax", "a clause of a network or `}`"
    ),
    case("parameters without comma", spec("unit v(a ⟦b⟧) { branch relu shortcut identity }"), "syntax", "`,`"),
    case("unit without a name", spec("unit ⟦{⟧ branch relu }"), "syntax", "expected a name"),
    case("assert without a text", net("assert 1 < 2, ⟦n⟧"), "syntax", '"text"'),
    case("no value in a message", net('assert 1 > 2, "a ⟦{b c}⟧"'), "syntax", "`{b c}` in a message holds no value"),
    case("header twice", spec("⟦resnet⟧ 1"), "syntax", "`resnet` cannot stand here"),
]

NAMES = [
    case(
        "operator",
        net("head ⟦relx⟧"),
        "unknown-name",
        "there is no value, unit or operator `relx`",
        "did you mean `relu`?",
    ),
    case(
        "called operator",
        net("head ⟦cnv⟧(3x3, 4)"),
        "unknown-name",
        "no unit or operator `cnv`",
        "did you mean `conv`?",
    ),
    case(
        "unit",
        net("stage 2 * ⟦basik⟧", before="unit basic { branch relu shortcut identity }"),
        "unknown-name",
        "`basic`?",
    ),
    case("value", net("let width = 3\n    head linear(⟦widht⟧)"), "unknown-name", "did you mean `width`?"),
    case("tap", unit("branch relu\n    shortcut identity from ⟦inpt⟧"), "unknown-name", "did you mean `input`?"),
    case(
        "placement",
        unit("placement ⟦psot⟧\n    branch relu\n    shortcut identity"),
        "unknown-name",
        "did you mean `post`?",
    ),
    case(
        "placement chain", net("head ⟦post.pots⟧"), "unknown-name", "pre, mid, post and after", "did you mean `post`?"
    ),
    case(
        "chain of no placement",
        net("head ⟦relu.pre⟧"),
        "wrong-value",
        "belongs to a placement, and this is an operator",
    ),
    case(
        "network",
        spec("network resnet8 { input 10 }", "network b = ⟦resnet9⟧"),
        "unknown-name",
        "did you mean `resnet8`?",
    ),
    case("alias of an operator", spec("network b = ⟦relu⟧"), "unknown-name", "there is no network `relu`"),
    case("alias of a value", spec("network b = ⟦3⟧"), "wrong-value", "write `network b = a(…)`"),
    case(
        "argument",
        net("head conv(3x3, 4, ⟦strid = 2⟧)"),
        "unknown-argument",
        "`strid`",
        "did you mean `stride`?",
        "dilation",
    ),
    case("unit's argument", net("stage u(⟦wdth = 3⟧)", before=U), "unknown-argument", "u has no parameter", "`width`?"),
    case("override's argument", net("stage 2 * u first(⟦strid = 1⟧)", before=U), "unknown-argument", "`stride`?"),
    case(
        "alias's argument",
        spec("network a(classes = 1) { input 10 }", "network b = a(⟦clases = 2⟧)"),
        "unknown-argument",
        "`classes`?",
    ),
    case(
        "placement's argument",
        unit("placement at(⟦mild = act⟧)\n    branch relu\n    shortcut identity"),
        "unknown-argument",
        "`mid`?",
    ),
    case(
        "in a message",
        net('let width = 3\n    assert width > 3, "{1 + ⟦widht⟧}"'),
        "unknown-name",
        "did you mean `width`?",
    ),
    case("network as a value", net("head ⟦n⟧"), "wrong-value", "`n` is a network"),
    case("network called", net("head ⟦n⟧()"), "not-callable", "`n`"),
    case("value called", net("let a = 3\n    head ⟦a⟧(3)"), "not-callable", "`a` is a value and takes no arguments"),
    case("identity called", net("head ⟦identity()⟧"), "not-callable", "write `identity`"),
    case("unit twice", spec(U, f"unit ⟦u⟧{U[6:]}"), "declared-twice", "`u` is declared twice", "first at x.resnet:2:6"),
    case(
        "unit and let",
        spec("let v = 3", "unit ⟦v⟧ { branch relu shortcut identity }"),
        "declared-twice",
        "first at x.resnet:2:1",
    ),
    case("let twice", net("let a = 1\n    ⟦let a = 2⟧"), "declared-twice", "`a`"),
    case(
        "parameter twice", spec("unit v(⟦a⟧, a) { branch relu shortcut identity }"), "declared-twice", "parameter `a`"
    ),
    case(
        "clause twice",
        spec("network n { input 10 ⟦input 11⟧ }"),
        "clause-twice",
        "`input` stands twice",
        "x.resnet:2:13",
    ),
    case(
        "no input",
        spec("network ⟦n⟧ { head relu }"),
        "missing-clause",
        "no `input`",
        "write for instance `input 3x32x32`",
    ),
    case("no branch", spec("unit ⟦v⟧ { shortcut identity }"), "missing-clause", "no `branch`"),
    case("no shortcut", spec("unit ⟦v⟧ { branch relu }"), "missing-clause", "no `shortcut`", "`shortcut identity`"),
]

ARGUMENTS = [
    case(
        "kind", net("head conv(⟦3⟧, 16)"), "wrong-argument", "`kernel` of conv must be a size like 3x3, and this is 3"
    ),
    case("size of three", net("head conv(⟦3x3x3⟧, 16)"), "wrong-argument", "3x3x3"),
    case("order", net("head conv(⟦16⟧, 3x3)"), "wrong-argument", "`kernel`", "this is 16"),
    case(
        "operator for a number",
        net("head scale(⟦relu⟧)"),
        "wrong-argument",
        "must be a number, and this is an operator",
    ),
    case("number for a truth value", net("head conv(3x3, 16, bias = ⟦1⟧)"), "wrong-argument", "true or false"),
    case("truth value for a number", net("head dropout(⟦true⟧)"), "wrong-argument", "from 0 to below 1", "true"),
    case(
        "float for a count", net("head conv(3x3, ⟦16.0⟧)"), "wrong-argument", "a whole number from 1, and this is 16.0"
    ),
    case("std of normal", net("init ⟦normal⟧\n    head relu"), "missing-argument", "normal needs `std`"),
    case(
        "std of nothing",
        net("init normal(⟦0⟧)\n    head relu"),
        "wrong-argument",
        "`std` of normal must be a number above 0",
    ),
    case(
        "eps of a plain conv",
        net("head conv(3x3, 16, eps = ⟦0.1⟧)"),
        "wrong-argument",
        "belongs to filters that are standardised",
    ),
    case("init", net("head conv(3x3, 16, init = ⟦relu⟧)"), "wrong-argument", "he, xavier, orthogonal, normal, zero"),
    case("gain", net("init he(gain = ⟦relu⟧)\n    head relu"), "wrong-argument", "`gain` of he must be a number"),
    case(
        "chain", net("head concat(relu, ⟦1⟧)"), "wrong-argument", "an argument of concat must be an operator or a chain"
    ),
    case("negative", net("head conv(3x3, ⟦-1⟧)"), "wrong-argument", "a whole number from 1, and this is -1"),
    case("zero", net("head avgpool -> linear(⟦0⟧)"), "wrong-argument", "`features` of linear", "this is 0"),
    case("zero kernel", net("head conv(⟦0x0⟧, 16)"), "wrong-argument", "this is 0x0"),
    case("zero stride", net("head conv(3x3, 16, ⟦0⟧)"), "wrong-argument", "`stride` of conv", "this is 0"),
    case(
        "huge", net("head conv(3x3, ⟦16777217⟧)"), "wrong-argument", "may be 16,777,216 at most, and this is 16777217"
    ),
    case("huge window", net("head maxpool(⟦3x99999999⟧, 1)"), "wrong-argument", "16,777,216 at most"),
    case("negative padding", net("head conv(3x3, 4, padding = ⟦-1⟧)"), "wrong-argument", "a whole number from 0"),
    case("probability", net("head dropout(⟦1.5⟧)"), "wrong-argument", "a number from 0 to below 1, and this is 1.5"),
    case("certainty", net("head drop_path(⟦1⟧)"), "wrong-argument", "from 0 to below 1"),
    case("epsilon", net("head bn(eps = ⟦0⟧)"), "wrong-argument", "above 0"),
    case("fraction", net("head partial(⟦2⟧)"), "wrong-argument", "above 0, up to 1"),
    case("part of a channel", net("head partial(⟦0.5⟧)"), "wrong-argument", "0.5 of 3 channels is no whole number"),
    case("beyond float32", net("head scale(⟦1e300⟧)"), "wrong-argument", "float32", "1e+300"),
    case("missing", net("head ⟦conv⟧"), "missing-argument", "conv needs `kernel`", "conv(kernel, channels, stride"),
    case(
        "missing channels",
        net("head ⟦conv(3x3)⟧"),
        "missing-argument",
        "`channels` here",
        "only on a shortcut or projection",
    ),
    case("missing stride", net("head ⟦maxpool(3x3)⟧"), "missing-argument", "maxpool needs `stride`"),
    case("no chain", net("head ⟦concat()⟧"), "wrong-argument", "concat(chain, chain, …)"),
    case("named chain", net("head ⟦concat(a = relu)⟧"), "wrong-argument", "concat(chain, chain, …)"),
    case("even kernel", net("head ⟦conv(2x2, 4)⟧"), "missing-argument", "2x2, has no middle", "`padding = 0`"),
    case(
        "missing for a unit",
        net("stage 2 * ⟦w⟧", before="unit w(a) { branch relu shortcut identity }"),
        "missing-argument",
        "w needs `a`",
        "w(a)",
    ),
    case("twice", net("head conv(3x3, 16, ⟦channels = 4⟧)"), "wrong-argument", "`channels` of conv is given twice"),
    case("too many", net("head linear(1, true, ⟦3⟧)"), "wrong-argument", "2 arguments at most, and this is number 3"),
    case("none taken", net("head relu(⟦1⟧)"), "wrong-argument", "relu takes no arguments"),
    case("too many for a unit", net("stage u(3, 1, ⟦2⟧)", before=U), "wrong-argument", "u takes 2 arguments at most"),
    case(
        "through a unit",
        unit("branch conv(⟦k⟧, 3)\n    shortcut identity", parameters="(k)", stage="v(3)"),
        "wrong-argument",
        "in v(3) at x.resnet:6:",
    ),
    case("gate in a branch", net("head ⟦gate(1)⟧"), "wrong-value", "gate stands on a shortcut"),
    case(
        "scale of the branch", net("head ⟦scale(1, branch = 2)⟧"), "wrong-value", "`branch`", "stands on the shortcut"
    ),
    case("none in a chain", net("head relu -> ⟦none⟧"), "wrong-value", "`none` stands alone", "write `identity`"),
    case(
        "number for a chain",
        net("head ⟦3⟧"),
        "wrong-value",
        "an operator or a chain must stand here, and this is a whole number",
    ),
    case("placement for a chain", net("head ⟦post⟧"), "wrong-value", "a placement"),
    case(
        "chain for a placement",
        unit("placement ⟦relu⟧\n    branch relu\n    shortcut identity"),
        "wrong-value",
        "relu_only_pre",
        "at(pre, mid, post, after)",
    ),
    case(
        "operator for a tap",
        unit("branch relu\n    shortcut identity from ⟦relu⟧"),
        "wrong-value",
        "`from` takes input or activated",
    ),
    case(
        "operator for an init",
        net("init ⟦relu⟧\n    head relu"),
        "wrong-value",
        "he, xavier, orthogonal, normal(std) or zero",
    ),
    case(
        "unit on a shortcut",
        net("stage w", before=U + "unit w { branch relu shortcut ⟦u⟧ }"),
        "wrong-value",
        "a unit cannot stand here",
        "branches, stages",
    ),
    case(
        "1 is not true",
        net("stage v(1) -> v(true)", before="unit v(x) { branch scale(⟦x⟧) shortcut identity }"),
        "wrong-argument",
        "this is true",
        "v(true)",
    ),
    case(
        "2 is not 2.0",
        net("stage v(2) -> v(2.0)", before="unit v(x) { branch se(1) -> conv(1x1, ⟦x⟧) shortcut none }"),
        "wrong-argument",
        "this is 2.0",
    ),
]

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
    case(
        "operators added", net("head ⟦relu⟧ + bn"), "wrong-value", "a number must stand here, and this is an operator"
    ),
    case("operator negated", net("head -⟦relu⟧"), "wrong-value", "a number must stand here"),
    case("number as a truth value", net("head relu if ⟦1⟧ else bn"), "wrong-value", "true or false must stand here"),
    case("not a number", net("head relu if not ⟦0⟧ else bn"), "wrong-value", "true or false must stand here"),
    case("and", net("head relu if true and ⟦1⟧ else bn"), "wrong-value", "a whole number"),
    case("size in arithmetic", net("head linear(⟦3x3⟧ + 1)"), "wrong-value", "this is a size"),
    case("repetition turned round", net("head ⟦relu * 2⟧"), "wrong-repetition", "write the number first"),
    case("negative repetition", net("head ⟦-1⟧ * relu"), "wrong-repetition", "a whole number from 0, and this is -1"),
    case("half a repetition", net("head ⟦1.5⟧ * relu"), "wrong-repetition", "1.5"),
    case("true repetition", net("head ⟦true⟧ * relu"), "wrong-repetition", "true"),
]

SHAPES = [
    case(
        "no projection",
        spec(
            "unit v(width, stride = 1) {",
            "    branch conv(3x3, width, stride) -> bn",
            "    shortcut ⟦identity⟧",
            "}",
            "network n {",
            "    input 3x8x8",
            "    stem conv(3x3, 16)",
            "    stage 2 * v(16)",
            "    stage 2 * v(32) first(stride = 2)",
            "}",
        ),
        "shape",
        "16x8x8 meets 32x4x4 in v(32, stride = 2), stage 2 of n",
        "gives 16x8x8; the branch gives 32x4x4",
        "in v(32, stride = 2) at x.resnet:10:11",
        "in stage 2 of n at x.resnet:10:11",
        "`projection conv(1x1)`",
    ),
    case(
        "projection of another size",
        unit("branch conv(3x3, 16, 2)\n    shortcut identity\n    projection ⟦conv(1x1, 8)⟧"),
        "shape",
        "8x8x8 meets 16x4x4",
        "`conv(1x1)` or `pad`",
    ),
    case(
        "projection without weights",
        unit("branch conv(3x3, 16, 2)\n    shortcut identity\n    projection ⟦relu⟧"),
        "shape",
        "3x8x8 meets 16x4x4",
    ),
    case(
        "no stride leads there",
        unit("branch conv(3x3, 16, 2) -> conv(1x3, 16, padding = 0)\n    shortcut ⟦conv(1x1)⟧"),
        "shape",
        "no stride leads from 8x8 to 4x2",
    ),
    case(
        "branch gives a vector",
        unit("branch avgpool -> linear(3)\n    shortcut ⟦identity⟧"),
        "shape",
        "3x8x8 meets 3",
        "`projection avgpool -> linear`",
    ),
    case(
        "pad takes nothing away",
        unit("branch conv(3x3, 2)\n    shortcut identity\n    projection ⟦pad⟧"),
        "shape",
        "3 are more than 2",
        "use `conv(1x1)`",
    ),
    case(
        "two take the channels",
        unit("branch conv(3x3, 16, 2)\n    shortcut identity\n    projection pad -> ⟦conv(1x1)⟧"),
        "ambiguous-fit",
        "the branch's channels",
        "write the channels of one of them",
    ),
    case(
        "two take the stride",
        unit("branch conv(3x3, 16, 2)\n    shortcut identity\n    projection pad -> ⟦conv(1x1, 16)⟧"),
        "ambiguous-fit",
        "the branch's stride",
    ),
    case(
        "groups",
        net("head ⟦conv(3x3, 16, groups = 5)⟧"),
        "shape",
        "3 channels in and 16 out do not divide into 5 groups",
    ),
    case("groups of a norm", net("head ⟦groupnorm(2)⟧"), "shape", "3 channels do not divide into 2 groups"),
    case(
        "linear on an image",
        net("head ⟦linear(10)⟧"),
        "shape",
        "linear reads a vector, and this is 3x8x8",
        "put `avgpool` or `flatten` before it",
        "in head of n",
    ),
    case(
        "conv on a vector",
        net("head avgpool -> ⟦conv(3x3, 4)⟧"),
        "shape",
        "an image, and this is a vector of 3",
        "use `linear`",
    ),
    case("pooling of a vector", net("head avgpool -> ⟦avgpool⟧"), "shape", "a vector of 3"),
    case("window", net("head ⟦conv(9x9, 3, padding = 0)⟧"), "shape", "a 9x9 window does not fit into 3x8x8"),
    case(
        "window of a dilated kernel",
        net("head ⟦conv(3x3, 3, dilation = 8, padding = 0)⟧"),
        "shape",
        "does not fit into 3x8x8",
    ),
    case("window of a pooling", net("head ⟦maxpool(10x10, 1)⟧"), "shape", "10x10 window does not fit"),
    case("padding of a pooling", net("head ⟦maxpool(3x3, 1, padding = 2)⟧"), "shape", "more than half of the kernel"),
    case("concat", net("head ⟦concat(relu, conv(3x3, 4, 2))⟧"), "shape", "3x8x8 meets 4x4x4"),
    case("concat of a vector", net("head ⟦concat(avgpool, relu)⟧"), "shape", "concat joins channels"),
    case("reduction", net("head ⟦se(16)⟧"), "shape", "se(16) leaves none of 3 channels"),
    case("features", net("head ⟦flatten⟧", input="3x4096x4096"), "shape", "50,331,648", "16,777,216"),
    case(
        "in a placement",
        unit("norm groupnorm(5)\n    placement ⟦post⟧\n    branch conv(3x3, 3)\n    shortcut identity"),
        "shape",
        "3 channels do not divide into 5 groups",
        "in v at",
    ),
]

UNITS = [
    case(
        "assert",
        unit(
            'assert ⟦width % 4 == 0⟧, "width {width} is no multiple of {2 + 2}"\n'
            "    branch relu\n    shortcut identity",
            parameters="(width = 3)",
        ),
        "assertion",
        "width 3 is no multiple of 4",
        "this is false",
        "in v at x.resnet:7:31",
        "in stage 1 of n",
    ),
    case(
        "assert on the place",
        unit('assert ⟦index < 1⟧, "unit {index} of {count}"\n    branch relu\n    shortcut identity'),
        "assertion",
        "unit 1 of 2",
    ),
    case("assert of a network", net('assert ⟦false⟧, "never"'), "assertion", "never"),
    case("assert without words", net('assert ⟦false⟧, ""'), "assertion", "an assertion failed"),
    case("assert of a number", net('assert ⟦1⟧, "x"'), "wrong-value", "true or false must stand here"),
    case("error in a message", net('assert false, "{⟦1 / 0⟧}"'), "arithmetic", "divides by zero"),
    case("first of an operator", net("stage ⟦2 * relu first(a = 1)⟧"), "wrong-override", "a repetition of one unit"),
    case("first of a chain", net("stage ⟦(u -> u) first(width = 3)⟧", before=U), "wrong-override", "this is a chain"),
    case(
        "first and last",
        net("stage ⟦1 * u first(width = 3) last(width = 3)⟧", before=U),
        "wrong-override",
        "both set `width` on the only copy",
    ),
    case(
        "first twice",
        net("stage 2 * u first(width = 3) ⟦first(stride = 1)⟧", before=U),
        "wrong-override",
        "put all of it into one",
    ),
    case("itself", spec("unit ⟦a⟧ { branch a shortcut identity }"), "recursive-unit", "a -> a"),
    case(
        "each other",
        spec(
            "unit ⟦a⟧ { branch b shortcut identity }",
            "unit b { branch c shortcut identity }",
            "unit c { branch a shortcut identity }",
        ),
        "recursive-unit",
        "a -> b -> c -> a",
    ),
    case(
        "circular let", net("let a = b\n    let b = ⟦a⟧\n    head linear(a)"), "circular-value", "`a` depends on itself"
    ),
    case(
        "circular default",
        unit("branch scale(a)\n    shortcut identity", parameters="(a = b, b = ⟦a⟧)", stage="v"),
        "circular-value",
        "`a`",
    ),
    case(
        "circular in its place",
        unit("let a = ⟦index + a⟧\n    branch scale(a)\n    shortcut identity"),
        "circular-value",
        "depends on itself",
    ),
    case(
        "norm of itself",
        unit("norm ⟦norm⟧ -> relu\n    branch relu\n    shortcut identity"),
        "circular-value",
        "`norm` is set to itself",
    ),
    case(
        "norm in its own concat",
        unit("norm concat(⟦norm⟧, relu)\n    branch norm\n    shortcut identity"),
        "circular-value",
        "`norm`",
    ),
    case(
        "norm and act",
        unit("norm act -> bn\n    act ⟦norm⟧\n    branch norm\n    shortcut identity"),
        "circular-value",
        "`norm` is set to itself",
    ),
    case(
        "norm that waits",
        unit("norm (⟦norm⟧ if index > 0 else bn)\n    branch norm\n    shortcut identity"),
        "circular-value",
        "`norm`",
    ),
    case("place where no unit is", net("stem dropout(⟦index⟧)"), "wrong-value", "no unit is here"),
    case("position where no unit is", net("stem dropout(⟦position⟧)"), "wrong-value", "no unit is here"),
    case(
        "place of a unit of units",
        net("stage 2 * w", before=U + "unit w { branch u -> dropout(⟦index⟧) shortcut identity }"),
        "wrong-value",
        "no unit is here",
    ),
    case(
        "place as a repetition of units",
        net("stage 2 * w", before=U + "unit w { branch ⟦index * u⟧ shortcut identity }"),
        "wrong-repetition",
        "depends on the number of units, or on their place",
        "arguments of operators",
    ),
    case(
        "number of units as a repetition",
        net("stage ⟦count * u⟧ -> u", before=U),
        "wrong-repetition",
        "the number of units",
    ),
    case(
        "place as channels",
        unit("branch conv(1x1, ⟦index⟧)\n    shortcut identity"),
        "wrong-argument",
        "`channels` of conv",
        "this is 0",
    ),
    case(
        "value of the last copy",
        unit("branch dropout(⟦index / 1⟧)\n    shortcut identity"),
        "wrong-argument",
        "this is 1.0",
    ),
    case(
        "place gives no chain",
        unit("branch ⟦relu if index > 0 else 3⟧\n    shortcut identity"),
        "wrong-value",
        "an operator or a chain must stand here",
    ),
    case(
        "place gives concat no chain",
        unit("branch concat(relu, ⟦relu if index > 0 else 3⟧)\n    shortcut none"),
        "wrong-argument",
        "an argument of concat",
        "this is 3",
    ),
    case(
        "network needs a value",
        spec("network n(classes) { input 10 head linear(classes) }", "network m = n(classes = relu)").replace(
            "linear(classes)", "linear(⟦classes⟧)"
        ),
        "wrong-argument",
        "`features` of linear",
        "in head of m",
    ),
]


@pytest.mark.parametrize(
    ("marked", "code", "words", "options"),
    [*HEADERS, *SYNTAX, *NAMES, *ARGUMENTS, *INPUTS, *ARITHMETIC, *SHAPES, *UNITS],
)
def test_one_error(marked: str, code: str, words: tuple[str, ...], options: Options | None) -> None:
    verify(marked, code, words, options)


def test_all_syntax_errors_of_a_file() -> None:
    text = spec(
        "network n {",
        "    input 3x8x8",
        "    stag relu",
        "    hed relu ->",
        "    stem bn ->",
        "}",
        "unit v(width) {",
        "    brnch conv(3x3, width)",
        "    shortcut identity $",
        "    after relu)",
        "}",
    )
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
        "network a(n = 1) { input 3x8x8 head linear(n) }",
        "network b = a(n = 2)",
        "network c { input 3x8x8 head conv(3x3, 0) }",
        "network d(n) { input 3x8x8 head linear(n) }",
    )
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
    "many units in turn": net(
        "stage " + " -> ".join(["u", "v"] * 500), before=U + "unit v { branch relu shortcut identity }"
    ),
    "units that differ, twice": net(
        "stage 3 * v -> 3 * v", before="unit v { branch dropout(index / 10) shortcut identity }"
    ),
}


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
    ((units,),) = network.stages
    assert isinstance(units, Units)
    (concat,) = units.runs[0].unit.branch
    assert isinstance(concat, Concat)
    assert [type(element) for element in concat.chains[1]] == [Conv, BatchNorm]


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
