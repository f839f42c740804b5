"""All figures, in small: what is kept is not computed again, whatever ended the call before."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resdsl.analysis.demystify import run as module
from resdsl.analysis.demystify.compute import compute
from resdsl.analysis.demystify.data import Data, read_data
from resdsl.analysis.demystify.points import Initial, Point, Value
from resdsl.analysis.demystify.run import reproduce
from resdsl.analysis.demystify.sizes import Sizes
from resdsl.analysis.demystify.table import FIGURES
from resdsl.diagnostics import Severity
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
        assert all(len(row) == len(said["columns"]) for row in said["rows"])
        assert all(remark in each.table for remark in each.found.remarks)
        assert (tmp_path / f"figure{each.number}.png").read_bytes().startswith(b"\x89PNG")
        drawn = (tmp_path / f"figure{each.number}.svg").read_text("utf-8")
        names = [
            line["name"] for line in said["panels"][0]["lines"] if any(value is not None for value in line["values"])
        ]
        assert len(names) > 1
        assert all(name in drawn for name in names)
        assert all(panel["across"] in drawn and panel["up"] in drawn for panel in said["panels"])
    _require_figure2(tmp_path)
    _require_figure3(tmp_path)
    _require_figure4(tmp_path)
    _require_watched(tmp_path)
    _require_best_losses(tmp_path, 8, "trained-none")
    _require_best_losses(tmp_path, 9, "trained-mid")
    before = len(computed)
    again = list(reproduce(tuple(FIGURES), tmp_path, data, TINY))
    assert len(computed) == before
    assert [each.table for each in again] == [each.table for each in written]


def _rows(folder: Path, number: int) -> list[dict[str, Any]]:
    """By column."""
    said = json.loads((folder / f"figure{number}.json").read_text("utf-8"))
    return [dict(zip(said["columns"], row, strict=True)) for row in said["rows"]]


def _points(folder: Path, kind: str, net: str, depth: int) -> list[dict[str, Any]]:
    """As they lie in the folder."""
    found = sorted(
        (folder / "points" / kind / net.replace(", ", "-").replace(" ", "-").lower()).glob(f"depth{depth}-*")
    )
    assert found
    return [json.loads(path.read_text("utf-8")) for path in found]


def _best(points: list[dict[str, Any]], what: str) -> tuple[float, float]:
    """Its mean with the learning rate of the least mean loss, which is one of the first two, and that rate."""
    losses = np.array([point["losses"][:2] for point in points]).mean(0)
    number = int(losses.argmin())
    return float(np.mean([point[what][number] for point in points])), TINY.linear.rates[number]


def _require_figure2(folder: Path) -> None:
    kinds = {"linear": "trained-none", "ReLU in mid position": "trained-mid"}
    rows = _rows(folder, 2)
    assert len(rows) == 5 * 2
    for row in rows:
        norm, _ = _best(_points(folder, kinds[row["layers are"]], row["network"], row["depth"]), "norms")
        assert row["mean Frobenius norm"] == pytest.approx(norm, rel=1e-12)


def _require_figure3(folder: Path) -> None:
    rows = _rows(folder, 3)
    assert len(rows) == 7
    for row in rows:
        share, rate = _best(_points(folder, "parted", row["network"], 12), "test")
        assert (row["test error, %"], row["learning rate"]) == (pytest.approx(100 * share, rel=1e-12), rate)
    assert 0 < min(row["test error, %"] for row in rows) < 90


def _require_figure4(folder: Path) -> None:
    rows = _rows(folder, 4)
    assert len(rows) == 5 * 2
    for row in rows:
        points = _points(folder, "initial", row["network"], row["depth"])
        assert row["condition"] == pytest.approx(np.mean([point["condition"] for point in points]), rel=1e-12)
        assert row["largest |eigenvalue|"] == pytest.approx(np.mean([point["largest"] for point in points]), rel=1e-12)


def _require_watched(folder: Path) -> None:
    """Figures 5 to 7, of one run each."""
    for extremes, index, gradient in zip(*(_rows(folder, number) for number in (5, 6, 7)), strict=True):
        (point,) = _points(folder, "watched", extremes["network"], 4)
        assert extremes["condition, start"] == pytest.approx(point["largest"][0] / point["percentile10"][0], rel=1e-12)
        assert extremes["condition, end"] == pytest.approx(point["largest"][-1] / point["percentile10"][-1], rel=1e-12)
        assert (index["index, start"], index["index, end"]) == (point["index"][0], point["index"][-1])
        assert index["loss, end"] == extremes["loss, end"] == point["losses"][-1]
        assert gradient["largest gradient"] == max(point["gradients"])
        assert gradient["at epoch"] == point["epochs"][int(np.argmax(point["gradients"]))]


def _require_best_losses(folder: Path, number: int, kind: str) -> None:
    for row in _rows(folder, number):
        loss, rate = _best(_points(folder, kind, row["network"], row["depth"]), "losses")
        assert (row["best loss"], row["learning rate"]) == (pytest.approx(loss, rel=1e-12), rate)


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
    assert again.missing.severity is Severity.WARNING
    assert {path.name for path in tmp_path.glob("figure4.[ps]*g")} == {
        "figure4.png",
        "figure4.svg",
    }  # of the same points
