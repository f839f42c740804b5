"""specs/README.md is what tools/spec_table.py writes, and every network says where it comes from."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest

from tests.networks import CASES, SPECS, Case


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("spec_table", SPECS.parent / "tools" / "spec_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["spec_table"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(tool: ModuleType) -> None:
    assert tool.page() == (SPECS / "README.md").read_text(encoding="utf-8"), "run python tools/spec_table.py"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_network_has_a_row_with_a_source_and_an_equal(case: Case) -> None:
    section = (SPECS / "README.md").read_text(encoding="utf-8").partition(f"]({case.file})\n")[2].partition("\n## ")[0]
    (row,) = re.findall(rf"^\| `{case.network}` \| (.*) \|$", section, re.MULTILINE)
    source, parameters, macs, error, equal = row.split(" | ")
    assert re.search(r"\b(19|20)\d\d\b", source), "a source has a year"
    assert int(parameters.replace(",", "")) > 0
    assert int(macs.replace(",", "")) > 0
    assert re.fullmatch(r"|fail|see 320x320|\d+\.\d+ %", error)
    assert equal or case.network.endswith("_320"), "no peer and no reference"
