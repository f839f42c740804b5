"""The tables beside what the specs say of the same networks, in their comments and in themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from resdsl import spec
from resdsl.network.costs import summarise
from resdsl.network.document import to_document
from resdsl.train.reproduce.plan import plan
from resdsl.train.reproduce.tables import FAIL, TABLES, Table, Units, Variant
from tests.conftest import SPECS

VARIANTS = {(table.name, variant.name): variant for table in TABLES.values() for variant in table.variants}
COMMENT = re.compile(r"^network (\w+).*# He et al\. 2016, Table (\d).*: (fail|[\d.]+)(?: %)?$", re.MULTILINE)


def said_by_specs() -> Iterator[tuple[str, str, float | None]]:
    """Network, table, and its error there, None for `fail`."""
    for name in ("resnet110", "resnet164"):
        text = (SPECS / f"{name}.resnet").read_text("utf-8")
        for network, table, figure in COMMENT.findall(text):
            yield network, f"table{table}", None if figure == "fail" else float(figure)


def test_figures_are_those_of_the_specs() -> None:
    said = list(said_by_specs())
    assert len(said) >= 26
    for network, table, figure in said:
        variant = VARIANTS.get((table, network))
        assert variant is not None, (table, network)
        assert variant.figure == (FAIL if figure is None else figure), (table, network)


def test_every_figure_stands_in_a_spec() -> None:
    said = {network for network, _, _ in said_by_specs()}
    assert {name for _, name in VARIANTS} == said


def test_a_network_in_two_tables_has_one_figure() -> None:
    by_name: dict[str, set[object]] = {}
    for (_, name), variant in VARIANTS.items():
        by_name.setdefault(name, set()).add(variant.figure)
    assert {name for name, figures in by_name.items() if len(figures) > 1} == set()


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_names_are_folders_and_are_one_each(table: Table) -> None:
    names = [variant.name for variant in table.variants]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"\w+", name) for name in names)


@pytest.mark.parametrize("name", ["resnet110", "gate_exclusive_5", "preact110_1layer", "preact164", "resnet1001", "preact1001_cifar100"])  # fmt: skip
def test_a_variant_is_the_network_of_its_name(name: str) -> None:
    """Also where it is another one with another `n`, and classes of the data."""
    variant = next(variant for (_, each), variant in VARIANTS.items() if each == name)
    (n,) = (n for n in range(1, 200) if variant.units.layers(n) == variant.layers)
    classes = 100 if variant.data == "cifar100" else 10
    ours = to_document(spec.build(variant.spec, variant.network, {"n": n, "classes": classes}))
    theirs = to_document(spec.build(variant.spec, variant.name))
    for words in ("name", "doc", "spans"):
        ours.pop(words)
        theirs.pop(words)
    assert ours == theirs


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.name)
def test_layers_are_counted_as_they_are(variant: Variant) -> None:
    built = spec.build(variant.spec, variant.network, {"n": 2, "image": "1x8x8", "classes": 3})
    assert summarise(built).costs.depth == variant.units.layers(2)


def test_units() -> None:
    assert (Units.BASIC.layers(18), Units.BOTTLENECK.layers(18), Units.BOTTLENECK.layers(111)) == (110, 164, 1001)
    assert Units.SINGLE.layers(36) == 110


def test_sizes_of_the_tables() -> None:
    sizes = {name: len(plan(table, "cifar10", Path(), seeds=(0,)).rows) for name, table in TABLES.items()}
    assert sizes == {"table1": 11, "table2": 10, "table3": 8}
    assert len(plan(TABLES["table3"], "cifar100", Path(), seeds=(0,)).rows) == 4
