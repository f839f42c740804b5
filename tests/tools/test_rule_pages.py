"""docs/rules/ is what tools/rule_pages.py writes: a page for each rule, and an index that names all of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from resdsl.linter.severity import THRESHOLDS
from resdsl.linter.table import RULES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "rules"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rule_pages", ROOT / "tools" / "rule_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rule_pages"] = module
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_current(tool: ModuleType) -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert written == tool.pages(), "run python tools/rule_pages.py"


def test_the_index_has_every_rule_and_threshold(tool: ModuleType) -> None:
    index = tool.index()
    for rule in RULES:
        assert index.count(f"| {rule.code} | [{rule.name}]({rule.name}.md) | ") == 1
        assert tool.page(rule).startswith(f"# {rule.name} ({rule.code})\n\n{rule.summary}\n\n")
        for line in rule.page.splitlines():
            assert line in tool.page(rule)
    for threshold in THRESHOLDS:
        assert index.count(f"| {threshold.measure} | {threshold.limits} | ") == 1
