"""The parse tables in the package are those of the grammar."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import lark
import pytest

from resdsl.diagnostics import SpecError
from resdsl.source import Source
from resdsl.syntax import parser
from tests.conftest import GOLDEN, SPECS

TABLES = json.loads(resources.files("resdsl.grammars").joinpath("tables.json").read_text())


def test_tables_are_of_the_grammar() -> None:
    assert TABLES["grammar"] == parser.grammar_digest(parser.grammar_text()), "run tools/make_tables.py"


def test_tables_are_used_with_their_lark() -> None:
    if TABLES["lark"] != lark.__version__:
        pytest.skip(f"the tables are of lark {TABLES['lark']}, and {lark.__version__} is installed")
    assert parser.prepared_tables() is not None


def read(source: Source) -> object:
    try:
        tree = parser.parse_file(source)
    except SpecError as error:
        return str(error)
    return tree, tree.comments


@pytest.mark.parametrize(
    "path", sorted([*SPECS.rglob("*.resnet"), *GOLDEN.rglob("*.resnet")]), ids=lambda path: path.stem
)
def test_the_grammar_itself_says_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(path.name, path.read_text())
    from_tables = read(source)
    parser._cached_lark.cache_clear()
    monkeypatch.setattr(parser, "prepared_tables", lambda: None)
    try:
        assert read(source) == from_tables
    finally:
        parser._cached_lark.cache_clear()
