"""No false alarm: what the linter says of the networks of specs/."""

from __future__ import annotations

from pathlib import Path

import pytest

import resdsl
from resdsl.diagnostics import Severity
from resdsl.linter.run import build_networks
from resdsl.linter.suppressions import suppressions
from resdsl.linter.table import RULES
from resdsl.spec import Options, open_spec
from tests.networks import SPECS

FILES = sorted(SPECS.rglob("*.resnet"))

MEANT = {
    "activation-before-addition": {"relu_before_add110", "relu_before_add164"},
    "single-layer-branch": {"preact110_1layer"},
}
"""Networks whose path is clean, and the rule about something else that they are there to be an example of."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_warning_and_every_suppression_has_a_reason(path: Path) -> None:
    found = resdsl.lint(path)
    assert [each.render() for each in found if each.severity is not Severity.NOTE] == []
    assert [each.render() for each in found if each.code.startswith(("HY", "SU"))] == []
    assert all(allowed.reason for allowed in suppressions(resdsl.parse(path)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_networks_with_a_clean_path_have_no_warnings_even_without_suppressions(path: Path) -> None:
    if path.stem == "n_shortcut":
        pytest.skip("Li et al. vary how deep and how activated a branch is, without norms: all of that is told")
    file, errors = build_networks(open_spec(path), Options())
    assert errors == []
    clean = {network.name for network in file.networks if not network.violations}
    for rule in RULES:
        for finding in rule.check(file):
            if finding.network is not None and finding.network.name in clean - MEANT.get(rule.name, set()):
                assert finding.severity is Severity.NOTE, (finding.network.name, rule.name, finding.message)
                assert rule.code[:2] != "SC", (finding.network.name, rule.name)


def test_there_are_clean_paths() -> None:
    clean = {
        network.name
        for path in FILES
        for network in build_networks(open_spec(path), Options())[0].networks
        if not network.violations
    }
    assert {"preact1001", "preact164", "preact110", "preact200", "wrn_28_10", "rezero110", "convnext_t"} <= clean
    assert not {"resnet110", "scale_half", "plain110", "gate_shortcut", "conv_shortcut", "bn_after_add110"} & clean
