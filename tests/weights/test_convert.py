"""Weights of other libraries, without the libraries: what tests/peers shows with them, piece by piece."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from resdsl.cli import main
from resdsl.diagnostics import Diagnostic, SpecError
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors
from resdsl.spec import build
from resdsl.weights.conventions import LIBRARIES, Blocks, Convention, Rule
from resdsl.weights.convert import COUNTER, compiled, convert, convert_by, theirs
from resdsl.weights.foreign import convert_weights
from tests.networks import SPECS
from tests.peers.cases import CASES

CONVENTIONS = {convention.name: convention for family in LIBRARIES.values() for convention in family}
SPEC = str(SPECS / "cifar_options.resnet")
ARGUMENTS = ("--from", "pytorchcv", "--spec", SPEC, "--network", "preact20_b", "-p", "first=input")


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


def test_every_rule_is_the_first_that_fits_a_tensor_of_a_compared_network() -> None:
    used: set[tuple[str, str]] = set()
    for case in CASES:
        built = build(SPECS / f"{case.file}.resnet", case.network, case.parameters)
        convention = next(c for c in LIBRARIES[case.library] if c.family == case.family)
        patterns = [(ours, compiled(ours)) for ours, _ in convention.rules]
        for tensor in network_tensors(built):
            ours = next(ours for ours, pattern in patterns if pattern.match(tensor.name))
            used.add((convention.name, ours))
    assert used == {(convention.name, ours) for convention in CONVENTIONS.values() for ours, _ in convention.rules}


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


ONE = Convention("x", "y", (("a", "b"), ("other", "b")), ())


@pytest.mark.parametrize(
    ("shape", "found"),
    [((2, 3), (2, 3, 1, 1)), ((2, 3, 1, 1), (2, 3)), ((5, 1, 1), (5,)), ((1, 16), (1, 16, 1, 1)), ((), (1,))],
)
def test_axes_of_length_one_at_the_end_come_and_go(shape: tuple[int, ...], found: tuple[int, ...]) -> None:
    numbers = np.arange(math.prod(found), dtype=np.float64).reshape(found)
    converted = convert_by(ONE, {"a.weight": shape}, {"b.weight": numbers})
    assert converted.complete
    assert converted.arrays["a.weight"].shape == shape
    assert np.array_equal(converted.arrays["a.weight"].ravel(), numbers.ravel())


@pytest.mark.parametrize(
    ("shape", "found"),
    [((3, 2), (2, 3)), ((4, 4, 1, 7), (4, 4, 7, 1)), ((5, 1), (1, 5)), ((8, 1, 1, 1), (1, 8, 1, 1)), ((3,), ())],
)
def test_other_axes_do_not(shape: tuple[int, ...], found: tuple[int, ...]) -> None:
    converted = convert_by(ONE, {"a.weight": shape}, {"b.weight": np.zeros(found)})
    assert [unmatched.found for unmatched in converted.misshapen] == [found]


def test_a_tensor_is_used_once() -> None:
    converted = convert_by(ONE, {"a.weight": (2,), "other.weight": (2,)}, {"b.weight": np.zeros(2)})
    assert [(unmatched.name, unmatched.why) for unmatched in converted.missing] == [
        ("other.weight", "b.weight is a.weight already")
    ]


def test_blocks_are_joined_by_rows_and_columns() -> None:
    convention = Convention("x", "y", (("a", Blocks((("rr", "tr"), ("rt", "tt")))),), ())
    parts = {
        f"{name}.weight": np.full((1, 2, 3, 3), float(number)) for number, name in enumerate(("rr", "tr", "rt", "tt"))
    }
    joined = convert_by(convention, {"a.weight": (2, 4, 3, 3)}, parts).arrays["a.weight"]
    assert joined[:, :, 0, 0].tolist() == [[0, 0, 1, 1], [2, 2, 3, 3]]
    for odd in (np.zeros((1, 1, 1, 1)), np.zeros((1, 2, 3, 3), np.int64)):
        assert convert_by(convention, {"a.weight": (2, 4, 3, 3)}, {**parts, "tt.weight": odd}).misshapen


def refused(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, np.ndarray], network: Network, library: str = "pytorchcv"
) -> tuple[Diagnostic, ...]:
    monkeypatch.setattr("resdsl.weights.foreign.read_weights", lambda _: found)
    with pytest.raises(SpecError) as caught:
        convert_weights(network, "theirs.pth", library)
    return caught.value.diagnostics


def test_what_does_not_match_is_said_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    found = library_file(PREACT.rules, network())
    del found["features.stage1.unit2.body.conv1.bn.weight"], found["features.stage1.unit2.body.conv1.bn.running_var"]
    found["output.weight"] = found["output.weight"][:3]
    found["features.extra.weight"] = np.zeros(3)
    found["token"] = np.zeros(3)
    lacks, shape, unused = refused(monkeypatch, found, network())
    assert lacks.message == "theirs.pth lacks 2 tensors of preact20_b, named as pytorchcv's preresnet for CIFAR"
    assert lacks.notes == ("stage1.1.bn1: weight, running_var (looked for features.stage1.unit2.body.conv1.bn)",)
    assert shape.message == "theirs.pth holds 1 tensor of preact20_b in another shape"
    assert shape.notes == ("head_linear: weight (must be 10x64; output.weight is 3x64)",)
    assert unused.notes == ("features.extra: weight", "token")
    assert unused.help == PREACT.visible


def test_another_number_of_classes_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = library_file(PREACT.rules, build(SPECS / "cifar_options.resnet", "preact20_b", {"classes": 7}))
    (shape,) = refused(monkeypatch, found, network())
    assert shape.help == "another number of classes: `-p classes=7`?"


@pytest.mark.parametrize("odd", [np.zeros(()), np.zeros((10, 32))])
def test_other_shapes_of_the_head_are_no_number_of_classes(monkeypatch: pytest.MonkeyPatch, odd: np.ndarray) -> None:
    found = library_file(PREACT.rules, network())
    found["output.weight"] = odd
    assert refused(monkeypatch, found, network())[0].help == PREACT.visible


def test_a_file_of_another_library_or_of_our_own_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    built = build(SPECS / "imagenet_basic.resnet", "resnet18", {"classes": 2})
    found = library_file(CONVENTIONS["torchvision's resnet"].rules, built)
    (unlike,) = refused(monkeypatch, found, built)
    assert unlike.message == "theirs.pth holds 0 of the 102 tensors of resnet18 under names of pytorchcv"
    assert unlike.notes == ("in it are conv1.weight, bn1.weight, bn1.bias, bn1.running_mean, …",)
    assert unlike.help == "its names are those of torchvision: `--from torchvision`"
    own = {tensor.name: np.zeros(tensor.shape) for tensor in network_tensors(built)}
    assert "`--weights` reads the file as it is" in refused(monkeypatch, own, built)[0].help
    assert refused(monkeypatch, {}, built)[0].notes == ("it is empty",)


def test_what_no_tensor_shows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    (hidden,) = refused(monkeypatch, library_file(PREACT.rules, network()), network())
    assert "every tensor has its place, but preact20_b does not compute what pytorchcv's preresnet" in hidden.message
    assert len(hidden.notes) == 1
    assert "`-p first=input`" in hidden.notes[0]


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


def test_the_command_names_what_the_library_has_both_ways(tmp_path: Path) -> None:
    spec = SPECS / "imagenet.resnet"
    rules = CONVENTIONS["pytorchcv's resnet for ImageNet"].rules
    arguments = ("--from", "pytorchcv", "--spec", str(spec), "--network", "resnet50", "-p", "classes=3")
    built = build(spec, "resnet50", {"classes": 3})
    save_file(library_file(rules, built), tmp_path / "theirs.safetensors")
    result = CliRunner().invoke(
        main,
        ["weights", "convert", str(tmp_path / "theirs.safetensors"), *arguments, "-o", str(tmp_path / "o.safetensors")],
    )
    assert result.exit_code == 0, result.output
    assert "strides in its first 1x1; the library has models that" in result.stderr


@pytest.mark.parametrize("out", ["weights.pth", "weights", "folder/"])
def test_the_command_writes_safetensors_only(tmp_path: Path, out: str) -> None:
    save_file(library_file(PREACT.rules, network()), tmp_path / "theirs.safetensors")
    result = CliRunner().invoke(
        main, ["weights", "convert", str(tmp_path / "theirs.safetensors"), *ARGUMENTS, "-o", str(tmp_path / out)]
    )
    assert result.exit_code == 2
    assert "ends in .safetensors" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.safetensors"]
