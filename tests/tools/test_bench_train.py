"""tools/bench_train.py: which cases are run, what a process measures, what is written where one does not end."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "3x8x8"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return import_module("bench_train")


def plan(**fields: Any) -> argparse.Namespace:
    given = {
        "depths": (11, 18, 111),
        "ways": ("units", "none", "eager", "whole"),
        "backends": ("aot_eager", "inductor"),
    }
    return argparse.Namespace(**given | {"batch": 2, "image": IMAGE, "repeat": 1, "limit": 900.0} | fields)


def test_cases_are_all_ways_and_inductor_at_164_layers_alone(tool: ModuleType) -> None:
    found = [(case.layers, case.way, case.backend) for case in tool.cases(plan())]
    each = [("units", "aot_eager"), ("none", ""), ("eager", ""), ("whole", "aot_eager")]
    expected = [(layers, *way) for layers in (101, 164, 1001) for way in each]
    assert [case for case in found if case[2] != "inductor"] == expected
    assert [case for case in found if case[2] == "inductor"] == [(164, "units", "inductor"), (164, "whole", "inductor")]


@pytest.mark.parametrize("way", ["none", "eager"])
def test_a_process_measures_first_and_later_steps(tool: ModuleType, way: str) -> None:
    found = tool.worked(tool.Case(way, 1, "", 2, IMAGE))
    assert found["first"] > 0
    assert found["later"] > 0
    assert found["graphs"] == 0
    assert found["peak"] > 1e6


@pytest.mark.slow
@pytest.mark.parametrize(("way", "graphs"), [("units", 6), ("whole", 1)])
def test_a_process_of_its_own(tool: ModuleType, way: str, graphs: int) -> None:
    found = tool.run(tool.Case(way, 2, "aot_eager", 2, IMAGE), 300.0)
    assert found["graphs"] == graphs
    assert found["later"] < found["first"] < found["wall"]


def test_a_process_that_takes_too_long_is_stopped(tool: ModuleType) -> None:
    found = tool.run(tool.Case("none", 1, "", 2, IMAGE), 0.01)
    assert found.keys() == {"stopped", "wall"}
    assert found["stopped"] == 0.01


@pytest.mark.slow
def test_a_process_that_fails_says_so(tool: ModuleType) -> None:
    found = tool.run(tool.Case("whole", 1, "nonesuch", 2, IMAGE), 300.0)
    assert found.keys() == {"failed", "wall"}
    assert "nonesuch" in found["failed"]


def test_a_slow_case_is_run_once_and_more_layers_than_a_stopped_one_are_not_tried(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def run(case: Any, limit: float) -> dict[str, float]:
        asked.append((case.way, case.layers))
        if case.way == "whole" and case.layers == 164:
            return {"stopped": limit, "wall": limit}
        return {"first": 2.0, "later": 1.0, "graphs": 6, "peak": 1, "wall": 130.0 if case.layers == 1001 else 3.0}

    monkeypatch.setattr(tool, "run", run)
    monkeypatch.setattr(tool, "metadata", type("Metadata", (), {"version": staticmethod(str)}))
    report = tool.measured(plan(backends=("aot_eager",), repeat=3))
    assert {case: asked.count(case) for case in asked} == {
        (way, layers): 1 if layers == 1001 or (way, layers) == ("whole", 164) else 3
        for way in ("units", "none", "eager", "whole")
        for layers in (101, 164, 1001)
        if (way, layers) != ("whole", 1001)
    }
    assert len(report["rows"]) == 11
    assert report["limit"] == 900.0


def test_the_table(tool: ModuleType) -> None:
    def row(way: str, backend: str, first: float, later: float, graphs: int) -> dict[str, Any]:
        measured = {"first": first, "later": later, "graphs": graphs, "peak": 500_000_000}
        return tool.row(tool.Case(way, 18, backend, 2, IMAGE), [measured])

    rows = [
        row("units", "aot_eager", 4.0, 0.030, 6),
        row("units", "inductor", 50.0, 0.010, 6),
        row("eager", "", 1.0, 0.020, 0),
        tool.row(tool.Case("whole", 18, "aot_eager", 2, IMAGE), [{"stopped": 900.0, "wall": 900.0}]),
        tool.row(tool.Case("whole", 18, "inductor", 2, IMAGE), [{"failed": "out of memory", "wall": 9.0}]),
    ]
    lines = tool.table({"rows": rows}).splitlines()
    assert lines[2:] == [
        "| 164 | `units` | aot_eager | 4.0 s | 1.00 | 30 ms | 1.50 | 6 | 500 MB |",
        "| 164 | `units` | inductor | 50.0 s | 1.00 | 10 ms | 0.50 | 6 | 500 MB |",
        "| 164 | `eager` | – | 1.0 s | 0.25 | 20 ms | 1.00 | – | 500 MB |",
        "| 164 | `whole` | aot_eager | stopped after 15 minutes | over 225 | | | | |",
        "| 164 | `whole` | inductor | failed: out of memory | | | | | |",
    ]


def test_growth_is_of_the_fewest_and_the_most_layers(tool: ModuleType) -> None:
    rows = [
        tool.row(
            tool.Case("units", n, "aot_eager", 2, IMAGE), [{"first": n / 10, "later": 1.0, "graphs": 6, "peak": 1}]
        )
        for n in (11, 18, 111)
    ]
    assert tool.growth(rows)[2:] == ["| `units` | aot_eager | 101 | 1.1 s | 1,001 | 11.1 s | 10.1 |"]
    assert tool.growth(rows[:1]) == []


def test_a_report_is_written_and_read_again(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = {"first": 1.0, "later": 0.1, "graphs": 0, "peak": 1_000_000, "wall": 2.0}
    monkeypatch.setattr(tool, "run", lambda case, limit: measured)
    path = tmp_path / "report.json"
    monkeypatch.setattr(sys, "argv", ["bench_train.py", "--depths", "11", "--ways", "eager", "--json", str(path)])
    tool.main()
    first = capsys.readouterr().out
    assert {"date", "machine", "versions", "load", "repeat", "limit", "rows"} == json.loads(path.read_text()).keys()
    monkeypatch.setattr(sys, "argv", ["bench_train.py", "--table", str(path)])
    tool.main()
    assert capsys.readouterr().out == first
    assert "| 101 | `eager` | – | 1.0 s |" in first


def test_the_published_tables_are_those_of_the_published_report(tool: ModuleType) -> None:
    report = json.loads((ROOT / "benchmarks" / "train.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    lines = [line for line in tool.table(report).splitlines() if line]
    assert len(lines) > 4
    assert [line for line in lines if line not in text] == []
