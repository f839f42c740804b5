"""What is kept in a folder is found again, and a folder of something else is left alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from resdsl.analysis.demystify.data import Data, read_data
from resdsl.analysis.demystify.nets import NETS, SHORTCUT2, SHORTCUT3_LARGER, XAVIER, Relu
from resdsl.analysis.demystify.points import Course, Ends, Errors, Initial, Parted, Point, Trained, Value, Watched
from resdsl.analysis.demystify.sizes import QUICK, Training
from resdsl.analysis.demystify.store import POINTS, SETTINGS, begin, store, stored
from resdsl.analysis.hessian.spectrum import Spectrum
from resdsl.diagnostics import SpecError
from tests.analysis.demystify.given import TINY

CASES: list[tuple[Point, Value]] = [
    (Initial(SHORTCUT2, 4, 0), Spectrum(3.0, 1.5, None, 2.0, None, 0.5, 1)),
    (Trained(XAVIER, Relu.NONE, 4, 0), Ends((0.1, 0.2, None), (2.0, 3.0, None))),
    (Trained(XAVIER, Relu.MID, 4, 0), Ends((0.2, 1.0, None), (3.0, 4.0, None))),
    (Watched(SHORTCUT2, 16, 1), Course(0.5, (0, 1), (5.0, 1 / 3), (0.1, 0.2), (1.0, 2.0), (0.5, None), (0.5, 0.4))),
    (Parted(SHORTCUT3_LARGER, 12, 2), Errors((0.1, 1.0, None), (0.25, 0.5, None), (0.5, 0.75, None))),
]


@pytest.fixture(scope="module")
def data() -> Data:
    return read_data("digits", None)


def test_values_are_found_again(tmp_path: Path) -> None:
    for point, value in CASES:
        assert stored(tmp_path, point, TINY) is None
        store(tmp_path, point, value)
    assert [stored(tmp_path, point, TINY) for point, _ in CASES] == [value for _, value in CASES]


def test_no_two_points_share_a_file(tmp_path: Path) -> None:
    points = [kind(net, depth, seed) for kind in (Initial, Watched, Parted) for net in NETS for depth in (1, 11) for seed in (1, 11)]  # fmt: skip
    points += [Trained(net, relu, 1, 1) for net in NETS for relu in Relu]
    for point in points:
        store(tmp_path, point, CASES[0][1])
    assert len(list((tmp_path / POINTS).rglob("*.json"))) == len(points)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"losses": []}',
        '{"losses": [0.1, 0.2, null], "norms": [1, 2, null], "more": 1}',
        '{"losses": 3, "norms": [1, 2, null]}',
        '{"losses": [0.1, 0.2, null], "norms": [1]}',
        '{"losses": [0.1, 0.2, 0.3, 0.4], "norms": [1, 2, 3, 4]}',
        '{"losses": [0.1, "0.2", null], "norms": [1, 2, null]}',
        '{"losses": [0.1, true, null], "norms": [1, 2, null]}',
        '{"losses": [0.1, [0.2], null], "norms": [1, 2, null]}',
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str) -> None:
    point, value = CASES[1]
    store(tmp_path, point, value)
    (path,) = tmp_path.rglob("*.json")
    path.write_text(text)
    with pytest.raises(SpecError, match="cannot be read") as caught:
        stored(tmp_path, point, TINY)
    assert "computed again" in caught.value.diagnostics[0].help


@pytest.mark.parametrize(
    ("case", "field", "value", "message"),
    [
        (0, "largest", [1.0], r"largest is \[1.0\]"),
        (0, "largest", None, "largest is None"),
        (0, "zeros", 0.5, "zeros is 0.5"),
        (3, "rate", "0.5", "rate is '0.5'"),
        (3, "epochs", [0, 1.5], "epochs holds 1.5"),
        (3, "gradients", [0.1, None], "gradients holds None"),
        (3, "percentile10", [0.5], "percentile10 is no list of 2"),
        (4, "test", [0.1, 0.2], "test is no list of 3"),
    ],
)
def test_each_field_is_checked(tmp_path: Path, case: int, field: str, value: object, message: str) -> None:
    point, whole = CASES[case]
    store(tmp_path, point, whole)
    (path,) = tmp_path.rglob("depth*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(SpecError, match=message):
        stored(tmp_path, point, TINY)


def test_whole_numbers_are_numbers(tmp_path: Path) -> None:
    point, value = CASES[1]
    store(tmp_path, point, value)
    (path,) = tmp_path.rglob("depth*.json")
    path.write_text('{"losses": [0, 1, null], "norms": [1, 2, null]}')
    assert stored(tmp_path, point, TINY) == Ends((0, 1, None), (1, 2, None))


def test_a_folder_goes_on_with_its_own_settings_alone(tmp_path: Path, data: Data) -> None:
    folder = tmp_path / "new" / "figures"
    begin(folder, data, QUICK)
    begin(folder, data, replace(QUICK, initial_runs=99, linear_depths=(2,)))
    longer = replace(QUICK, relu=Training(7, QUICK.relu.rates))
    with pytest.raises(SpecError, match="other settings") as caught:
        begin(folder, data, longer)
    assert caught.value.diagnostics[0].notes == (f"relu, epochs: {QUICK.relu.epochs} → 7",)
    with pytest.raises(SpecError, match="other settings"):
        begin(folder, replace(data, fingerprint="0"), QUICK)


def test_a_folder_of_something_else_is_refused(tmp_path: Path, data: Data) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(SpecError, match="is not empty"):
        begin(tmp_path, data, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_settings_that_cannot_be_read(tmp_path: Path, data: Data) -> None:
    (tmp_path / SETTINGS).write_text("{")
    with pytest.raises(SpecError, match="cannot be read"):
        begin(tmp_path, data, TINY)
