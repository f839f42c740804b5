"""Engines run. The library and the GPU are a stand-in's, but in the last tests, where the real TensorRT for RTX is there."""

from __future__ import annotations

import gc
import inspect
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from resdsl.cli import main
from resdsl.diagnostics import SpecError
from resdsl.spec import Options, origin
from resdsl.targets.tensorrt import Engine
from resdsl.targets.tensorrt.engine import KEPT_GRAPHS
from resdsl.targets.tensorrt.options import Builder
from resdsl.targets.tensorrt.sidecar import Tensor
from tests.targets.tensorrt.stand_in import (
    CLASSES,
    SAMPLE,
    Stage,
    Stream,
    expected,
    library,
    play,
    play_gpu,
    sidecar,
    write_engine,
)

SPEC = """\
resnet 1
network small(width = 4) { input 3x8x8 stem conv(3x3, width) -> bn -> relu head avgpool -> linear(5) }
"""


def samples(batch: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((batch, *SAMPLE), np.float32))


def error(call: Callable[[], object]) -> str:
    with pytest.raises(SpecError) as raised:
        call()
    return str(raised.value)


def opened(builder: Builder = Builder.TENSORRT, *, cuda_graph: bool = False, **fields: Any) -> Engine:
    return Engine.from_bytes(b"stand-in", sidecar(builder, **fields), cuda_graph=cuda_graph)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return play(monkeypatch)


# Calls


def test_nothing_is_copied_on_the_gpu(stage: Stage) -> None:
    x = samples()
    y = opened()(x)
    np.testing.assert_allclose(y.numpy(), expected(x.numpy()), rtol=1e-6)
    ((_, taken, given),) = stage.asked("execute")
    assert (taken, given) == (x.data_ptr(), y.data_ptr())
    assert not y.requires_grad


def test_every_call_has_an_output_of_its_own(stage: Stage) -> None:
    engine, first, second = opened(), samples(seed=1), samples(seed=2)
    y, z = engine(first), engine(second)
    np.testing.assert_allclose(y.numpy(), expected(first.numpy()), rtol=1e-6)
    np.testing.assert_allclose(z.numpy(), expected(second.numpy()), rtol=1e-6)


def test_an_input_that_is_not_contiguous_is_copied(stage: Stage) -> None:
    wide = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 2, 4), np.float32))
    for x in (wide[..., ::2], samples().contiguous(memory_format=torch.channels_last)):
        stage.calls.clear()
        np.testing.assert_allclose(opened()(x).numpy(), expected(x.numpy()), rtol=1e-6)
        assert stage.asked("execute")[0][1] != x.data_ptr()


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_an_input_on_the_cpu_is_copied_there_and_back(monkeypatch: pytest.MonkeyPatch, cuda_graph: bool) -> None:
    stage = play(monkeypatch, device="cpu:0")
    x = samples()
    y = opened(cuda_graph=cuda_graph)(x)
    np.testing.assert_allclose(y.numpy(), expected(x.numpy()), rtol=1e-6)
    assert stage.asked("execute")[0][1] != x.data_ptr()
    assert y.device == x.device


def test_it_is_ordered_behind_the_current_stream_and_before_what_follows(stage: Stage) -> None:
    """On a stream of its own, and so never on the default one; calls from two streams meet there."""
    engine, x = opened(), samples()
    stage.calls.clear()
    engine(x)
    with torch.cuda.stream(Stream(stage, "other", 7)):
        engine(x)
    calls = [call[:3] if call[0] == "wait" else call[:2] for call in stage.calls]
    once = lambda current: [("wait", "own1", current), ("execute", 101), ("wait", current, "own1")]  # noqa: E731
    assert calls == [*once("default"), *once("other")]


def test_what_follows_waits_for_a_call_that_fails_too(stage: Stage) -> None:
    engine = opened()
    stage.fails["execute"] = "no such kernel"
    assert error(lambda: engine(samples())) == "error[engine-failed]: small cannot be computed: no such kernel"
    assert stage.calls[-1] == ("wait", "default", "own1")
    stage.fails["set_input_shape"] = "no such shape"
    assert "small cannot be computed: no such shape" in error(lambda: engine(samples()))


def test_an_earlier_error_is_no_reason(stage: Stage) -> None:
    """The library may log one that keeps nothing from being done."""
    engine = opened()
    for name in ("context", "set_input_shape", "execute"):
        stage.say("an earlier one")
        stage.fails[name] = f"no such {name}"
        said = error(engine.information if name == "context" else lambda: engine(samples()))
        assert said == f"error[engine-failed]: small cannot be computed: no such {name}"


def test_an_earlier_error_is_no_reason_of_a_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = play(monkeypatch, Builder.RTX, capability=(8, 9))
    engine = opened(Builder.RTX, cuda_graph=True)
    engine(samples())
    stage.say("an earlier one")
    stage.fails["execute"] = "no such kernel"
    assert error(lambda: engine(samples())) == "error[engine-failed]: small cannot be computed: no such kernel"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("an illegal memory access was encountered", "engine-failed"),
        ("Cuda Runtime (out of memory)", "out-of-memory"),
        ("Requested amount of GPU memory (9 bytes) could not be allocated", "out-of-memory"),
    ],
)
def test_what_is_no_lack_of_memory(stage: Stage, said: str, code: str) -> None:
    engine = opened()
    stage.fails["execute"] = said
    assert error(lambda: engine(samples())).startswith(f"error[{code}]: ")


def test_a_call_is_finished_before_its_engine_goes(stage: Stage) -> None:
    engine = opened()
    engine(samples())
    stage.calls.clear()
    del engine
    gc.collect()
    assert stage.calls == [("synchronize", "own1"), ("dropped",)]


def test_an_engine_goes_in_silence_where_cuda_is_broken(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception there would be printed, or be a warning, which fails the test."""

    def synchronize(stream: Stream) -> None:
        stage.calls.append(("asked",))
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Stream, "synchronize", synchronize)
    engine = opened()
    del engine
    gc.collect()
    assert stage.asked("asked") == [()]


def test_threads_take_turns(stage: Stage) -> None:
    """The stand-in's context asserts that shape, addresses and execution come from one thread, and takes its time between."""
    engine, wrong = opened(), []

    def work(seed: int) -> None:
        for _ in range(50):
            x = samples(1 + seed, seed)
            if not np.allclose(engine(x).numpy(), expected(x.numpy()), rtol=1e-5):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(stage.asked("execute")) == 200


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_there_are_no_gradients(stage: Stage, cuda_graph: bool) -> None:
    engine, x = opened(cuda_graph=cuda_graph), samples().requires_grad_()
    assert not engine(x).requires_grad
    assert not engine(x).requires_grad


TAKES = "error[wrong-input]: small takes float32 (1 to 8, 3, 2, 2), and is given "


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(2, *SAMPLE, dtype=torch.float16), "float16 (2, 3, 2, 2)\n = help: `x.to(torch.float32)`"),
        (torch.zeros(2, *SAMPLE, dtype=torch.uint8), "uint8 (2, 3, 2, 2)"),
        (torch.zeros(*SAMPLE), "float32 (3, 2, 2)\n = help: `x[None]` is a batch of one sample"),
        (torch.zeros(2, 3, 2, 3), "float32 (2, 3, 2, 3)"),
        (torch.zeros(2, 2, 2, 3), "float32 (2, 2, 2, 3)"),
        (torch.zeros(()), "float32 ()"),
        (torch.zeros(2, *SAMPLE).to_sparse(), "a sparse float32 (2, 3, 2, 2)\n = help: `x.to_dense()`"),
        (torch.zeros(0, *SAMPLE), "float32 (0, 3, 2, 2)\n = help: give it parts"),
        (torch.zeros(9, *SAMPLE), "float32 (9, 3, 2, 2)\n = help: give it parts, or compile it with another `--batch"),
        (torch.zeros(2, *SAMPLE, device="meta"), "a tensor on meta\n = help: the engine is on cpu: `x.to('cpu')`"),
        (np.zeros((2, *SAMPLE), np.float32), "a ndarray\n = help: `torch.from_numpy(x)` makes a tensor of an array"),
    ],
)
def test_what_it_does_not_take(stage: Stage, x: Any, words: str) -> None:
    engine = opened()
    said = error(lambda: engine(x))
    assert said.startswith(TAKES + words)
    assert stage.asked("execute") == []


def test_an_engine_of_one_batch_size(stage: Stage) -> None:
    engine = opened(batch=(4, 4, 4))
    assert engine(samples(4)).shape == (4, CLASSES)
    assert "takes float32 (4, 3, 2, 2), and is given float32 (3, 3, 2, 2)" in error(lambda: engine(samples(3)))


# CUDA graphs


def test_a_graph_is_recorded_once_for_each_batch_size(stage: Stage) -> None:
    engine = opened(cuda_graph=True)
    assert stage.asked("context") == []
    for batch, seed in ((2, 0), (2, 1), (3, 2), (2, 3)):
        x = samples(batch, seed)
        np.testing.assert_allclose(engine(x).numpy(), expected(x.numpy()), rtol=1e-6)
    assert stage.asked("record") == [("own1", "thread_local")] * 2
    assert stage.asked("replay") == [("own1",)] * 4
    assert len(stage.asked("context")) == 2, "what is recorded holds places of its context"
    assert len(stage.asked("execute")) == 4, "once before it is recorded, and once for the record"


def test_the_output_of_a_graph_is_a_copy(stage: Stage) -> None:
    engine, first = opened(cuda_graph=True), samples(seed=1)
    y = engine(first)
    engine(samples(seed=2))
    np.testing.assert_allclose(y.numpy(), expected(first.numpy()), rtol=1e-6)
    assert y.data_ptr() not in {given for _, _, given in stage.asked("execute")}


@pytest.mark.parametrize("first", [False, True])
def test_a_graph_serves_inside_and_outside_of_inference_mode(stage: Stage, first: bool) -> None:
    engine = opened(cuda_graph=True)
    for seed, inside in enumerate((first, not first, first)):
        with torch.inference_mode(inside):
            x = samples(seed=seed)
            np.testing.assert_allclose(engine(x).numpy(), expected(x.numpy()), rtol=1e-6)
    assert len(stage.asked("record")) == 1
    with torch.inference_mode():
        x = samples(seed=3)
    np.testing.assert_allclose(engine(x).numpy(), expected(x.numpy()), rtol=1e-6)


def test_few_graphs_are_kept(stage: Stage) -> None:
    engine = opened(cuda_graph=True)
    for batch in range(1, KEPT_GRAPHS + 1):
        engine(samples(batch))
    engine(samples(1))
    assert (len(stage.asked("record")), stage.asked("synchronize")) == (KEPT_GRAPHS, [])
    engine(samples(KEPT_GRAPHS + 1))
    assert stage.asked("synchronize") == [("own1",)], "nothing is freed that may still run"
    engine(samples(1))
    assert len(stage.asked("record")) == KEPT_GRAPHS + 1, "1 was used after 2, and is still there"
    engine(samples(2))
    assert len(stage.asked("record")) == KEPT_GRAPHS + 2


def test_what_cannot_be_recorded(stage: Stage) -> None:
    engine = opened(cuda_graph=True)
    stage.fails["record"] = "CUDA error: operation not permitted when stream is capturing\nmore"
    said = error(lambda: engine(samples()))
    assert said == (
        "error[engine-failed]: small cannot be recorded as a CUDA graph: CUDA error: operation not permitted when stream is "
        "capturing\n = help: open it without CUDA graphs"
    )
    np.testing.assert_allclose(engine(samples()).numpy(), expected(samples().numpy()), rtol=1e-6)


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_tensorrt_for_rtx_records_by_itself(monkeypatch: pytest.MonkeyPatch, cuda_graph: bool) -> None:
    stage = play(monkeypatch, Builder.RTX, capability=(8, 9))
    engine = opened(Builder.RTX, cuda_graph=cuda_graph)
    for seed in (0, 1):
        x = samples(seed=seed)
        np.testing.assert_allclose(engine(x).numpy(), expected(x.numpy()), rtol=1e-6)
    assert (stage.asked("record"), stage.asked("replay")) == ([], [])
    ((config,),) = stage.asked("context")
    assert config.dynamic_shapes_kernel_specialization_strategy.name == "EAGER"
    assert config.cuda_graph_strategy.name == ("WHOLE_GRAPH_CAPTURE" if cuda_graph else "DISABLED")
    addresses = {(taken, given) for _, taken, given in stage.asked("execute")}
    assert len(addresses) == (1 if cuda_graph else 2)


# What is known of it


def test_what_is_known_of_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = play(monkeypatch, gpu="NVIDIA H200")
    engine = Engine.from_bytes(memoryview(b"stand-in"), sidecar(), name="model.engine")
    assert (engine.name, engine.version, str(engine.gpu)) == (
        "model.engine",
        "10.16.1.11",
        "NVIDIA H200, compute capability 9.0",
    )
    assert engine.device_memory == 4096
    assert engine.notes == (
        "model.engine was built on NVIDIA H100, and its kernels were chosen there; this is NVIDIA H200, compute capability 9.0",
    )
    assert stage.asked("deserialise") == [(b"stand-in", False)]
    assert json.loads(engine.information())["shape"] == [4, *SAMPLE], "formats are known for a shape alone"


def test_an_engine_with_a_runtime_of_its_own_may_run_that(stage: Stage) -> None:
    opened(version_compatible=True)
    assert stage.asked("deserialise") == [(b"stand-in", True)]


def test_an_engine_from_its_file(stage: Stage, tmp_path: Path) -> None:
    path = write_engine(tmp_path / "model.engine")
    x = samples()
    np.testing.assert_allclose(Engine.load(path)(x).numpy(), expected(x.numpy()), rtol=1e-6)
    assert Engine.load(str(path)).name == str(path)


# What is refused


def test_an_engine_of_another_spec(stage: Stage, tmp_path: Path) -> None:
    path = write_engine(tmp_path / "model.engine", origin=origin(SPEC, {"width": 6}))
    assert Engine.load(path, spec=SPEC, network="small", parameters={"width": 6}).sidecar.parameters == {"width": "6"}
    assert Engine.load(path, spec=SPEC, parameters={"width": "6"}).notes == ()
    help = "\n = help: `resdsl compile --target trt` builds the engine of this spec"
    name = f"error[wrong-engine]: {path} was built "
    said = error(lambda: Engine.load(path, spec=SPEC + "\n", parameters={"width": 6}))
    assert said == f"{name}from another spec, or another state of it{help}"
    said = error(lambda: Engine.load(path, spec=SPEC))
    as_written = "\n = help: parameters are compared as they are written: write the same ones, or `resdsl compile"
    assert said.startswith(f"{name}with -p width=6, and no parameters is asked for{as_written}")
    said = error(lambda: Engine.load(path, spec=SPEC, parameters={"width": "(6)"}))
    assert said.startswith(f"{name}with -p width=6, and -p width=(6) is asked for{as_written}")
    said = error(lambda: Engine.load(path, spec=SPEC, network="large", parameters={"width": 6}))
    assert said == f"{name}from the network small, and large is asked for{help}"
    unknown = write_engine(tmp_path / "unknown.engine")
    assert "was built from another spec" in error(lambda: Engine.load(unknown, spec=SPEC))


def test_an_engine_of_a_spec_that_imports_from_elsewhere(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "unit.resnet").write_text("resnet 1\nunit u(w) { branch conv(3x3, w) }\n")
    spec = tmp_path / "specs" / "small.resnet"
    spec.write_text(SPEC.replace("resnet 1\n", 'resnet 1\nimport "../unit.resnet"\n'))
    options = Options(root=tmp_path)
    path = write_engine(tmp_path / "model.engine", origin=origin(spec, options=options))
    assert Engine.load(path, spec=spec, options=options).notes == ()
    assert "error[wrong-engine]" not in error(lambda: Engine.load(path, spec=spec))


@pytest.mark.parametrize(
    ("fields", "here", "words"),
    [
        (
            {"version": "10.15.0.1"},
            {},
            "small was built with TensorRT 10.15.0.1, and 10.16.1.11 is installed\n"
            " = help: it runs in 10.15.0.1: `pip install 'tensorrt==10.15.0.1'`, or compile it again",
        ),
        ({"version": "11.0.0.1", "version_compatible": True}, {}, "it runs in 11.0.0.1 and later ones of TensorRT 11: `pip install"),
        ({"platform": "windows amd64"}, {}, "small was built for windows amd64, and this is "),
        (
            {},
            {"gpu": "NVIDIA L4", "capability": (8, 9)},
            "small was built for NVIDIA H100, compute capability 9.0, and this is NVIDIA L4, compute capability 8.9\n"
            " = help: compile it on this GPU",
        ),
        ({"inputs": (Tensor("a", "float32", (1,)), Tensor("b", "float32", (1,)))}, {}, "small has 2 inputs and 1 outputs"),
    ],
    ids=["version", "later version", "platform", "GPU", "two inputs"],
)  # fmt: skip
def test_an_engine_that_does_not_run_here(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], here: dict[str, Any], words: str
) -> None:
    stage = play(monkeypatch, **here)
    assert words in error(lambda: opened(**fields))
    assert stage.asked("deserialise") == []


def test_a_version_compatible_engine_runs_in_later_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, version="11.1.0.3")
    assert opened(version_compatible=True)(samples()).shape == (2, CLASSES)


@pytest.mark.parametrize(
    ("where", "said", "words"),
    [
        ("deserialise", "Magic tag does not match", ": Magic tag does not match\n = help: compile it again on this"),
        ("runtime", "CUDA initialization failure with error: 35", ": CUDA initialization failure with error: 35\n"),
        ("runtime", "", ": pybind11::init(): factory function returned nullptr\n"),
        ("deserialise", "", ": it does not say why\n"),
        (
            "deserialise",
            "cudaError 35: CUDA driver version is insufficient for CUDA runtime version",
            "help: update the driver (https://www.nvidia.com/drivers): TensorRT 10.16.1.11 needs a newer one",
        ),
        ("deserialise", "Requested amount of GPU memory could not be allocated", "`nvidia-smi` shows what fills"),
        ("deserialise", "an illegal memory access was encountered", "help: compile it again on this machine"),
    ],
)
def test_an_engine_that_the_library_does_not_open(stage: Stage, where: str, said: str, words: str) -> None:
    stage.fails[where] = said
    found = error(opened)
    assert found.startswith("error[wrong-engine]: TensorRT 10.16.1.11 does not open small: ")
    assert words in found


def test_no_memory_for_a_context(stage: Stage) -> None:
    stage.fails["context"] = "Requested amount of GPU memory (9 bytes) could not be allocated"
    said = error(opened)
    assert said.startswith("error[out-of-memory]: small finds no memory on the GPU: Requested amount of GPU memory (9 ")


def test_without_the_library(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    help = "pip install 'resdsl[trt]', on a machine with an NVIDIA GPU"
    assert error(opened) == f"error[missing-library]: this needs TensorRT, which is not installed\n = help: {help}"


def test_without_pytorch(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    said = error(opened)
    assert said.startswith("error[missing-library]: running small needs an NVIDIA GPU, and PyTorch, which")
    assert said.endswith("help: on a machine with a GPU: pip install 'resdsl[torch]'")


def test_pytorch_without_cuda(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    said = error(opened)
    assert said.startswith("error[missing-gpu]: running small needs an NVIDIA GPU, and this PyTorch (")
    assert "computes without CUDA\n = help: on a machine with one: `pip install --force-reinstall torch`" in said


@pytest.mark.parametrize(
    ("raised", "start"),
    [
        (
            "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by downloading …",
            "error[old-driver]: running small needs an NVIDIA GPU, and its driver is too old for this PyTorch: "
            "The NVIDIA driver on your system is too old (found version 11040)\n = help: update the driver",
        ),
        (
            "No CUDA GPUs are available",
            "error[missing-gpu]: running small needs an NVIDIA GPU, and PyTorch finds none: No CUDA GPUs are available\n"
            " = help: `nvidia-smi` shows",
        ),
    ],
)
def test_without_a_gpu(stage: Stage, monkeypatch: pytest.MonkeyPatch, raised: str, start: str) -> None:
    def init() -> None:
        raise RuntimeError(raised)

    monkeypatch.setattr(torch.cuda, "init", init)
    assert error(opened).startswith(start)


# The real library


def test_the_stand_in_has_the_names_of_the_real_library() -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="the real library's names are those of TensorRT for RTX")
    played = {name: each for name, each in vars(library(Stage(), Builder.RTX)).items() if isinstance(each, type)}
    own = {"engine", "config", "shape", "addresses", "thread", "logger"}
    names = [
        (kind, name)
        for kind, each in played.items()
        for name in vars(each)
        if not name.startswith("_") and name not in own
    ]
    assert ("IExecutionContext", "execute_async_v3") in names
    assert [(kind, name) for kind, name in names if not hasattr(getattr(trt, kind), name)] == []
    assert "runtime_config: " in trt.ICudaEngine.create_execution_context.__doc__


def test_the_stand_in_has_the_names_of_pytorch() -> None:
    """As far as a PyTorch without CUDA has them: `Stream.cuda_stream` is in the others alone."""
    for kind, names in (("Stream", ("wait_stream", "synchronize")), ("CUDAGraph", ("replay",))):
        assert [name for name in names if not hasattr(getattr(torch.cuda, kind), name)] == []
    inspect.signature(torch.cuda.graph).bind("graph", stream="stream", capture_error_mode="thread_local")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("tensorrt_rtx", reason="an engine is built by the real TensorRT for RTX, which needs no GPU")
    folder = tmp_path_factory.mktemp("engine")
    (folder / "small.resnet").write_text(SPEC)
    arguments = [
        "compile",
        str(folder / "small.resnet"),
        "-t",
        "trt",
        "--builder",
        "rtx",
        "-o",
        str(folder / "m.engine"),
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return folder / "m.engine"


@pytest.mark.skipif(torch.version.cuda is not None, reason="this PyTorch has CUDA, and the engine may run")
def test_a_real_engine_without_a_gpu(real: Path) -> None:
    said = error(lambda: Engine.load(real, spec=real.parent / "small.resnet"))
    assert said.startswith(f"error[missing-gpu]: running {real} needs an NVIDIA GPU, and this PyTorch (")


@pytest.mark.skipif(torch.version.cuda is not None, reason="this PyTorch has CUDA, and the engine may run")
def test_a_real_engine_where_only_pytorch_finds_a_gpu(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU is a stand-in, the library is not: it says what it lacks."""
    play_gpu(monkeypatch, "NVIDIA L4", (8, 9))
    said = error(lambda: Engine.load(real))
    assert said.startswith("error[wrong-engine]: TensorRT for RTX ")
    assert f" does not open {real}: " in said
    assert "CUDA driver version is insufficient" in said
    assert "\n = help: update the driver" in said
