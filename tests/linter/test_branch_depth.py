"""How many weight layers a branch has on its longest path, and in a row."""

from __future__ import annotations

import pytest

import resdsl


def found(branch: str, rule: str, shortcut: str = "identity") -> list[str]:
    text = f"""resnet 1
unit inner {{ branch conv(1x1, 4) -> relu -> conv(1x1, 4) shortcut identity }}
unit u {{ branch {branch} shortcut {shortcut} }}
network n {{ input 4x8x8 stage 9 * u }}
"""
    diagnostics = resdsl.lint(text, [rule])
    assert all(diagnostic.name == rule for diagnostic in diagnostics), [d.render() for d in diagnostics]
    return [diagnostic.message for diagnostic in diagnostics]


@pytest.mark.parametrize(
    ("branch", "single"),
    [
        ("conv(3x3, 4)", True),
        ("bn -> relu -> conv(3x3, 4) -> bn -> relu -> se(2) -> dropout(0.1)", True),
        ("concat(conv(3x3, 2), conv(1x1, 2))", True),
        ("concat(conv(3x3, 2), partial(0.5, identity) -> conv(1x1, 2))", True),
        ("partial(0.5, conv(1x1, 2))", True),
        ("partial(0.5, conv(1x1, 2)) -> conv(1x1, 4)", False),
        ("concat(conv(3x3, 2), conv(1x1, 2) -> conv(3x3, 2))", False),
        ("concat(conv(3x3, 2), conv(1x1, 2)) -> conv(1x1, 4)", False),
        ("concat(conv(3x3, 4), inner) -> conv(1x1, 4)", False),
        ("inner -> conv(3x3, 4)", False),
        ("relu", False),
        ("identity", False),
    ],
)
def test_single_layer(branch: str, single: bool) -> None:
    messages = found(branch, "single-layer-branch")
    assert [message.partition(";")[0] for message in messages] == (
        ["9 shortcuts around one weight layer each"] if single else []
    )
    assert found(branch, "single-layer-branch", "none") == []


@pytest.mark.parametrize(
    ("branch", "row"),
    [
        ("3 * conv(1x1, 4)", 3),
        ("conv(1x1, 4) -> bn -> dropout(0.1) -> conv(1x1, 4) -> scale(2) -> conv(1x1, 4) -> relu", 3),
        ("relu -> 2 * conv(1x1, 4) -> relu -> 4 * conv(1x1, 4)", 4),
        ("4 * conv(1x1, 4) -> relu -> 2 * conv(1x1, 4)", 4),
        ("conv(1x1, 4) -> concat(identity, conv(1x1, 4)) -> conv(1x1, 4)", 3),
        ("conv(1x1, 4) -> concat(relu, identity) -> 2 * conv(1x1, 4)", 3),
        ("concat(3 * conv(1x1, 2) -> relu, relu) -> conv(1x1, 4)", 3),
        ("conv(1x1, 4) -> partial(0.5, conv(1x1, 2)) -> conv(1x1, 4)", 3),
        ("2 * conv(1x1, 4)", None),
        ("2 * conv(1x1, 4) -> gelu -> 2 * conv(1x1, 4)", None),
        ("2 * conv(1x1, 4) -> se(2) -> 2 * conv(1x1, 4)", None),
        ("2 * conv(1x1, 4) -> maxpool(3x3, 1) -> 2 * conv(1x1, 4)", None),
        ("2 * conv(1x1, 4) -> inner -> conv(1x1, 4)", None),
        ("conv(1x1, 4) -> concat(relu, conv(1x1, 2) -> tanh) -> relu -> 2 * conv(1x1, 4)", None),
        ("concat(2 * conv(1x1, 2), 2 * conv(1x1, 2))", None),
        ("identity", None),
    ],
)
def test_row(branch: str, row: int | None) -> None:
    messages = found(branch, "linear-branch")
    assert [message.partition(" in a row")[0] for message in messages] == (
        [] if row is None else [f"9 branches with {row} weight layers"]
    )
    assert found(branch, "linear-branch", "none") == []
