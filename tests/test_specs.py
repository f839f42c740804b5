"""Every network of specs/ goes through every stage and every target."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resdsl.diagnostics import SpecError
from resdsl.network.costs import summarise
from resdsl.network.document import from_json, to_json
from resdsl.network.network import distinct_units
from resdsl.network.operators import Unit
from resdsl.semantics.expand import expand
from resdsl.source import Source
from resdsl.spec import build, check, open_spec
from resdsl.syntax.parser import parse_file
from resdsl.syntax.printer import print_file
from resdsl.targets.table import TARGETS, Request
from resdsl.verify import verify
from resdsl.weights import CALIBRATED, network_weights
from tests.networks import CASES, SPECS, Case, all_networks, is_big

# (parameters, MACs) as the papers' topologies and other libraries' tests give them; MACs where they are published.
PUBLISHED: dict[str, tuple[int, int | None]] = {
    "preact1001:preact1001": (10_327_706, 1_487_849_984),
    "cifar:resnet20": (269_722, None),
    "cifar:preact1202": (19_421_274, None),
    "cifar_options:preact110_b": (1_730_522, None),
    "cifar_options:resnet110_b": (1_730_714, None),
    "cifar_options:preact1202_b": (19_423_834, None),
    "wide_resnet:wrn_28_10": (36_479_194, None),
    "ror:ror3_110": (1_637_690, None),
    "resnet164:resnet164": (1_704_154, 244_500_992),
    "resnet164:preact164": (1_703_258, 244_500_992),
    "resnet164:preact164_cifar100": (1_726_388, None),
    "resnet164:resnet1001": (10_328_602, 1_487_849_984),
    "resnet164:preact1001": (10_327_706, 1_487_849_984),
    "resnet164:preact1001_cifar100": (10_350_836, None),
    "resnet110:resnet110": (1_727_962, None),
    "resnet110:preact110": (1_727_962, None),
    "imagenet:resnet152": (60_192_808, 11_282_415_616),
    "imagenet:preact152": (60_185_128, 11_282_415_616),
    "imagenet:resnet200": (64_673_832, 14_776_270_848),
    "imagenet:preact200": (64_666_152, 14_776_270_848),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    costs = summarise(case.build()).costs
    parameters, macs = PUBLISHED[name]
    assert costs.parameters == parameters
    assert macs is None or costs.macs == macs


@pytest.mark.parametrize(("network", "macs"), [("resnet164", 247_646_720), ("resnet1001", 1_490_995_712)])
def test_macs_with_the_stride_in_the_3x3(network: str, macs: int) -> None:
    assert summarise(build(SPECS / "resnet164.resnet", network, {"stride_3x3": True})).costs.macs == macs


@pytest.mark.parametrize(("network", "macs"), [("resnet152", 11.514e9), ("resnet200", 15.007e9)])
def test_imagenet_macs_with_the_stride_in_the_3x3(network: str, macs: int) -> None:
    found = summarise(build(SPECS / "imagenet.resnet", network, {"stride_3x3": True})).costs.macs
    assert found == pytest.approx(macs, abs=0.5e6)


def test_docstrings_count_right() -> None:
    files: set[str] = set()
    for case in CASES:
        declaration = next(d for d in open_spec(SPECS / case.file).networks() if d.name == case.network)
        stated = re.search(r"([\d,]+)\sparameters", declaration.node.doc)
        if stated:
            files.add(case.file)
            assert int(stated[1].replace(",", "")) == summarise(case.build()).costs.parameters, case.name
    assert files == {case.file for case in CASES}, "each file counts one of its networks at least"


COUNTED_OTHERWISE = {
    "wide_resnet.resnet": "the paper counts projections",
    "ror.resnet": "the paper counts convolutions of shortcuts",
    "highway.resnet": "the paper does not count the output layer",
    "n_shortcut.resnet": "named by the depth of a shortcut",
    "convnext.resnet": "named by size",
    "inception_resnet.resnet": "named by version",
}


@all_networks()
def test_depth_is_what_the_name_says(case: Case) -> None:
    if case.file in COUNTED_OTHERWISE:
        pytest.skip(COUNTED_OTHERWISE[case.file])
    name = re.sub(r"_(1layer|320|cifar100|\d+x\d+d|[5670])$", "", case.network)
    depth = re.search(r"\d+", name.replace("skipinit_16_4", "14"))  # the paper counts projections
    assert summarise(case.build()).costs.depth == (int(depth[0]) if depth else 110)


@all_networks()
def test_document_and_text_mean_the_same_network(case: Case) -> None:
    network = case.build()
    assert from_json(Source("document", to_json(network))) == network
    text = print_file(expand(network))
    assert summarise(build(text)).costs == summarise(network).costs


@pytest.mark.parametrize("path", sorted(SPECS.rglob("*.resnet")), ids=lambda path: path.stem)
def test_spec_has_no_errors_and_prints_back(path: Path) -> None:
    assert check(path) == []
    tree = parse_file(Source(path.name, path.read_text()))
    assert parse_file(Source("printed", print_file(tree))) == tree


@pytest.mark.parametrize("path", sorted(SPECS.rglob("*.resnet")), ids=lambda path: path.stem)
def test_no_spec_is_long(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120


SHOWN_IN_ONE_FILE = "preact1001.resnet"
"""The first example of the README writes its unit out, so that one file shows all there is to see."""


def test_no_spec_repeats_a_unit_of_another() -> None:
    declared: dict[Unit, set[str]] = {}
    for case in CASES:
        if case.file == SHOWN_IN_ONE_FILE:
            continue
        visible = open_spec(SPECS / case.file).visible
        for unit in distinct_units(case.build()):
            declaration = visible.get(unit.name)
            if declaration is not None:
                file = declaration.node.name.span.source.name
                declared.setdefault(replace(unit, name=""), set()).add(file)
    assert len(declared) > 100
    repeated = {unit.label: files for unit, files in declared.items() if len(files) > 1}
    assert not repeated


@all_networks(runs_them=True)
def test_every_target_computes_the_same(case: Case) -> None:
    network = case.small()
    report = verify(network, network_weights(network, CALIBRATED), batch=2)
    assert report.passed, report
    ran = {check.target for check in report.checks if check.error is not None}
    targets = {
        "reference float32",
        "torch float64",
        "torch",
        "torch source",
        "onnx",
        "onnx functions",
        "onnx with passes",
    }
    assert {target for target in ran if not target.startswith("pass ")} == targets


@all_networks(runs_them=True)
def test_every_target_is_written_or_says_why_not(case: Case) -> None:
    network = case.build()
    for target in TARGETS.values():
        if target.name == "trt":
            with pytest.raises(SpecError, match="a second file beside it"):  # tests/targets/tensorrt builds them all
                target.to_bytes(Request(network))
        elif target.name != "onnx" or not is_big(network):
            first = target.to_bytes(Request(network))
            assert first == target.to_bytes(Request(network)), f"{target.name} differs from run to run"
            assert network.name.encode() in first


def test_weights_follow_the_seed() -> None:
    network = build(SPECS / "resnet110.resnet", "resnet110")
    first, again, other = (network_weights(network, None, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["stem_conv.weight"], other["stem_conv.weight"])


ODD_UNITS = """resnet 1
network odd {
    input 16x8x8
    stage reads_what_leads -> shape_changes_after -> gate_inside(16) -> gate_inside(8)
    head  avgpool -> linear(3)
}
unit reads_what_leads { branch pad(32) -> relu -> conv(3x3, 32) shortcut conv(1x1) from activated }
unit shape_changes_after { branch conv(3x3, 16) shortcut conv(1x1) after bn -> pad(32) -> se(4) }
unit gate_inside(width) {
    branch     conv(3x3, width)
    shortcut   partial(0.5, gate(-1)) -> dropout(0.1)
    projection concat(gate(-1), relu) -> conv(1x1)
}
"""


def test_units_whose_shapes_change_in_unusual_places() -> None:
    network = build(ODD_UNITS)
    report = verify(network, network_weights(network, CALIBRATED))
    assert report.passed, report


def test_a_gate_must_have_the_shape_of_the_branch_that_it_scales() -> None:
    unit = "unit u { branch conv(3x3, 32) shortcut gate(-1, branch = true) -> conv(1x1) }"
    with pytest.raises(SpecError, match="the gate has shape 16x8x8, and the branch that it scales gives 32x8x8"):
        build(f"resnet 1\nnetwork n {{ input 16x8x8 stage u }}\n{unit}\n")


@pytest.mark.slow
def test_imagenet_at_its_own_size() -> None:
    """The others run on smaller images."""
    network = build(SPECS / "imagenet.resnet", "preact101")
    assert str(network.input) == "3x224x224"
    report = verify(network, network_weights(network, CALIBRATED), batch=2)
    assert report.passed, report
