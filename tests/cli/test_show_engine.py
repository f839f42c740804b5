"""`resdsl show` of engines. Where layers are shown a stand-in is opened in the place of the engine: opening one takes a GPU."""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from resdsl.cli import main, show_engine
from resdsl.diagnostics import fail
from resdsl.targets.tensorrt import Engine
from resdsl.targets.tensorrt.options import PORTABLE_TEXT, SIDECAR_SUFFIX
from resdsl.targets.tensorrt.sidecar import Sidecar, Tensor, to_json
from tests.conftest import GOLDEN, Golden

DATA = b"an engine"
SIDECAR = Sidecar(
    sha256=hashlib.sha256(DATA).hexdigest(),
    size=3_407_872,
    resdsl="0.1.0",
    builder="tensorrt",
    version="10.16.1.11",
    via="onnx",
    network="preact164",
    spec_sha256="9a3f" * 16,
    parameters={"classes": "10"},
    weights_sha256="77ab" * 16,
    precision="fp16",
    tf32=False,
    passes=("fold-batchnorm", "fold-preactivation"),
    inputs=(Tensor("input", "float32", (3, 32, 32)),),
    outputs=(Tensor("output", "float32", (10,)),),
    batch=(1, 8, 64),
    compute_capabilities=("9.0",),
    gpu="NVIDIA H200",
    platform="linux x86_64",
    level=5,
    workspace=256,
)


class StandIn:
    """What `show` asks of an open engine. notes and device_memory are made up."""

    device_memory = 12_582_912
    notes = ("model.engine was built on another GPU",)
    inspector = "tensorrt10"

    @classmethod
    def from_bytes(cls, engine: bytes, sidecar: Sidecar, *, name: str) -> StandIn:
        assert (engine, sidecar.network, Path(name).name) == (DATA, "preact164", "model.engine")
        return cls()

    def information(self) -> str:
        return (GOLDEN / "inspector" / f"{self.inspector}.json").read_text(encoding="utf-8")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["show", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An engine's file with its sidecar, and the stand-in that is opened for it."""
    monkeypatch.setattr(show_engine, "Engine", StandIn)
    return written(tmp_path, SIDECAR)


def written(folder: Path, sidecar: Sidecar, name: str = "model.engine") -> str:
    path = folder / name
    path.write_bytes(DATA)
    path.with_name(name + SIDECAR_SUFFIX).write_text(to_json(sidecar), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("inspector", ["tensorrt10", "tensorrt11", "myelin", "names_only", "torch"])
def test_text(inspector: str, engine: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "inspector", inspector)
    result = run(engine)
    assert result.exit_code == 0
    golden(f"show/{inspector}.txt", result.stdout)


def test_the_stand_in_has_what_engines_have() -> None:
    for name in ("from_bytes", "information", "device_memory", "notes"):
        assert hasattr(Engine, name), name
    stands_in, real = (set(inspect.signature(each.from_bytes).parameters) for each in (StandIn, Engine))
    assert stands_in <= real


def test_json_has_the_same_and_every_layer(engine: str) -> None:
    result = run(engine, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (document["network"], document["version"], document["batch"]) == ("preact164", "10.16.1.11", [1, 8, 64])
    assert (document["size"], document["device_memory"]) == (3_407_872, 12_582_912)
    assert document["kinds"] == {"CaskConvolution": 4, "Reformat": 1, "PointWiseV2": 1, "MatrixMultiply": 1}
    assert document["fusions"][1] == {
        "operators": "Conv + Add",
        "count": 1,
        "layers": ["stage1.1.conv3 + stage1.1.add"],
    }
    assert [tactic["count"] for tactic in document["convolutions"]] == [2, 2]
    assert document["reformats"] == 1
    assert document["notes"] == ["model.engine was built on another GPU"]
    assert (document["why"], document["help"]) == (None, None)
    assert len(document["layers"]) == sum(document["kinds"].values())
    last = document["layers"][-2]
    assert last["nodes"] == ["stage1.1.conv3", "stage1.1.add"]
    assert last["inputs"][1] == {
        "name": "stage1.0.add",
        "dtype": "float16",
        "dimensions": [8, 64, 32, 32],
        "layout": "Channel major FP16 format where channel % 8 == 0",
    }
    by_tactic = {layer["tactic"] for layer in document["layers"] if layer["kind"] == "CaskConvolution"}
    assert by_tactic == {group["tactic"] for group in document["convolutions"]}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--expanded", []),
        ("--paths", []),
        ("--network", ["preact164"]),
        ("-p", ["classes=10"]),
        ("--root", ["."]),
        ("--max-units", ["5"]),
    ],
)
def test_options_about_specs_are_wrong_use(engine: str, option: str, value: list[str]) -> None:
    result = run(engine, option, *value)
    assert result.exit_code == 2
    assert f"{option}: {engine} is an engine, and this is about specs" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("code", show_engine.ELSEWHERE)
def test_what_keeps_it_from_being_opened_here_stands_in_the_place_of_layers(
    engine: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: Any, **__: Any) -> StandIn:
        raise fail(code, "running model.engine needs what is not here", help="bring it")

    monkeypatch.setattr(StandIn, "from_bytes", closed)
    text, document = run(engine), run(engine, "--json")
    assert (text.exit_code, document.exit_code) == (0, 0)
    assert text.stdout.startswith("preact164: fp16, TensorRT 10.16.1.11, batch 1:8:64\n")
    assert text.stdout.endswith(
        "\nits layers are not shown: running model.engine needs what is not here\n = help: bring it\n"
    )
    found = json.loads(document.stdout)
    assert (found["network"], found["layers"], found["device_memory"]) == ("preact164", None, None)
    assert (found["why"], found["help"]) == ("running model.engine needs what is not here", "bring it")


def test_the_same_fields_with_and_without_layers(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = json.loads(run(engine, "--json").stdout)

    def closed(*_: Any, **__: Any) -> StandIn:
        raise fail("missing-gpu", "there is none")

    monkeypatch.setattr(StandIn, "from_bytes", closed)
    assert json.loads(run(engine, "--json").stdout).keys() == whole.keys()


def test_other_failures_are_errors(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> StandIn:
        raise fail("out-of-memory", "there is no room on the GPU")

    monkeypatch.setattr(StandIn, "from_bytes", full)
    result = run(engine)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[out-of-memory]" in result.stderr


def test_unreadable_layers_are_an_error(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "information", lambda _: "Layers:\nstem_conv\n")
    result = run(engine)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[unreadable-layers]" in result.stderr


def test_an_engine_that_was_replaced(engine: str) -> None:
    Path(engine).write_bytes(DATA + b"!")
    result = run(engine)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[wrong-sidecar]" in result.stderr


def test_a_sidecar_that_is_missing_or_wrong(engine: str) -> None:
    beside = Path(engine + SIDECAR_SUFFIX)
    beside.write_text("{}", encoding="utf-8")
    wrong = run(engine)
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "error[wrong-sidecar]" in wrong.stderr
    beside.unlink()
    missing = run(engine)
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "error[no-sidecar]" in missing.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("there.is.no.engine", "there is no file {}"),
        ("folder.engine", "{} is a folder, and no file"),
        ("NO.PLAN", "there is no file {}"),
    ],
)
def test_no_such_engine(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.engine").mkdir()
    result = run(str(tmp_path / name))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"error[unreadable]: {said.format(tmp_path / name)}\n" in result.stderr


def test_what_an_engine_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show_engine, "Engine", StandIn)
    rtx = replace(
        SIDECAR, builder="rtx", version="1.7.1.116", gpu=None, compute_capabilities=(), parameters={}, level=None
    )
    assert f"  for     {PORTABLE_TEXT}\n" in run(written(tmp_path, rtx)).stdout
    named = replace(rtx, compute_capabilities=("8.9", "12.0"), spec_sha256=None, workspace=None, hardware="ampere+")
    shown = run(written(tmp_path, named)).stdout
    assert "  for     GPUs of compute capability 8.0 and later\n" in shown
    assert "  from    weights 77ab77ab77ab, through onnx, by resdsl 0.1.0\n" in shown
    assert "  options --hardware-compatible ampere+\n" in shown
    assert "  with  " not in shown


def test_a_plan_is_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "from_bytes", lambda *_, **__: StandIn())
    monkeypatch.setattr(show_engine, "Engine", StandIn)
    assert "7 layers:" in run(written(tmp_path, SIDECAR, "model.PLAN")).stdout


def test_an_engine_that_was_really_built_without_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By TensorRT for RTX. PyTorch is told that it has no CUDA, so that the test says the same where there is a GPU."""
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    out = str(tmp_path / "vectors.engine")
    spec = str(GOLDEN / "specs" / "vectors.resnet")
    built = CliRunner().invoke(main, ["compile", spec, "--target", "trt", "--builder", "rtx", "-o", out])
    assert built.exit_code == 0, built.output
    monkeypatch.setattr(torch.version, "cuda", None)
    text, document = run(out), run(out, "--json")
    assert (text.exit_code, text.stderr, document.exit_code) == (0, "", 0)
    assert text.stdout.startswith("vectors: fp32, TensorRT for RTX ")
    assert "\n  input   input float32 10\n  output  output float32 3\n" in text.stdout
    assert "its layers are not shown: " in text.stdout
    assert "needs an NVIDIA GPU" in text.stdout
    found = json.loads(document.stdout)
    assert found["size"] == Path(out).stat().st_size
    assert found["layers"] is None
    assert "computes without CUDA" in found["why"]
