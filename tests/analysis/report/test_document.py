"""What --json writes, held against its schema."""

from __future__ import annotations

import json
import math
from importlib import resources

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from resdsl.analysis.report.document import Json, comparison_document, signal_document, written
from resdsl.train.reproduce.tables import FAIL
from tests.analysis.made_up import made_up

SCHEMA = json.loads(resources.files("resdsl.analysis").joinpath("analysis.schema.json").read_text("utf-8"))


def check(document: Json) -> None:
    Draft202012Validator(SCHEMA).validate(document)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.0, -0.5])
@pytest.mark.parametrize("lengths", [True, False])
def test_signals(factor: float, lengths: bool) -> None:
    signal = made_up(factor=factor, lengths=lengths)
    document = json.loads(written(signal_document(signal)))
    check(document)
    assert [unit["name"] for unit in document["units"]] == list(signal.units)
    first = document["units"][0]
    if factor == 0:
        assert (first["log10_direct"], first["log10_expected"], first["closed_form"]) == (None, None, True)
    elif factor < 0:
        assert (first["log10_expected"], first["closed_form"], first["expected"]["mean"]) == (None, False, None)
    else:
        assert math.isclose(first["log10_direct"], 10 * math.log10(factor), abs_tol=1e-12)
    assert (document["lengths"] is not None) == lengths
    np.testing.assert_allclose([unit["variance_ratio"] for unit in document["units"]], 1 / np.arange(1, 11))


def test_comparisons() -> None:
    named = [("a", made_up(factor=0.0)), ("b", made_up()), ("c", made_up(stages=(1,)))]
    document = json.loads(written(comparison_document(named, {"a": FAIL, "b": 6.6})))
    check(document)
    assert [each["name"] for each in document["networks"]] == ["a", "b", "c"]
    assert document["networks"][0]["ends"]["log10_direct"] is None
    assert document["networks"][1]["ends"]["mean_length"] == 1
    assert [each["paper_error"] for each in document["networks"]] == ["fail", 6.6, None]
    in_stage = [(each["ends"]["log10_direct_in_stage"], each["ends"]["worst_stage"]) for each in document["networks"]]
    assert in_stage == [(None, "stage3"), (pytest.approx(3 * math.log10(0.5)), "stage1"), (None, None)]


def test_the_schema_refuses_what_is_not_written() -> None:
    document = json.loads(written(signal_document(made_up())))
    for change in ({"kind": "other"}, {"more": 1}, {"units": []}, {"form": 2}):
        assert not Draft202012Validator(SCHEMA).is_valid({**document, **change})
    del document["units"][3]["cosine"]
    assert not Draft202012Validator(SCHEMA).is_valid(document)
