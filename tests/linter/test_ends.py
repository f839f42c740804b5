"""The ends of the path: what stands before the first unit and behind the last, and fixes that other networks share."""

from __future__ import annotations

import pytest

import resdsl
from resdsl.diagnostics import Diagnostic
from resdsl.linter.fix import fix_source
from resdsl.linter.select import Selection
from resdsl.source import Source
from resdsl.spec import Options

UNITS = """resnet 1
unit u(width, placement = pre, shortcut = identity, stride = 1) {
    placement  placement
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   shortcut
    projection conv(1x1)
}
unit plain(width, placement = pre) {
    placement placement
    branch    conv(3x3, width)
    shortcut  none
}
unit around(width) { branch 2 * u(width) shortcut identity }
"""


def lint(text: str, rule: str) -> list[Diagnostic]:
    found = resdsl.lint(text, [rule])
    assert {diagnostic.name for diagnostic in found} <= {rule}, [diagnostic.render() for diagnostic in found]
    return found


def fixed(text: str, rule: str) -> str:
    return fix_source(Source("a.resnet", text), None, Selection((rule,)), Options(), unsafe=True).text


def network(stem: str, stage: str, head: str, more: str = "") -> str:
    return f"{UNITS}network n {{\n    input 3x8x8\n    stem  {stem}\n    stage {stage}\n    head  {head}\n}}\n{more}"


HEAD = "bn -> relu -> avgpool -> linear(10)"


@pytest.mark.parametrize(
    ("stem", "stage", "fires"),
    [
        ("conv(3x3, 4)", "2 * u(4)", True),
        ("conv(3x3, 4) -> maxpool(3x3, 2) -> dropout(0.1)", "2 * u(4)", True),
        ("conv(3x3, 4)", "conv(1x1, 4) -> 2 * u(4)", True),
        ("conv(3x3, 4)", "u(4, relu_only_pre)", True),
        ("plain(4, post)", "2 * u(4)", False),
        ("plain(4)", "2 * u(4)", True),
        ("plain(4, at(post = norm))", "2 * u(4)", False),
        ("conv(3x3, 4) -> u(4)", "2 * u(4)", False),
        ("conv(3x3, 4) -> gelu", "2 * u(4)", False),
        ("conv(3x3, 4) -> partial(0.5)", "2 * u(4)", False),
        ("conv(3x3, 4)", "2 * u(8)", False),
        ("conv(3x3, 4)", "2 * u(4, shortcut = bn)", False),
        ("conv(3x3, 4)", "2 * u(4, post)", False),
        ("conv(3x3, 4)", "plain(4) -> u(4)", False),
        ("conv(3x3, 4)", "around(4)", False),
        ("conv(3x3, 4)", "concat(2 * u(4), identity)", False),
        ("identity", "u(3)", False),
    ],
)
def test_first_activation(stem: str, stage: str, fires: bool) -> None:
    assert bool(lint(network(stem, stage, HEAD), "first-activation-not-shared")) is fires


@pytest.mark.parametrize(
    ("stem", "stage", "fires"),
    [
        ("conv(3x3, 4) -> bn", "u(4)", True),
        ("conv(3x3, 4) -> groupnorm(2) -> gelu -> avgpool(2x2, 2)", "u(4)", True),
        ("conv(3x3, 4) -> bn -> relu", "around(4)", True),
        ("conv(3x3, 4)", "bn -> relu -> u(4)", True),
        ("plain(4, post)", "u(4)", True),
        ("conv(3x3, 4) -> bn -> relu", "plain(4)", True),
        ("bn -> conv(3x3, 4) -> relu", "u(4)", False),
        ("conv(3x3, 4) -> bn -> relu", "u(4, relu_only_pre)", False),
        ("conv(3x3, 4) -> bn -> relu", "u(4, post)", False),
        ("conv(3x3, 4) -> bn -> pad(8)", "u(8)", False),
        ("conv(3x3, 4) -> bn -> u(4)", "u(4)", False),
    ],
)
def test_norm_doubled(stem: str, stage: str, fires: bool) -> None:
    assert bool(lint(network(stem, stage, HEAD), "norm-doubled-after-stem")) is fires


@pytest.mark.parametrize(
    ("stem", "mended"),
    [
        ("conv(3x3, 4) -> bn", "conv(3x3, 4)"),
        ("conv(3x3, 4) -> norm -> act -> maxpool(3x3, 2)", "conv(3x3, 4) -> maxpool(3x3, 2)"),
        ("conv(3x3, 4) -> bn -> maxpool(3x3, 2) -> relu", "conv(3x3, 4) -> maxpool(3x3, 2) -> relu"),
        ("bn -> relu -> conv(3x3, 4) -> bn -> relu", "bn -> relu -> conv(3x3, 4)"),
        ("(conv(3x3, 4) if true else bn) -> bn -> relu", "(conv(3x3, 4) if true else bn)"),
        ("conv(3x3, 4)  # -> here\n  -> bn -> relu", "conv(3x3, 4)  # -> here"),
        ("conv(3x3, 4) -> pre.pre", None),
        ("conv(3x3, 4) -> (bn if true else relu)", None),
        ("plain(4, post)", None),
    ],
)
def test_stem_without_its_norm(stem: str, mended: str | None) -> None:
    text = network(stem, "u(4)", HEAD)
    assert lint(text, "norm-doubled-after-stem")
    assert fixed(text, "norm-doubled-after-stem") == (text if mended is None else network(mended, "u(4)", HEAD))


def test_a_stem_that_another_network_needs() -> None:
    text = f"""{UNITS}
network original(placement = post) {{
    input 3x8x8
    stem  conv(3x3, 4) -> bn -> relu
    stage 2 * u(4, placement)
    head  placement.pre -> avgpool -> linear(10)
}}
network preactivated = original(placement = pre)
"""
    (found,) = lint(text, "norm-doubled-after-stem")
    assert found.notes == ("in preactivated",)
    assert found.fix is None
    (found,) = lint(text.replace("= post", "= pre"), "norm-doubled-after-stem")
    assert found.notes == ("in original; also in preactivated",)
    assert found.fix is not None


@pytest.mark.parametrize(
    ("stage", "head", "missing"),
    [
        ("u(4)", "avgpool -> linear(10)", "bn -> relu"),
        ("u(4)", "relu -> avgpool -> linear(10)", "bn"),
        ("u(4)", "layernorm -> act -> conv(1x1, 4)", None),
        ("u(4)", "dropout(0.1) -> conv(1x1, 4) -> bn -> relu", "bn -> relu"),
        ("u(4, relu_only_pre)", "avgpool -> linear(10)", "relu"),
        ("around(4)", "avgpool -> linear(10)", "bn -> relu"),
        ("u(4) -> conv(1x1, 4)", "bn -> relu -> avgpool", "bn -> relu"),
        ("u(4) -> bn", "gelu -> avgpool -> linear(10)", None),
        ("u(4)", "avgpool", None),
        ("u(4)", "identity", None),
        ("u(4)", "plain(4, post) -> avgpool -> linear(10)", None),
        ("u(4)", "concat(conv(1x1, 4), bn) -> avgpool -> linear(10)", None),
        ("u(4, post)", "avgpool -> linear(10)", None),
        ("plain(4)", "avgpool -> linear(10)", None),
        ("u(4) -> plain(4)", "avgpool -> linear(10)", None),
    ],
)
def test_last_activation(stage: str, head: str, missing: str | None) -> None:
    found = lint(network("conv(3x3, 4)", stage, head), "last-activation-missing")
    assert [diagnostic.message.partition(" between")[0] for diagnostic in found] == (
        [f"no {missing}"] if missing else []
    )


@pytest.mark.parametrize(
    ("settings", "lead", "head", "mended"),
    [
        ("", "norm -> act", "linear(10)", "norm -> act -> linear(10)"),
        ("", "norm -> act", "relu -> linear(10)", "norm -> relu -> linear(10)"),
        ("", "norm -> act", "bn -> linear(10)", "bn -> act -> linear(10)"),
        ("", "groupnorm(2) -> silu", "linear(10)", "groupnorm(2) -> silu -> linear(10)"),
        ("norm identity act tanh", "bn(eps = 0.1) -> act", "linear(10)", "bn(eps = 0.1) -> act -> linear(10)"),
        ("act relu -> scale(2)", "act", "linear(10)", "act -> linear(10)"),
        ("", "norm -> act", "linear(10) if true else relu", "norm -> act -> linear(10) if true else relu"),
        ("", "norm -> act", "(relu if true else bn) -> linear(10)", None),
    ],
)
def test_head_with_what_it_lacks(settings: str, lead: str, head: str, mended: str | None) -> None:
    def text(head: str) -> str:
        return f"""resnet 1
unit u {{ branch {lead} -> linear(4) shortcut identity }}
network n {{
    {settings}
    input 4
    stage 2 * u
    head  {head}
}}
"""

    assert lint(text(head), "last-activation-missing")
    after = fixed(text(head), "last-activation-missing")
    assert after == text(head if mended is None else mended)
    assert mended is None or lint(after, "last-activation-missing") == []


def test_a_head_that_another_network_shares() -> None:
    text = f"""{UNITS}
network original(placement = post) {{
    input 3x8x8
    stem  conv(3x3, 4) -> placement.post
    stage 2 * u(4, placement)
    head  avgpool -> linear(10)
}}
network preactivated = original(placement = pre)
"""
    (found,) = lint(text, "last-activation-missing")
    assert found.notes == ("in preactivated",)
    assert found.fix is None
