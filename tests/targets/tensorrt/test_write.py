"""What stands beside an engine that TensorRT built on a GPU, and when what is refused. Builder and GPU are played."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from resdsl.diagnostics import SpecError, fail
from resdsl.spec import build as build_network
from resdsl.spec import origin
from resdsl.targets.precision import Precision
from resdsl.targets.table import Request
from resdsl.targets.tensorrt import write
from resdsl.targets.tensorrt.gpu import Gpu
from resdsl.targets.tensorrt.library import Choice
from resdsl.targets.tensorrt.options import TORCH_OUTPUT, Batch, Builder, EngineOptions, Hardware, Via
from resdsl.targets.tensorrt.sidecar import read_sidecar, to_json
from resdsl.writing import Output, writing

SPEC = "resnet 1\nnetwork small { input 3x8x8 stem conv(3x3, 4) head bn -> relu -> avgpool -> linear(5) }\n"
H200 = Gpu("NVIDIA H200", "9.0")


@pytest.fixture
def built_on(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The GPUs that builders were told to be on."""
    seen: list[Any] = []

    def build_engine(parts: Any, builder: Builder, options: EngineOptions, watcher: Any, gpu: int | None) -> memoryview:
        seen.append(gpu)
        return memoryview(b"engine")

    class Device:
        index = 3

    monkeypatch.setattr(write, "build_engine", build_engine)
    monkeypatch.setattr(write, "require_builder", lambda _: None)
    monkeypatch.setattr(write, "require_gpu", lambda _: H200)
    monkeypatch.setattr(write, "current_device", Device)
    monkeypatch.setattr(write, "version", lambda _: "11.4.0.106")
    return seen


def request(**changes: Any) -> Request:
    options = EngineOptions(
        builder=Builder.TENSORRT,
        batch=Batch(2, 4, 8),
        hardware=Hardware.AMPERE_PLUS,
        version_compatible=True,
        refit=True,
        workspace=64,
        level=4,
        tf32=True,
    )
    given = {"engine": options, "precision": Precision.FP32, "origin": origin(SPEC), **changes}
    return Request(build_network(SPEC), **given)


def test_a_sidecar_says_what_was_asked_for_and_where_it_was_built(built_on: list[Any], tmp_path: Path) -> None:
    built = write.build(request())
    (tmp_path / "m.engine.json").write_text(to_json(built.sidecar))
    read = read_sidecar(tmp_path / "m.engine")
    assert read == built.sidecar
    assert (read.builder, read.version, read.via) == ("tensorrt", "11.4.0.106", "onnx")
    assert (read.gpu, read.compute_capabilities) == ("NVIDIA H200", ("9.0",))
    assert (read.hardware, read.version_compatible, read.refit, read.tf32) == ("ampere+", True, True, True)
    assert (read.workspace, read.level, read.batch) == (64, 4, (2, 4, 8))
    assert read.outputs[0].name == "output"
    assert built_on == [3]
    assert built.notes[0] == (
        "built by TensorRT 11.4.0.106 for GPUs of compute capability 8.0 and later; fp32, batches of 2 to 8, fastest at 4"
    )


def test_torch_tensorrt_calls_its_output_something_else(built_on: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    via_torch = pytest.importorskip("resdsl.targets.tensorrt.via_torch", reason="torch is not installed")
    monkeypatch.setattr(via_torch, "build_through_torch", lambda *_: (b"engine", ()))
    built = write.build(request(engine=EngineOptions(Builder.TENSORRT, Via.TORCH)))
    assert (built.sidecar.via, built.sidecar.outputs[0].name) == ("torch", TORCH_OUTPUT)
    assert built_on == []


def test_a_module_that_stays_in_pytorch_is_one_file(
    built_on: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    via_torch = pytest.importorskip("resdsl.targets.tensorrt.via_torch", reason="torch is not installed")

    def save(*arguments: Any) -> tuple[()]:
        Path(arguments[-1]).write_bytes(b"module")
        return ()

    monkeypatch.setattr(via_torch, "save_through_torch", save)
    with writing(str(tmp_path / "m.ep")) as output:
        written = write.emit_engine(request(engine=EngineOptions(Builder.TENSORRT, Via.TORCH_MODULE)), output)
    assert (written.size, written.beside) == (6, None)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"m.ep": b"module"}


def test_where_no_second_file_can_stand_nothing_is_built(built_on: list[Any]) -> None:
    def refuse(_: str) -> Any:
        raise fail("unwritable", "there is no place beside it")

    with pytest.raises(SpecError, match="there is no place beside it"):
        write.emit_engine(request(), Output(io.BytesIO(), refuse))
    with pytest.raises(SpecError, match="needs a folder to stand in"):
        write.emit_engine(request(), Output(io.BytesIO()))
    assert built_on == []


def test_an_rtx_engine_is_of_no_gpu(built_on: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "choose", lambda _: Choice(Builder.RTX, "TensorRT is not installed"))
    monkeypatch.setattr(write, "require_gpu", lambda _: pytest.fail("a GPU was asked for"))
    built = write.build(request(engine=EngineOptions()))
    assert (built.sidecar.gpu, built.sidecar.compute_capabilities) == (None, ())
    assert built_on == [None]
    assert (
        "(TensorRT is not installed) for RTX GPUs of compute capability 8.0, 8.6, 8.9 and from 12.0 on;"
        in built.notes[0]
    )
