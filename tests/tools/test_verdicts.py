"""docs/verdicts.md is what tools/verdicts.py writes, and says what the paper says."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from resdsl.diagnostics import Severity
from tests.networks import SPECS

ROOT = SPECS.parent


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verdicts", ROOT / "tools" / "verdicts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["verdicts"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(tool: ModuleType) -> None:
    assert tool.page() == (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8"), "run python tools/verdicts.py"


EXPECTED = {
    "original: identity": "activation-after-addition",
    "constant scaling 0 : 1 (plain)": "shortcut-none",
    "constant scaling 0.5 : 1": "shortcut-scale",
    "constant scaling 0.5 : 0.5": "shortcut-scale",
    "exclusive gating, bias 0": "shortcut-gate-exclusive",
    "exclusive gating, bias -5": "shortcut-gate-exclusive",
    "exclusive gating, bias -6": "shortcut-gate-exclusive",
    "exclusive gating, bias -7": "shortcut-gate-exclusive",
    "shortcut-only gating, bias 0": "shortcut-gate",
    "shortcut-only gating, bias -6": "shortcut-gate",
    "1x1 convolution": "shortcut-conv",
    "dropout 0.5": "shortcut-dropout",
    "a: original": "activation-after-addition",
    "b: BN after addition": "norm-after-addition",
    "c: ReLU before addition": "activation-before-addition",
    "d: ReLU-only pre-activation": "relu-only-preactivation",
    "e: full pre-activation": None,
}
"""The rule that each row of the paper is the example of."""


def test_every_row_is_told_by_its_rule_and_clean_ones_by_none(tool: ModuleType) -> None:
    rows = [*tool.TABLE_1, *tool.TABLE_2[110], *tool.TABLE_2[164]]
    assert {row.name for row in rows} == EXPECTED.keys()
    for row in rows:
        found = tool.verdict(row)
        severe = {rule.name for rule, severity in found.findings.items() if severity is not Severity.NOTE}
        about_the_path = {rule.name for rule in found.findings if rule.code[:2] in ("SC", "AD")}
        expected = EXPECTED[row.name]
        if expected is None:
            assert not about_the_path | severe, row.name
        else:
            assert expected in about_the_path, row.name
        if expected == "activation-after-addition":
            assert not severe, "54 units hardly mind"
            assert not any(name.startswith("shortcut") for name in about_the_path)
        elif expected in ("shortcut-scale", "shortcut-none", "shortcut-dropout"):
            assert found.findings[next(rule for rule in found.findings if rule.name == expected)] is Severity.ERROR


def test_what_the_ranking_does_not_explain_is_explained(tool: ModuleType) -> None:
    for rows in (tool.TABLE_1, *tool.TABLE_2.values()):
        found = tool.ranking([tool.verdict(row) for row in rows])
        assert tool.unexplained(found) == []
        assert found.agree > 3 * len(found.otherwise) or len(found.otherwise) <= 2
