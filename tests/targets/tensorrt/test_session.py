"""Engines with the face of an ONNX model's session, and which of both is opened. The library and the GPU are a stand-in's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import resdsl
from resdsl.diagnostics import SpecError
from resdsl.targets.endings import is_compiled, is_engine
from resdsl.targets.model import best_batch, least_batch, notes_of, open_model, runtime_of
from resdsl.targets.onnx_session import Session
from resdsl.targets.tensorrt.options import Builder
from resdsl.targets.tensorrt.session import EngineSession, open_session
from tests.targets.tensorrt.stand_in import SAMPLE, Stage, expected, play, write_engine

SPEC = "resnet 1\nnetwork small { input 3x2x2 head avgpool -> linear(5) }\n"


def error(call: Callable[[], object]) -> str:
    with pytest.raises(SpecError) as raised:
        call()
    return str(raised.value)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    monkeypatch.chdir(tmp_path)
    write_engine(Path("small.engine"))
    return play(monkeypatch, device="cpu:0")


def test_it_computes(stage: Stage) -> None:
    session = open_session("small.engine")
    x = session.random(3)
    assert (x.shape, x.dtype) == ((3, *SAMPLE), np.float32)
    assert not np.array_equal(x, session.random(3, seed=1))
    found = session.run(x)
    assert list(found) == ["output"]
    np.testing.assert_allclose(found["output"], expected(x), rtol=1e-6)


def test_an_array_that_is_read_alone_is_computed_without_a_warning(stage: Stage) -> None:
    session = open_session("small.engine")
    x = session.random(2)
    x.flags.writeable = False
    np.testing.assert_allclose(session.run(x)["output"], expected(x), rtol=1e-6)
    session.call(x)()


def test_what_is_timed_stays_on_the_gpu_and_is_waited_for(stage: Stage) -> None:
    session = open_session("small.engine")
    call = session.call(session.random(2))
    stage.calls.clear()
    assert call() is None
    call()
    once = ["wait", "execute", "wait", "synchronize"]
    assert [each[0] for each in stage.calls] == once * 2
    assert stage.asked("synchronize") == [("default",)] * 2


def test_what_it_takes(stage: Stage) -> None:
    session = open_session("small.engine")
    assert (session.name, session.input.name, session.input.shape) == ("small.engine", "input", ("batch", *SAMPLE))
    assert [(port.name, port.shape) for port in session.outputs] == [("output", ("batch", 5))]
    x = session.random(1)
    np.testing.assert_array_equal(session.fitted(x[0], "x.npy"), x)
    assert session.fitted(x.astype(np.float64), "x.npy").dtype == np.float32
    said = error(lambda: session.fitted(session.random(9), "x.npy"))
    assert said.startswith(
        "error[wrong-input]: x.npy has a batch of 9, and small.engine takes batches of 1 to 8\n = help"
    )
    said = error(lambda: session.fitted(np.zeros((1, 3, 2, 3), np.float32), "x.npy"))
    assert said.endswith("x.npy holds (1, 3, 2, 3), and small.engine takes (batch, 3, 2, 2) as input")
    assert "x.npy holds uint8" in error(lambda: session.fitted(np.zeros((1, *SAMPLE), np.uint8), "x.npy"))


def test_an_engine_of_one_batch_size_says_so(stage: Stage) -> None:
    session = open_session(write_engine(Path("four.engine"), batch=(4, 4, 4)))
    assert session.input.shape == (4, *SAMPLE)
    assert (least_batch(session), best_batch(session)) == (4, 4)
    said = error(lambda: session.fitted(np.zeros((2, *SAMPLE), np.float32), "x.npy"))
    assert said.endswith("x.npy holds (2, 3, 2, 2), and four.engine takes (4, 3, 2, 2) as input")


def test_no_memory_for_the_output(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session("small.engine")
    x = session.random(1)
    call = session.call(x)

    def empty(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nmore")

    monkeypatch.setattr(torch, "empty", empty)
    for attempt in (call, lambda: session.run(x)):
        said = error(attempt)
        assert said.startswith(
            "error[out-of-memory]: small.engine finds no memory on the GPU: CUDA out of memory. Tried "
        )
        assert said.endswith("9 GiB.\n = help: a smaller batch")


def test_the_ending_says_what_is_opened(stage: Stage) -> None:
    assert [name for name in ("a.engine", "B.PLAN", "a.onnx", "engine", "a.engine.json", "") if is_engine(name)] == [
        "a.engine",
        "B.PLAN",
    ]
    assert [
        name for name in ("a.engine", "a.ONNX", "a.resnet", "std/resnet50", "a.onnx.data") if is_compiled(name)
    ] == [
        "a.engine",
        "a.ONNX",
    ]
    write_engine(Path("small.plan"))
    for name in ("small.engine", "small.plan"):
        assert isinstance(open_model(name), EngineSession)
    onnx = resdsl.compile(SPEC, "onnx")
    Path("small.onnx").write_bytes(onnx)
    for model in ("small.onnx", onnx):
        assert isinstance(open_model(model, name="small"), Session)


def test_what_differs_between_runtimes_is_asked_for(stage: Stage) -> None:
    engine, onnx = open_model("small.engine"), open_model(resdsl.compile(SPEC, "onnx"))
    assert str(runtime_of(engine)) == "TensorRT 10.16.1.11 on NVIDIA H100"
    assert str(runtime_of(onnx)).startswith("ONNX Runtime 1.")
    assert str(runtime_of(onnx)).endswith(" on cpu")
    assert (least_batch(engine), best_batch(engine)) == (1, 4)
    assert (least_batch(onnx), best_batch(onnx)) == (1, 1)
    assert notes_of(engine) == notes_of(onnx) == ()


def test_an_rtx_engine_is_named_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play(monkeypatch, Builder.RTX, gpu="NVIDIA L4", capability=(8, 9))
    path = write_engine(tmp_path / "small.engine", Builder.RTX)
    assert str(runtime_of(open_model(path))) == "TensorRT for RTX 1.7.1.116 on NVIDIA L4"
