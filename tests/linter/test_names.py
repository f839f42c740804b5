"""The rules about names: what is unused, unreachable or shadowed, and what only looks so."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdsl.linter.rules.shadowed_name import MEANINGS, ONLY_CALLED
from resdsl.linter.run import lint_source, lint_spec
from resdsl.linter.select import Selection
from resdsl.semantics.evaluate import CALL_NAMES, VALUE_NAMES
from resdsl.source import Source
from resdsl.spec import Options
from tests.conftest import SPECS

UNIT = "unit u(w = 4) { branch conv(3x3, w) shortcut identity }\n"
NETWORK = "network net { input 4x8x8 stage 2 * u }\n"


def found(rule: str, text: str) -> list[str]:
    """What a rule says of a file, in short: the severity's first letter, and what stands there."""
    diagnostics = lint_source(Source("a.resnet", f"resnet 1\n{text}"), None, Selection((rule,)), Options())
    assert all(diagnostic.name for diagnostic in diagnostics), [diagnostic.render() for diagnostic in diagnostics]
    return [f"{each.severity.value[0]} {each.span.text if each.span else ''}" for each in diagnostics]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UNIT, []),
        (UNIT + NETWORK, []),
        (UNIT + NETWORK.replace("2 * u", "relu"), ["w u"]),
        (UNIT + NETWORK.replace("2 * u", "2 * u first(w = 4)"), []),
        (UNIT + "network net(u = relu) { input 4x8x8 stage u }", ["w u"]),
        (UNIT + "network net(v = u) { input 4x8x8 stage v }", []),
        (UNIT + "network net { input 4x8x8 let u = relu stage u }", ["w u"]),
        (UNIT + "let v = u network net { input 4x8x8 stage v }", []),
        (UNIT + "let v = u network net { input 4x8x8 stage relu }", ["w u"]),
        (UNIT + "let v = u unit x(v = relu) { branch v shortcut none } network net { input 4x8x8 stage x }", ["w u"]),
        (UNIT + NETWORK.replace("2 * u", "relu") + "network other = net", ["w u"]),
        (UNIT + "unit x { branch u shortcut none }" + NETWORK.replace("2 * u", "relu"), ["w u", "w x"]),
        (UNIT + "network net(n, v = 2 * u) { input 4x8x8 stage n * v }", []),
    ],
)
def test_unused_unit(text: str, expected: list[str]) -> None:
    assert found("unused-unit", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unit x(a, b = a, c = b) { branch relu shortcut none }", ["w a", "w b = a", "w c = b"]),
        ("unit x(a, b = a) { branch conv(3x3, b) shortcut none }", []),
        ("unit x(a) { branch relu shortcut identity let b = a }", ["w a"]),
        ("unit x(a) { branch relu shortcut identity from a }", []),
        ('unit x(a) { branch relu shortcut identity assert true, "{a}" }', []),
        ("unit x(branch) { branch branch shortcut branch }", []),
        ("unit x(relu) { branch conv(3x3, 4) shortcut none }", ["w relu"]),
        ("unit x(w) { branch u(w = 4) shortcut none }" + UNIT, ["w w"]),
        (UNIT + NETWORK + "network other(net = 3) = net", ["w net = 3"]),
        (
            UNIT + NETWORK.replace("net {", "net(n = 2) {").replace("2 *", "n *") + "network other(k, n = k) = net(n)",
            [],
        ),
        (UNIT + NETWORK.replace("net {", "net(n = 2) {"), ["w n = 2"]),
    ],
)
def test_unused_parameter(text: str, expected: list[str]) -> None:
    assert found("unused-parameter", text) == expected


def test_a_parameter_of_an_alias_that_is_not_passed_on() -> None:
    text = "resnet 1\nnetwork a(n = 3) { input n } network b(n = 4) = a network c(m = 3) = a\n"
    first, second = lint_source(Source("a", text), None, Selection(("unused-parameter",)), Options())
    assert first.help == "pass it on: `a(n = n)`"
    assert second.help == "use it, or remove it here and where it is set"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("let a = 4", []),
        ("let a = 4 network net { input 4 }", ["w let a = 4"]),
        ("let a = 4 network net { input a }", []),
        ("let a = 4 network net(a = 3) { input a }", ["w let a = 4"]),
        ("let a = b let b = 4 network net { input 4 }", ["w let a = b", "w let b = 4"]),
        ("let a = b let b = 4 network net { input a }", []),
        ("let a = 4 unit x { branch conv(3x3, a) shortcut none } network net { input 4 }", []),
        ("let a = 4 network net(n) { input n }", ["w let a = 4"]),
        ("let a = 4 network net { let a = 3 input a }", ["w let a = 4"]),
        ("network net(n = a) { let a = 3 input n }", []),
        ("network net(n = a) { let a = 3 input 4 }", []),
        ("network net { let a = a input 4 }", ["w let a = a"]),
        ("network net { let a = b let b = a input 4 }", ["w let a = b", "w let b = a"]),
        ('network net { let a = 3 assert true, "{a}" input 4 }', []),
    ],
)
def test_unused_let(text: str, expected: list[str]) -> None:
    assert found("unused-let", text) == expected


def test_unused_import(tmp_path: Path) -> None:
    (tmp_path / "empty.resnet").write_text("resnet 1\n")
    (tmp_path / "u.resnet").write_text(f"resnet 1\n{UNIT}let v = 4\n{NETWORK}")
    (tmp_path / "above.resnet").write_text('resnet 1\nimport "u.resnet"\nlet w = v\n')

    def told(text: str) -> list[str]:
        (tmp_path / "a.resnet").write_text(f"resnet 1\n{text}")
        diagnostics = lint_spec(tmp_path / "a.resnet", Selection(("unused-import",)))
        return [each.span.text[8:-8] if each.name and each.span else each.message for each in diagnostics]

    assert told('import "u.resnet"') == ["u"]
    assert told('import "u.resnet" network other = net') == []
    assert told('import "u.resnet" network other(net = 3) = net') == []
    assert told('import "u.resnet" network other { input v }') == []
    assert told('import "u.resnet" network other(v = 3) { input v }') == ["u"]
    assert told('import "u.resnet" let x = u') == []
    assert told('import "u.resnet" import "./u.resnet" let x = u') == ["./u"]
    assert told('import "u.resnet" import "above.resnet" let x = v') == ["above"]
    assert told('import "u.resnet" import "above.resnet" let x = w') == ["u"]
    assert told('import "empty.resnet"') == ["empty"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("network a(n) { input n }", ["n a"]),
        ("network a(n) { input n } network b = a(3)", []),
        ("network a(n) { input n } network b(k = 3) = a(k)", []),
        ("network a(n) { input n } network b(n) = a(n)", ["n a", "n b"]),
        ("network a(n, m) { input n + m } network b = a(3)", ["n a", "n b"]),
        ("network a(n, m) { input n + m } network b(k = 2) = a(3, k) network c = b", []),
        ("network a(n = 3) { input n } network b(m) = a", ["n b"]),
        ("network a(n = 3) { input n }", []),
    ],
)
def test_unreachable_network(text: str, expected: list[str]) -> None:
    assert found("unreachable-network", text) == expected


def test_an_alias_without_an_end_is_no_unreachable_network() -> None:
    text = "resnet 1\nnetwork a(n) = b(n) network b(n) = a(n) network c(n) { input n }\n"
    found = lint_source(Source("a", text), None, Selection(("unreachable-network",)), Options())
    assert {(diagnostic.code, diagnostic.span.text if diagnostic.span else "") for diagnostic in found} == {
        ("recursive-network", "a"),
        ("recursive-network", "b"),
        ("HY005", "c"),
    }


def test_every_name_with_a_meaning_has_a_kind() -> None:
    assert set(MEANINGS) == {*VALUE_NAMES, *CALL_NAMES}
    assert ONLY_CALLED.issubset(MEANINGS)


def unit(parameters: str = "", body: str = "") -> str:
    return f"unit x({parameters}) {{ branch conv(3x3, 4) shortcut identity {body} }}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unit bn { branch conv(3x3, 4) shortcut none }", ["w bn"]),
        ("unit conv(w) { branch linear(w) shortcut none }", ["w conv"]),
        ("network post { input 3 }", ["n post"]),
        ("network a { input 3 } network relu = a", ["n relu"]),
        ("let relu = gelu", ["w let relu = gelu"]),
        ("let relu = 3", ["n let relu = 3"]),
        ("let norm = groupnorm(4)", ["w let norm = groupnorm(4)"]),
        ("let post = at(mid = act)", ["w let post = at(mid = act)"]),
        ("let pre = bn -> relu", ["n let pre = bn -> relu"]),
        ("let input = activated", ["w let input = activated"]),
        ("let zero = he", ["w let zero = he"]),
        ("let zero = 0", ["n let zero = 0"]),
        ("let count = 3", ["w let count = 3"]),
        ("let count = 2 * 3 + 1", ["w let count = 2 * 3 + 1"]),
        ("let count = true", ["n let count = true"]),
        ("let index = 3 * relu", ["n let index = 3 * relu"]),
        ("let index = -1 if true else 2", ["w let index = -1 if true else 2"]),
        ("let none = pre.mid", ["w let none = pre.mid"]),
        ("let conv = relu", ["n let conv = relu"]),
        ("let normal = he", ["n let normal = he"]),
        ("let at = post", ["n let at = post"]),
        ("let first = 3 let shortcut = 2 let branch = relu let init = he", []),
        (unit("relu"), ["w relu"]),
        (unit("relu = gelu"), ["w relu = gelu"]),
        (unit("relu = x2") + "unit x2 { branch relu shortcut none }", ["w relu = x2"]),
        (unit("a, relu = a"), ["w relu = a"]),
        (unit("pad = 1, gate = -6, dropout = 0.1, bn = true"), ["n pad = 1", "n gate = -6", "n dropout = 0.1", "n bn = true"]),
        (unit("act"), []),
        (unit("act", "placement pre act act"), []),
        (unit("act, norm", "placement pre act act"), ["n norm"]),
        (unit("act = relu, norm", "placement pre"), ["n act = relu", "n norm"]),
        (unit("", "let act = relu act act placement pre"), []),
        (unit("input"), ["w input"]),
        (unit("placement, tap = input, first = 1, end = identity, stem = 3, init = he"), []),
        (unit("", "let index = 1"), ["w let index = 1"]),
        ("network a(input = 3x4x4) { input input }", []),
        ("network a(input = 3) { input input * 2 }", []),
        ("network a(input = activated) { input 3 }", ["w input = activated"]),
        ("network a(act = relu, norm = bn) { input 3 }", []),
        ("network a(n = 3) { input n } network b(act, count = 3) = a(n = count)", ["w count = 3"]),
        ("let base = 3 network a(base = 4) { input base }", ["n base = 4"]),
        ("let base = 3 network a { let base = 4 input base }", ["n let base = 4"]),
        (unit("y") + "unit y { branch relu shortcut none }", ["n y"]),
        (unit("x"), ["n x"]),
        (unit("net") + "network net { input 3 }", []),
    ],
)  # fmt: skip
def test_shadowed_name(text: str, expected: list[str]) -> None:
    assert found("shadowed-name", text) == expected


def test_a_name_of_an_imported_file_is_told_with_it(tmp_path: Path) -> None:
    (tmp_path / "a.resnet").write_text('resnet 1\nimport "std/units/wide.resnet"\nnetwork a(wide = 3) { input wide }\n')
    (found,) = lint_spec(tmp_path / "a.resnet", Selection(("shadowed-name",)))
    assert found.message.endswith("wide.resnet")


@pytest.mark.parametrize("path", sorted(SPECS.rglob("*.resnet")), ids=lambda path: path.stem)
def test_the_collection_is_clean(path: Path) -> None:
    assert [diagnostic.render() for diagnostic in lint_spec(path, Selection(("HY", "SU")))] == []
