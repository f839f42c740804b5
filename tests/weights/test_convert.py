"""Weights of other libraries, without the libraries: what tests/peers shows with them, piece by piece."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from resdsl.cli import main
from resdsl.diagnostics import SpecError
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors
from resdsl.spec import build
from resdsl.weights import convert_weights
from resdsl.weights.conventions import LIBRARIES, Blocks, Convention, Rule
from resdsl.weights.convert import COUNTER, compiled, convert, convert_by, theirs
from tests.networks import SPECS
from tests.peers.cases import CASES

CONVENTIONS = {convention.name: convention for family in LIBRARIES.values() for convention in family}
ARGUMENTS = ("--from", "pytorchcv", "--spec", str(SPECS / "cifar_options.resnet"), "--network", "preact20_b")


def network() -> Network:
    return build(SPECS / "cifar_options.resnet", "preact20_b")


def library_file(rules: tuple[Rule, ...], network: Network) -> dict[str, np.ndarray]:
    """The tensors that a library's file of this network would hold, with numbers that tell them apart."""
    patterns = [(compiled(ours), names) for ours, names in rules]
    found: dict[str, np.ndarray] = {}
    for number, tensor in enumerate(network_tensors(network)):
        ((name,),) = theirs(tensor.name, patterns)
        found[name] = np.arange(tensor.size, dtype=np.float32).reshape(tensor.shape) + number
        if name.endswith("running_var"):
            found[name.replace("running_var", COUNTER[1:])] = np.array(7)
    return found


PREACT = CONVENTIONS["pytorchcv's preresnet for CIFAR"]


def test_every_rule_is_used_by_a_network_that_a_peer_is_held_equal_to() -> None:
    used: set[tuple[str, str]] = set()
    for case in CASES:
        names = [
            tensor.name
            for tensor in network_tensors(build(SPECS / f"{case.file}.resnet", case.network, case.parameters))
        ]
        for convention in LIBRARIES[case.library]:
            for ours, _ in convention.rules:
                if any(compiled(ours).match(name) for name in names):
                    used.add((convention.name, ours))
    every = {(convention.name, ours) for convention in CONVENTIONS.values() for ours, _ in convention.rules}
    assert every == used


@pytest.mark.parametrize(
    ("ours", "library", "name", "expected"),
    [
        ("stage{s}.{u}.conv{k}", "layer{s}.{u-1}.conv{k}", "stage2.17.conv3.weight", "layer2.16.conv3.weight"),
        ("stage{s}_*.{u}.scale", "features.{2*s-1}.{u+2}.gamma", "stage3_convnext.4.scale", "features.5.6.gamma"),
        ("stem_conv", "conv1", "stem_conv.bias", "conv1.bias"),
    ],
)
def test_rules(ours: str, library: str, name: str, expected: str) -> None:
    assert theirs(name, [(compiled(ours), library)]) == [[expected]]


@pytest.mark.parametrize(
    "name", ["stage1.0.conv1x.weight", "stage1.0.bn1.weight", "xstage1.0.conv1.weight", "stage1.0.conv"]
)
def test_a_rule_fits_whole_names_only(name: str) -> None:
    assert theirs(name, [(compiled("stage{s}.{u}.conv{k}"), "x")]) == []


def test_all_tensors_are_carried_over() -> None:
    found = library_file(PREACT.rules, network())
    conversion = convert(network(), found, "pytorchcv")
    assert conversion.complete
    assert conversion.convention is PREACT
    assert list(conversion.arrays) == [tensor.name for tensor in network_tensors(network())]
    assert np.array_equal(
        conversion.arrays["stage2.0.shortcut_conv.weight"], found["features.stage2.unit1.identity_conv.weight"]
    )


def test_axes_of_length_one_come_and_go_and_others_do_not() -> None:
    rules: tuple[Rule, ...] = (("a", "b"),)
    convention = Convention("x", "y", rules)
    arrays = {"b.weight": np.arange(6.0).reshape(2, 3, 1, 1)}
    linear = convert_by(convention, {"a.weight": (2, 3)}, arrays)
    assert linear.arrays["a.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    turned = convert_by(convention, {"a.weight": (3, 2)}, arrays)
    assert [unmatched.why for unmatched in turned.misshapen] == ["must be 3x2; b.weight is 2x3x1x1"]


def test_blocks_are_joined_by_rows_and_columns() -> None:
    convention = Convention("x", "y", (("a", Blocks((("rr", "tr"), ("rt", "tt")))),))
    parts = {f"{name}.weight": np.full((1, 2, 3, 3), number) for number, name in enumerate(("rr", "tr", "rt", "tt"))}
    joined = convert_by(convention, {"a.weight": (2, 4, 3, 3)}, parts).arrays["a.weight"]
    assert joined[:, :, 0, 0].tolist() == [[0, 0, 1, 1], [2, 2, 3, 3]]
    parts["tt.weight"] = np.zeros((1, 1, 1, 1))
    assert convert_by(convention, {"a.weight": (2, 4, 3, 3)}, parts).misshapen


def test_what_does_not_match_is_said_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    found = library_file(PREACT.rules, network())
    del found["features.stage1.unit2.body.conv1.bn.weight"], found["features.stage1.unit2.body.conv1.bn.running_var"]
    found["output.weight"] = found["output.weight"][:3]
    found["features.extra.weight"] = np.zeros(3)
    monkeypatch.setattr("resdsl.weights.read_weights", lambda _: found)
    with pytest.raises(SpecError) as caught:
        convert_weights(network(), "theirs.pth", "pytorchcv")
    lacks, shape, unused = caught.value.diagnostics
    assert lacks.message == "theirs.pth lacks 2 tensors of preact20_b, named as pytorchcv's preresnet for CIFAR"
    assert lacks.notes == ("stage1.1.bn1: weight, running_var (looked for features.stage1.unit2.body.conv1.bn)",)
    assert shape.notes == ("head_linear: weight (must be 10x64; output.weight is 3x64)",)
    assert unused.notes == ("features.extra: weight",)
    assert "`-p first=input`" in unused.help


def test_libraries_that_are_not_known() -> None:
    with pytest.raises(SpecError, match=r"no names for 'keras'(.|\n)*pytorchcv, timm, torchvision"):
        convert(network(), {}, "keras")


def test_the_command_writes_the_networks_own_tensors(tmp_path: Path) -> None:
    found = library_file(PREACT.rules, network())
    save_file(found, tmp_path / "theirs.safetensors")
    out = tmp_path / "ours.safetensors"
    result = CliRunner().invoke(
        main, ["weights", "convert", str(tmp_path / "theirs.safetensors"), *ARGUMENTS, "-o", str(out)]
    )
    assert result.exit_code == 0, result.output
    written = load_file(out)
    assert written.keys() == {tensor.name for tensor in network_tensors(network())}
    assert np.array_equal(
        written["stage3.2.bn2.running_mean"], found["features.stage3.unit3.body.conv2.bn.running_mean"]
    )
    assert f"the {len(written)} tensors of preact20_b" in result.stderr
    assert "`-p first=input`" in result.stderr


def test_the_command_says_all_that_does_not_match_and_writes_nothing(tmp_path: Path) -> None:
    found = {name: array for name, array in library_file(PREACT.rules, network()).items() if "stage3" not in name}
    save_file(found, tmp_path / "theirs.safetensors")
    out = tmp_path / "ours.safetensors"
    result = CliRunner().invoke(
        main, ["weights", "convert", str(tmp_path / "theirs.safetensors"), *ARGUMENTS, "-o", str(out)]
    )
    assert result.exit_code == 1
    layers = {
        tensor.name.rpartition(".")[0] for tensor in network_tensors(network()) if tensor.name.startswith("stage3.")
    }
    assert len(layers) > 10
    assert all(f" = {layer}: " in result.stderr for layer in layers)
    assert not out.exists()
