"""All figures, in small: what is kept is not computed again, whatever ended the call before."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resdsl.analysis.demystify import run as module
from resdsl.analysis.demystify.compute import compute
from resdsl.analysis.demystify.data import Data, read_data
from resdsl.analysis.demystify.points import Initial, Point, Value
from resdsl.analysis.demystify.run import reproduce
from resdsl.analysis.demystify.sizes import Sizes
from resdsl.analysis.demystify.table import FIGURES
from tests.analysis.demystify.given import TINY


@pytest.fixture(scope="module")
def data() -> Data:
    return read_data("digits", None)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Point]:
    """Points that were computed."""
    asked: list[Point] = []

    def counted(point: Point, data: Data, sizes: Sizes) -> Value:
        asked.append(point)
        return compute(point, data, sizes)

    monkeypatch.setattr(module, "compute", counted)
    return asked


@pytest.mark.slow
def test_all_figures(tmp_path: Path, data: Data, computed: list[Point]) -> None:
    told: list[tuple[int, int]] = []
    progress: Callable[[int, int, Point], None] = lambda done, total, _: told.append((done, total))  # noqa: E731
    written = list(reproduce(tuple(FIGURES), tmp_path, data, TINY, progress))
    assert [each.number for each in written] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert told == [(done, len(told)) for done in range(len(told))]
    assert len(set(computed)) == len(computed) == len(told)
    for each in written:
        said = json.loads((tmp_path / f"figure{each.number}.json").read_text("utf-8"))
        assert said["title"] == each.found.title
        assert len(said["rows"]) == len(each.found.rows) > 0
        assert all(len(row) == len(said["columns"]) for row in said["rows"])
        assert all(panel["lines"] for panel in said["panels"])
        assert (tmp_path / f"figure{each.number}.png").read_bytes().startswith(b"\x89PNG")
        assert each.found.title.split()[0] in (tmp_path / f"figure{each.number}.svg").read_text("utf-8")
        assert all(remark in each.table for remark in each.found.remarks)
    before = len(computed)
    again = list(reproduce(tuple(FIGURES), tmp_path, data, TINY))
    assert len(computed) == before
    assert [each.table for each in again] == [each.table for each in written]


def test_an_interrupted_call_goes_on(
    tmp_path: Path, data: Data, computed: list[Point], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = module.compute

    def interrupted(point: Point, data: Data, sizes: Sizes) -> Value:
        if len(computed) == 3:
            raise KeyboardInterrupt
        return counted(point, data, sizes)

    with monkeypatch.context() as patch:
        patch.setattr(module, "compute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(reproduce((4,), tmp_path, data, TINY))
    assert len(computed) == 3
    list(reproduce((4,), tmp_path, data, TINY))
    assert computed == FIGURES[4].points(TINY)
    assert all(isinstance(point, Initial) for point in computed)


def test_without_matplotlib_there_are_tables(tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = reproduce((4,), tmp_path, data, TINY)
    assert first.missing is None
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    (again,) = reproduce((4,), tmp_path, data, TINY)
    assert again.missing is not None
    assert "matplotlib" in again.missing.message
    assert again.table == first.table
    assert [path.name for path in again.files] == ["figure4.json"]
    assert not list(tmp_path.glob("figure4.[ps]*g"))
