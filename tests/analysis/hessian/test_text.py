from __future__ import annotations

import json

import numpy as np
import pytest

from resdsl import build
from resdsl.analysis.hessian import measure as curved
from resdsl.analysis.hessian.measure import measure_curvature
from resdsl.analysis.hessian.result import Curvature
from resdsl.analysis.hessian.text import document, heading, predicted_for, rows

SAMPLES = (np.array([[1.0, 0], [0, 2]]), np.array([[0.0, 0], [0, -2]]))
"""M = [[0.5, 0], [0, 4]], worked out by hand in the tests of Theorem 2."""


def _measured(n: int = 2, start: str = "zero", units: int = 3) -> Curvature:
    parameters = {"n": n, "units": units, "width": 2, "start": start}
    return measure_curvature(build("std/n_shortcut", "shortcut2", parameters), None, SAMPLES)


def test_rows_by_hand() -> None:
    found = {name: (measured, predicted) for name, measured, predicted in rows(_measured())}
    assert found == {
        "loss": ("4.25", "4.25"),
        "gradient norm": ("0", "0"),
        "largest |eigenvalue|": ("4", "4"),
        "10th percentile": ("0.5", "0.5"),
        "smallest |eigenvalue|": ("0.5", "0.5"),
        "largest / 10th percentile": ("8", "8"),
        "largest / smallest": ("8", "8"),
        "share below 0": ("0.5", "0.5"),
        "eigenvalues that are 0": ("0", "0"),
    }


def test_heading_and_what_is_predicted() -> None:
    assert heading(_measured()) == (
        "shortcut2: 24 parameters, weights initial, 2 samples of arrays, seed 0; all eigenvalues"
    )
    assert predicted_for(_measured()) == "Theorem 2 of Li et al. 2016"
    assert predicted_for(_measured(start="xavier")).endswith("for zero weights")
    other = build("resnet 1\nnetwork one { input 2\nhead linear(2) }\n")
    found = measure_curvature(other, None, SAMPLES)
    assert predicted_for(found) == ""
    assert {predicted for _, _, predicted in rows(found)} == {"–"}
    assert document(found)["prediction"] is None


def test_document_is_json_with_null_for_what_does_not_exist() -> None:
    found = json.loads(json.dumps(document(_measured(n=3)), allow_nan=False))
    assert found["method"] == "exact"
    assert found["spectrum"]["condition"] is None
    assert found["spectrum"]["largest"] == 0
    assert found["eigenvalues"] == [0.0] * 36
    assert found["prediction"]["orders"] == {"loss": 3, "gradient": 2, "hessian": 1}
    assert found["prediction"]["singular_values"] == [4, 0.5]
    assert found["prediction"]["here"] is True


def test_estimates_are_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the absolute eigenvalues are 0.5, so all probes agree on the percentile; on the share below 0 they do not."""
    monkeypatch.setattr(curved, "EXACT_UP_TO", 3)
    found = _measured(units=50)
    assert heading(found).endswith("; the ends of the spectrum and estimates between, by Lanczos")
    cells = {name: measured for name, measured, _ in rows(found)}
    assert cells["largest |eigenvalue|"] == "4"
    assert cells["smallest |eigenvalue|"] == cells["largest / smallest"] == cells["eigenvalues that are 0"] == "–"
    assert cells["10th percentile"] == "about 0.5"
    assert cells["largest / 10th percentile"] == "about 8"
    assert cells["share below 0"].startswith("about 0.")
    estimates = json.loads(json.dumps(document(found), allow_nan=False))["estimates"]
    assert estimates["percentile10"] == pytest.approx({"low": 0.5, "high": 0.5})
    assert 0 < estimates["index"]["error"] < 0.05
    assert json.loads(json.dumps(document(found)))["spectrum"]["percentile10"] is None
    assert any("stimated from 10 random probes of 80 Lanczos steps" in remark for remark in found.remarks)


def test_what_lies_in_a_gap_is_a_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curved, "EXACT_UP_TO", 3)
    network = build("std/n_shortcut", "shortcut2", {"units": 4, "width": 10, "start": "zero"})
    cells = {name: measured for name, measured, _ in rows(measure_curvature(network, None, "digits"))}
    assert cells["10th percentile"] == "about 0.8026 to 0.8432"
    assert cells["largest / 10th percentile"] == "about 1.451 to 1.525"


def test_the_gradient_of_one_layer_stands_beside_its_prediction() -> None:
    """|M| sqrt(units) by Theorem 2: sqrt(0.25 + 16) sqrt(3) = 6.9821."""
    found = {name: (measured, predicted) for name, measured, predicted in rows(_measured(n=1))}
    assert found["gradient norm"] == ("6.9821", "6.9821")


def test_what_is_not_resolved_has_a_reason_and_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curved, "EXACT_UP_TO", 3)
    network = build("std/n_shortcut", "shortcut2", {"units": 4, "width": 10, "start": "xavier"})
    found = measure_curvature(network, None, "digits")
    cells = {name: measured for name, measured, _ in rows(found)}
    assert cells["10th percentile"] == cells["largest / 10th percentile"] == "–"
    assert found.estimates is not None
    least = found.spectrum.largest / found.estimates.percentile10_below
    assert any(f"condition number is above about {least:.2g}." in remark for remark in found.remarks)
    assert json.loads(json.dumps(document(found)))["estimates"]["condition"] is None
