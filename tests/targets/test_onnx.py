"""ONNX models: valid, the same from run to run, and equal to the definition at every opset."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from resdsl import api
from resdsl.diagnostics import SpecError
from resdsl.network.evaluate import evaluate, random_input
from resdsl.network.initial import Weights
from resdsl.network.network import Network
from resdsl.spec import Options, Origin, build, origin
from resdsl.targets.onnx import OPSETS, onnx_bytes, onnx_model
from resdsl.weights import CALIBRATED, network_weights
from tests.conftest import GOLDEN, SPECS

SMALL = ["operators", "nested", "vectors"]


def made(name: str) -> tuple[Network, Weights]:
    network = build(GOLDEN / "specs" / f"{name}.resnet")
    return network, network_weights(network, CALIBRATED)


def run(data: bytes, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(["output"], {"input": x})[0]


@pytest.mark.parametrize("functions", [False, True], ids=["inlined", "functions"])
@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", SMALL)
def test_every_opset_computes_the_definition(name: str, opset: int, functions: bool) -> None:
    network, weights = made(name)
    data = onnx_bytes(network, weights, opset=opset, functions=functions)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    x = random_input(network, 3, 9)
    y64 = evaluate(network, weights, x.astype(np.float64))
    own = np.abs(evaluate(network, weights, x) - y64).max()
    y = run(data, x)
    assert np.isfinite(y).all()
    assert np.abs(y - y64).max() <= 4 * own + 1e-6 * np.abs(y64).max()
    assert np.abs(y[0] - y[1]).max() > 1e-3 * np.abs(y64).max()


@pytest.mark.parametrize("name", SMALL)
def test_batch_is_dynamic(name: str) -> None:
    network, weights = made(name)
    data = onnx_bytes(network, weights)
    x = random_input(network, 5, 2)
    alone = np.concatenate([run(data, part) for part in np.split(x, 5)])
    np.testing.assert_allclose(run(data, x), alone, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("functions", [False, True], ids=["inlined", "functions"])
def test_bytes_are_the_same_in_another_process(functions: bool) -> None:
    code = (
        "import hashlib, resdsl; "
        f"data = resdsl.compile({str(GOLDEN / 'specs' / 'operators.resnet')!r}, 'onnx', functions={functions}); "
        "print(hashlib.sha256(data).hexdigest())"
    )
    digests = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


def test_one_function_for_each_distinct_unit() -> None:
    network = build(SPECS / "preact1001.resnet")
    model = onnx_model(network, network_weights(network), functions=True)
    assert len(model.functions) == 6
    assert sum(node.domain == "resdsl" for node in model.graph.node) == 333


def test_batch_norm_stays_batch_norm() -> None:
    network = build(SPECS / "resnet110.resnet", "preact110")
    kinds = [node.op_type for node in onnx_model(network, network_weights(network)).graph.node]
    assert kinds.count("BatchNormalization") == 2 * 54 + 1
    assert "Mul" not in kinds
    assert "Identity" not in kinds


def test_names_follow_the_state_dict() -> None:
    network = build(SPECS / "resnet110.resnet", "preact110")
    model = onnx_model(network, network_weights(network))
    nodes = {node.name: node for node in model.graph.node}
    assert list(nodes["stage2.0.conv1"].input)[1] == "stage2.0.conv1.weight"
    tensors = {tensor.name for tensor in model.graph.initializer}
    assert set(network_weights(network)) <= tensors


@pytest.mark.parametrize("opset", [16, 25, -1])
def test_other_opsets_are_refused(opset: int) -> None:
    network, weights = made("vectors")
    with pytest.raises(SpecError, match=f"opset {opset} cannot be written"):
        onnx_bytes(network, weights, opset=opset)


def test_an_empty_network_is_the_identity() -> None:
    network = build("resnet 1\nnetwork n { input 3x4x4 }\n")
    x = random_input(network, 2)
    assert np.array_equal(run(onnx_bytes(network, {}), x), x)


# What a model says of itself.


def told(data: bytes) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load_from_string(data).metadata_props}


def test_metadata_say_where_the_model_comes_from() -> None:
    path = SPECS / "resnet110.resnet"
    found = told(
        api.compile(path, "onnx", "resnet110", {"shortcut": "scale(0.5)", "classes": 3}, passes=["fold-batchnorm"])
    )
    assert found == {
        "resdsl.network": "resnet110",
        "resdsl.parameters": '{"classes": "3", "shortcut": "scale(0.5)"}',
        "resdsl.passes": "fold-batchnorm",
        "resdsl.precision": "fp32",
        "resdsl.spec_sha256": sha256(
            f"{sha256(path.read_bytes())}\n{sha256((SPECS / 'units/basic.resnet').read_bytes())}\n".encode()
        ),
    }


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_hash_is_of_all_files_that_the_network_is_made_of(tmp_path: Path) -> None:
    """Its own first, then those that are imported, each once though two files import the last."""
    main = 'resnet 1\nimport "b.resnet"\nimport "a.resnet"\nnetwork n { input 8 stem linear(4) -> relu }\n'
    texts = {"main": main, "b": 'resnet 1\nimport "a.resnet"\nlet y = 2\n', "a": "resnet 1\nlet x = 1\n"}
    for name, text in texts.items():
        (tmp_path / f"{name}.resnet").write_text(text, encoding="utf-8")
    first = origin(tmp_path / "main.resnet").sha256
    assert first == sha256("".join(f"{sha256(text.encode())}\n" for text in texts.values()).encode())
    assert origin(tmp_path / "a.resnet").sha256 == sha256(texts["a"].encode())
    (tmp_path / "a.resnet").write_text("resnet 1\nlet x = 3\n", encoding="utf-8")
    assert origin(tmp_path / "main.resnet").sha256 != first


def test_the_hash_follows_imports_out_of_the_folder_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.resnet").write_text("resnet 1\nlet x = 4\n", encoding="utf-8")
    path = tmp_path / "inner" / "main.resnet"
    path.write_text('resnet 1\nimport "../a.resnet"\nnetwork n { input 8 stem linear(x) -> relu }\n', encoding="utf-8")
    found = told(api.compile(path, "onnx", options=Options(root=tmp_path)))
    assert len(found["resdsl.spec_sha256"]) == 64


def test_metadata_do_not_tell_how_the_spec_was_given(tmp_path: Path) -> None:
    path = GOLDEN / "specs" / "vectors.resnet"
    (tmp_path / "copy.resnet").write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    data = api.compile(path, "onnx")
    assert data == api.compile(path.read_text(encoding="utf-8"), "onnx")
    assert data == api.compile(tmp_path / "copy.resnet", "onnx")


def test_parameters_are_told_as_the_language_writes_them() -> None:
    path = SPECS / "imagenet_basic.resnet"
    first, again = (
        Origin(origin(path).sha256, dict(origin(path, given).parameters))
        for given in ({"image": (3, 64, 64), "classes": 5}, {"image": "3x64x64", "classes": " 5"})
    )
    assert first == again
