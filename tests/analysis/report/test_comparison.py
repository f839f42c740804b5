"""Which networks stand beside each other."""

from __future__ import annotations

import pytest

from resdsl.analysis.report.comparison import SHORTCUTS, set_title, subjects_of
from resdsl.analysis.report.subjects import SETS
from resdsl.api import build
from resdsl.diagnostics import SpecError
from resdsl.network.costs import summarise
from resdsl.network.network import distinct_units
from resdsl.train.reproduce.tables import FAIL, TABLE1


@pytest.mark.parametrize(
    ("name", "layers"), [("table1", 20), ("table1", 29), ("table2", 20), ("table2", 29), ("plain", 20), ("plain", 29)]
)
def test_sets_have_the_depth_that_is_asked_for(name: str, layers: int) -> None:
    subjects = subjects_of(name, layers)
    assert len(subjects) == {"table1": 11, "table2": 5, "plain": 2}[name]
    assert len({subject.name for subject in subjects}) == len(subjects)
    for subject in subjects:
        assert summarise(build(subject.spec, subject.network, subject.parameters)).costs.depth == layers
    assert f"{layers} layers" in set_title(name, layers)


def test_sets_are_the_papers_by_default() -> None:
    assert [subject.network for subject in subjects_of("table1")] == [variant.network for variant in TABLE1.variants]
    assert all(subject.parameters == {"n": 18} for name in SETS for subject in subjects_of(name))


@pytest.mark.parametrize("variant", TABLE1.variants, ids=lambda variant: variant.network)
def test_shortcuts_of_bottlenecks_are_those_of_table_1(variant) -> None:  # type: ignore[no-untyped-def]
    """The unit that the network has most of has the shortcut that its basic unit has, by another way of writing it."""
    (subject,) = [
        each for each in subjects_of("table1", 29) if each.parameters["shortcut"] == SHORTCUTS[variant.network]
    ]
    basic = distinct_units(build(variant.spec, variant.network, {"n": 3}))
    bottlenecks = distinct_units(build(subject.spec, subject.network, subject.parameters))
    kinds = {
        None if unit.shortcut.chain is None else tuple(map(type, unit.shortcut.chain))
        for unit in bottlenecks
        if not unit.changes_shape
    }
    assert kinds == {
        None if unit.shortcut.chain is None else tuple(map(type, unit.shortcut.chain))
        for unit in basic
        if not unit.changes_shape
    }
    if "conv" not in variant.network and "plain" not in variant.network:
        chains = {unit.shortcut.chain for unit in bottlenecks if not unit.changes_shape}
        assert chains == {unit.shortcut.chain for unit in basic if not unit.changes_shape}


@pytest.mark.parametrize(
    ("layers", "help"), [(1002, "`--depth 1001` or `--depth 1004`"), (3, "`--depth 8` or `--depth 11`")]
)
def test_depths_that_there_are_not(layers: int, help: str) -> None:
    with pytest.raises(SpecError) as raised:
        subjects_of("table1", layers)
    assert raised.value.diagnostics[0].code == "unsupported-option"
    assert raised.value.diagnostics[0].help == help


def test_1001_layers_are_of_bottlenecks() -> None:
    assert {subject.spec for subject in subjects_of("table1", 1001)} == {"std/resnet164"}
    assert {subject.parameters["n"] for name in SETS for subject in subjects_of(name, 1001)} == {111}


def test_errors_of_the_paper_are_of_its_own_networks() -> None:
    assert [each.paper for each in subjects_of("table1")][:4] == [6.61, FAIL, FAIL, 12.35]
    assert [each.paper for each in subjects_of("table2", 110)] == [6.61, 8.17, 7.84, 6.71, 6.37]
    for name, layers in (("table1", 20), ("table1", 1001), ("table2", 164), ("table2", 29)):
        assert {each.paper for each in subjects_of(name, layers)} == {None}
