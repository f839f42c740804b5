"""What each command prints and writes when all is well."""

from __future__ import annotations

import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.numpy import save_file

import resdsl
from resdsl.cli import COMMANDS, main
from resdsl.network.document import to_json
from resdsl.spec import build
from resdsl.verify import verify
from resdsl.weights import CALIBRATED, network_weights
from tests.conftest import GOLDEN, SPECS

SPEC = str(GOLDEN / "specs" / "vectors.resnet")


def run(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(main, list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"resdsl {command} " in result.output


def test_version() -> None:
    assert run("--version").output == f"resdsl, version {resdsl.__version__}\n"
    done = subprocess.run([sys.executable, "-m", "resdsl", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(resdsl.__version__)


def test_check() -> None:
    result = run("check", SPEC, str(SPECS / "preact1001.resnet"))
    assert (result.exit_code, result.output) == (0, "2 files: no errors\n")


def test_show_json() -> None:
    result = run("show", "std/resnet164", "--network", "preact164", "--json")
    document = json.loads(result.output)
    summary = {key: document[key] for key in ("network", "parameters", "macs", "depth", "units", "input", "output")}
    assert summary == {
        "network": "preact164",
        "parameters": 1_703_258,
        "macs": 244_500_992,
        "depth": 164,
        "units": 54,
        "input": "3x32x32",
        "output": "10",
    }
    assert sum(part["parameters"] for part in document["parts"]) == document["parameters"]
    assert sum(part["macs"] for part in document["parts"]) == document["macs"]


def test_show_draws_a_table_without_colour_codes() -> None:
    result = run("show", "std/preact1001")
    assert "preact1001: 1001 layers, 333 units, 10,327,706 parameters" in result.output
    assert "1,487,849,984" in result.output
    assert "\x1b" not in result.output


def test_show_expanded_is_a_spec_of_the_same_network(tmp_path: Path) -> None:
    text = run("show", "std/preact1001", "--expanded").output
    (tmp_path / "expanded.resnet").write_text(text)
    again = run("show", str(tmp_path / "expanded.resnet"), "--json")
    assert json.loads(again.output)["parameters"] == 10_327_706


def test_compile_json_reads_back(tmp_path: Path) -> None:
    out = tmp_path / "vectors.json"
    assert run("compile", SPEC, "--target", "json", "-o", str(out)).exit_code == 0
    assert build(out) == build(SPEC)
    onnx_out = tmp_path / "from_json.onnx"
    assert run("compile", str(out), "--target", "onnx", "-o", str(onnx_out)).exit_code == 0
    model, direct = onnx.load(onnx_out), onnx.load_from_string(resdsl.compile(SPEC, "onnx"))
    assert model.graph == direct.graph
    assert model.metadata_props != direct.metadata_props, "the document is another text than the spec"


def test_text_goes_to_standard_output_and_binary_to_a_file_named_after_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "class Vectors(nn.Module)" in run("compile", SPEC, "--target", "torch").stdout
    assert list(tmp_path.iterdir()) == []
    result = run("compile", SPEC, "--target", "onnx")
    assert result.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.onnx"]


def test_standard_input_and_output() -> None:
    text = Path(SPEC).read_text()
    done = subprocess.run(
        [sys.executable, "-m", "resdsl", "compile", "-", "--target", "onnx", "-o", "-"],
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    assert done.stdout == resdsl.compile(SPEC, "onnx")
    onnx.checker.check_model(onnx.load_from_string(done.stdout), full_check=True)


def test_parameters_from_the_command_line() -> None:
    result = run(
        "show", "std/resnet110", "--network", "resnet110", "-p", "shortcut=scale(0.5)", "-p", "classes=100", "--json"
    )
    document = json.loads(result.output)
    assert document["output"] == "100"
    assert {part["shortcut"] for part in document["parts"] if part["shortcut"]} == {"scale", "projection pad -> scale"}


def test_writing_keeps_permissions_and_follows_links(tmp_path: Path) -> None:
    target, link = tmp_path / "real.py", tmp_path / "link.py"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    assert run("compile", SPEC, "--target", "torch", "-o", str(link)).exit_code == 0
    assert link.is_symlink()
    assert "class Vectors" in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    fresh = tmp_path / "fresh.py"
    run("compile", SPEC, "--target", "torch", "-o", str(fresh))
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o666 & ~mask
    assert run("compile", SPEC, "--target", "torch", "-o", os.devnull).exit_code == 0
    assert not Path(os.devnull).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh.py", "link.py", "real.py"]


@pytest.mark.parametrize("kind", ["safetensors", "pt", "wrapped", "half"])
def test_weights_from_a_file(kind: str, tmp_path: Path) -> None:
    network = build(SPEC)
    weights = network_weights(network, CALIBRATED, seed=3)
    path = tmp_path / ("weights.safetensors" if kind in ("safetensors", "half") else "weights.pt")
    if kind == "safetensors":
        save_file(weights, path)
    elif kind == "half":
        save_file({name: values.astype(np.float16) for name, values in weights.items()}, path)
    else:
        state = {f"module.{name}" if kind == "wrapped" else name: torch.from_numpy(v) for name, v in weights.items()}
        torch.save({"state_dict": state} if kind == "wrapped" else state, path)
    out = tmp_path / "out.onnx"
    assert run("compile", SPEC, "--target", "onnx", "--weights", str(path), "-o", str(out)).exit_code == 0
    x = np.random.default_rng(0).standard_normal((2, 10), np.float32)
    (y,) = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"]).run(None, {"input": x})
    module = resdsl.load(SPEC, weights=path).eval()
    np.testing.assert_allclose(y, module(torch.from_numpy(x)).detach().numpy(), rtol=1e-4, atol=1e-6)
    expected = resdsl.load(SPEC, weights=CALIBRATED, seed=3).eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(
        y, expected, rtol=1e-2 if kind == "half" else 1e-4, atol=1e-2 if kind == "half" else 1e-6
    )


def test_load_and_onnx_start_from_the_same_numbers() -> None:
    model = onnx.load_from_string(resdsl.compile(SPEC, "onnx", seed=5))
    state = resdsl.load(SPEC, seed=5).state_dict()
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    shared = [name for name in state if name in arrays]
    assert len(shared) == len(state)
    assert all(np.array_equal(state[name].numpy(), arrays[name]) for name in shared)


def test_verify(tmp_path: Path) -> None:
    result = run("verify", SPEC)
    assert result.exit_code == 0
    assert "FAIL" not in result.output
    document = json.loads(run("verify", SPEC, "--json").output)
    assert document["passed"]
    assert {check["target"] for check in document["checks"]} >= {"torch", "torch source", "onnx", "onnx functions"}
    dead = {name: values * 0 for name, values in network_weights(build(SPEC)).items()}
    save_file(dead, tmp_path / "dead.safetensors")
    failed = run("verify", SPEC, "--weights", str(tmp_path / "dead.safetensors"))
    assert failed.exit_code == 1
    assert "the output is the same for different inputs" in failed.output


def test_verify_fails_where_the_output_is_not_finite() -> None:
    network = build(SPEC)
    weights = {name: np.full_like(values, 1e30) for name, values in network_weights(network).items()}
    report = verify(network, weights)
    assert not report.passed
    failed = {check.target for check in report.checks if not check.passed}
    assert {"torch", "onnx"} <= failed
    assert all(math.isnan(check.error or 0.0) for check in report.checks if check.target in ("torch", "onnx"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    assert "_RESDSL_COMPLETE" in run("completion", shell).output


def test_document_is_the_documented_text() -> None:
    assert run("compile", SPEC, "--target", "json").stdout == to_json(build(SPEC))
