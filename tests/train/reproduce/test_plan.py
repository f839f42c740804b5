"""Which runs there are, in which order and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError
from resdsl.train.reproduce.plan import Plan, plan
from resdsl.train.reproduce.tables import TABLE1, TABLE2, TABLE3, Table


def planned(table: Table, data: str = "digits", layers: int | None = None, only: tuple[str, ...] = ()) -> Plan:
    return plan(table, data, Path("f"), seeds=(0, 1), layers=layers, only=only)


def test_a_whole_table_comes_before_the_next_seed() -> None:
    trials = planned(TABLE1).trials
    assert [trial.seed for trial in trials] == [0] * 11 + [1] * 11
    assert len({trial.run for trial in trials}) == 22
    assert trials[0].run == Path("f/resnet110/seed0")
    assert trials[12].run == Path("f/plain110/seed1")


def test_tables_share_runs() -> None:
    first, second, third = ({trial.run for trial in planned(table).trials} for table in (TABLE1, TABLE2, TABLE3))
    assert first & second == {Path("f/resnet110/seed0"), Path("f/resnet110/seed1")}
    assert len(second & third) == 8


@pytest.mark.parametrize(("layers", "expected"), [(None, {18}), (110, {18}), (8, {1}), (20, {3})])
def test_depth(layers: int | None, expected: set[int]) -> None:
    rows = planned(TABLE1, layers=layers).rows
    assert {row.n for row in rows} == expected
    assert {row.layers for row in rows} == {layers or 110}


@pytest.mark.parametrize(
    ("table", "layers", "words"),
    [
        (TABLE1, 15, "resnet110 has units of two layers, so 6n + 2 layers, and cannot have 15|`--depth 14` or `--depth 20`"),
        (TABLE1, 1, "cannot have 1|`--depth 8` or `--depth 14`"),
        (TABLE1, 2, "cannot have 2|`--depth 8` or `--depth 14`"),
        (TABLE1, 19, "cannot have 19|`--depth 14` or `--depth 20`"),
        (TABLE2, 14, "resnet164 has units of three layers, so 9n + 2 layers, and cannot have 14|`--depth 20` or `--depth 38`"),
        (TABLE3, 12, "resnet110_1layer has units of one layer, so 3n + 2 layers, and cannot have 12|`--depth 20` or `--depth 38`"),
    ],
)  # fmt: skip
def test_a_depth_that_there_is_not(table: Table, layers: int, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        planned(table, layers=layers)
    (diagnostic,) = caught.value.diagnostics
    message, help = words.split("|")
    assert message in diagnostic.message
    assert diagnostic.help == help


def test_a_depth_of_some_of_a_table() -> None:
    assert [row.n for row in planned(TABLE2, layers=14, only=("resnet110", "preact110")).rows] == [2, 2]


def test_rows_that_a_depth_makes_equal() -> None:
    found = planned(TABLE3, layers=20)
    assert [row.variant.name for row in found.rows] == [
        "resnet110_1layer", "preact110_1layer", "resnet110", "preact110", "resnet164", "preact164",
    ]  # fmt: skip
    assert found.same == ("resnet1001", "preact1001")
    assert {row.layers for row in found.rows} == {20}


def test_rows_are_those_of_the_data() -> None:
    assert all(row.variant.data == "cifar100" for row in planned(TABLE3, "cifar100").rows)
    for data in ("cifar10", "digits", "mine.npz"):
        assert all(row.variant.data == "cifar10" for row in planned(TABLE3, data).rows)
    assert len(planned(TABLE1, "cifar100").rows) == 11


def test_a_name_that_no_row_has() -> None:
    with pytest.raises(SpecError, match="no variant 'gate_exclusiv' for these data") as caught:
        planned(TABLE1, only=("gate_exclusiv",))
    assert "did you mean" in caught.value.diagnostics[0].help
    with pytest.raises(SpecError, match="no variant 'resnet164_cifar100'"):
        planned(TABLE3, "cifar10", only=("resnet164_cifar100",))
