"""Models open in ONNX Runtime; what only a machine with a GPU has is played by a module of that name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
import pytest
from click.testing import CliRunner

import resdsl
from resdsl.cli import main
from resdsl.diagnostics import SpecError
from resdsl.network.evaluate import evaluate
from resdsl.spec import build
from resdsl.targets.onnx_provider import DISTRIBUTIONS, Provider, plain
from resdsl.targets.onnx_session import Session, open_model
from resdsl.weights import network_weights

SPEC = """\
resnet 1
network small { input 3x8x8 stem conv(3x3, 4) -> bn -> relu head avgpool -> linear(5) }
"""
CUDA_LOG = (
    "\x1b[1;31m2026-11-21 16:37:56.512541571 [E:onnxruntime:Default, provider_bridge_ort.cc:2458 operator()] "
    "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 onnxruntime::Provider& "
    "onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library "
    "/venv/onnxruntime/capi/libonnxruntime_providers_cuda.so with error: {}: cannot open shared object file: "
    "No such file or directory\n\x1b[m\n"
)
"""As ONNX Runtime 1.31 writes it on a machine without CUDA."""


def identity(taken: str, given: str | None = None) -> bytes:
    """A model that gives what it takes; types as ONNX's text has them, such as `float[N, 3] x`."""
    given = given or taken.rpartition(" ")[0]
    text = f'<ir_version: 8, opset_import: ["" : 17]> g ({taken}) => ({given} y) {{ y = Identity(x) }}'
    return onnx.parser.parse_model(text).SerializeToString()


def error(call: Callable[[], object]) -> str:
    with pytest.raises(SpecError) as raised:
        call()
    return str(raised.value)


@pytest.fixture(scope="module")
def small() -> Session:
    return open_model(resdsl.compile(SPEC, "onnx", weights="random-calibrated"), name="small", threads=1)


def test_computes_what_the_network_does(small: Session) -> None:
    x = small.random(3)
    assert (x.shape, x.dtype) == ((3, 3, 8, 8), np.float32)
    assert not np.array_equal(x, small.random(3, seed=1))
    network = build(SPEC)
    expected = evaluate(network, network_weights(network, "random-calibrated"), x.astype(np.float64))
    found = small.run(x)
    assert list(found) == ["output"]
    np.testing.assert_allclose(found["output"], expected, rtol=1e-4, atol=1e-5)
    assert small.call(x)() is None


def test_says_what_it_is_and_where_it_runs(small: Session, tmp_path: Path) -> None:
    assert (small.name, small.provider, small.providers) == ("small", Provider.CPU, ("CPUExecutionProvider",))
    assert small.nodes is not None
    assert set(small.nodes) == {"CPUExecutionProvider"}
    assert (small.input.name, small.input.shape) == ("input", ("batch", 3, 8, 8))
    path = tmp_path / "identity.onnx"
    path.write_bytes(identity("float[N, 3] x"))
    assert open_model(path).name == str(path)


def test_one_sample_is_a_batch_of_one(small: Session) -> None:
    x = small.random(1)
    np.testing.assert_array_equal(small.fitted(x[0], "x"), x)
    assert small.fitted(x.astype(np.float64), "x").dtype == np.float32
    np.testing.assert_array_equal(small.fitted(x.astype(ml_dtypes.bfloat16), "x"), x.astype(ml_dtypes.bfloat16))
    assert small.fitted(x.transpose(0, 1, 3, 2), "x").flags.c_contiguous


@pytest.mark.parametrize("shape", [(3, 9, 8), (1, 4, 8, 8), (8, 8), (1, 1, 3, 8, 8), ()])
def test_another_shape_is_told_with_both(small: Session, shape: tuple[int, ...]) -> None:
    said = error(lambda: small.fitted(np.zeros(shape, np.float32), "x.npy"))
    written = f"({', '.join(map(str, shape))})"
    assert said == f"error[wrong-input]: x.npy holds {written}, and small takes (batch, 3, 8, 8) as input"


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((0, 3, 8, 8), np.float32), "holds no samples: (0, 3, 8, 8)"),
        (np.zeros((1, 3, 8, 8), np.uint8), "holds uint8, and small takes float32 as input"),
        (np.zeros((1, 3, 8, 8), np.complex64), "holds complex64"),
        (np.full((1, 3, 8, 8), "a"), "holds <U1"),
    ],
    ids=["empty", "uint8", "complex", "text"],
)
def test_what_it_does_not_take(small: Session, x: np.ndarray, words: str) -> None:
    assert words in error(lambda: small.fitted(x, "x.npy"))


def test_half_precision_input() -> None:
    model = open_model(identity("float16[N, 3] x"))
    x = model.random(2)
    assert x.dtype == np.float16
    np.testing.assert_array_equal(model.run(x)["y"], x)
    assert model.fitted(np.ones((2, 3), np.float32), "x").dtype == np.float16
    assert "too large for float16" in error(lambda: model.fitted(np.full((2, 3), 1e6, np.float32), "x"))
    kept = model.fitted(np.full((2, 3), np.inf, np.float32), "x")
    assert np.isinf(kept).all()


def test_whole_numbers() -> None:
    model = open_model(identity("int64[N, 3] x"))
    assert model.fitted(np.ones((2, 3), np.int32), "x").dtype == np.int64
    assert "holds float32, and the model takes int64" in error(lambda: model.fitted(np.ones((2, 3), np.float32), "x"))
    assert "random input is floating-point" in error(lambda: model.random(2))


def test_extents_that_are_open_or_fixed() -> None:
    model = open_model(identity("float[N, 3, H] x"))
    assert model.fitted(np.ones((2, 3, 7), np.float32), "x").shape == (2, 3, 7)
    assert "leaves H of its input x (N, 3, H) open" in error(lambda: model.random(2))
    fixed = open_model(identity("float[2, 3] x"))
    said = error(lambda: fixed.fitted(np.ones(3, np.float32), "x.npy"))
    assert "x.npy holds (3), and the model takes (2, 3) as x" in said


TWO = '<ir_version: 8, opset_import: ["" : 17]> g (float[N] a, float[N] b) => (float[N] y) { y = Add(a, b) }'


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (b"", "cannot be opened as an ONNX model"),
        (b"no model at all", "cannot be opened as an ONNX model"),
        (onnx.parser.parse_model(TWO).SerializeToString(), "has 2 inputs (a, b)"),
        (identity("string[N] x"), "has tensor(string) as x"),
        (identity("float[] x"), "takes a single number as x"),
        (identity("float[N, 3] x").replace(b"Identity", b"Identitx"), "cannot be opened as an ONNX model"),
    ],
    ids=["empty", "no model", "two inputs", "text", "scalar", "unknown operator"],
)
def test_models_that_are_not_run(model: bytes, words: str) -> None:
    said = error(lambda: open_model(model))
    assert words in said
    assert "ONNXRuntimeError" not in said
    assert "\n" not in said


def test_files_that_are_no_models(tmp_path: Path) -> None:
    assert "there is no file" in error(lambda: open_model(tmp_path / "missing.onnx"))
    assert "is a folder" in error(lambda: open_model(tmp_path))
    (tmp_path / "cut.onnx").write_bytes(resdsl.compile(SPEC, "onnx")[:-100])
    assert "cut.onnx cannot be opened as an ONNX model" in error(lambda: open_model(tmp_path / "cut.onnx"))


@pytest.mark.parametrize("cut", [None, 1000])
def test_weights_that_are_not_beside_the_model(
    tmp_path: Path, cut: int | None, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compile", "std/cifar", "--network", "resnet20", "-t", "onnx", "--external-data", "--no-verify"]
    assert CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "m.onnx")]).exit_code == 0
    data = tmp_path / "m.onnx.data"
    whole = data.read_bytes()
    data.unlink()
    if cut is not None:
        data.write_bytes(whole[:cut])
    told = error(lambda: open_model(tmp_path / "m.onnx"))
    assert "cannot be opened as an ONNX model without its weights" in told
    assert "put that, whole, where the model is" in told
    assert capfd.readouterr().err == "", "ONNX Runtime tells it, too"


def test_a_kernel_that_the_provider_lacks() -> None:
    model = resdsl.compile(SPEC, "onnx", precision="bf16")
    assert "another provider may have a kernel for it" in error(lambda: open_model(model))


def test_what_fails_while_it_runs_is_told() -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, M] x) => (float[A, B] y) { y = MatMul(x, x) }'
    model = open_model(onnx.parser.parse_model(text).SerializeToString(), name="square.onnx")
    x = np.ones((2, 3), np.float32)
    for call in (lambda: model.run(x), model.call(x)):
        assert "error[unreadable-model]: square.onnx cannot be computed" in error(call)


# Providers and installations


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def version(name: str) -> str:
        if name not in names:
            raise metadata.PackageNotFoundError(name)
        return "1.31.1"

    monkeypatch.setattr("resdsl.targets.onnx_provider.metadata.version", version)


def test_two_installations_hide_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "onnxruntime", "onnxruntime-gpu")
    said = error(lambda: open_model(identity("float[N] x"), Provider.CUDA))
    assert said.startswith("error[hidden-runtime]: onnxruntime and onnxruntime-gpu are installed together")
    assert "`pip uninstall onnxruntime onnxruntime-gpu`, then `pip install 'resdsl[ort-gpu]'` alone" in said


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as if there were none
    monkeypatch.setattr("builtins.__import__", without_onnxruntime(__import__))
    installed(monkeypatch)
    assert "pip install 'resdsl[ort]'" in error(lambda: open_model(identity("float[N] x")))
    assert "pip install 'resdsl[ort-gpu]'" in error(lambda: open_model(identity("float[N] x"), Provider.CUDA))


def without_onnxruntime(real: Callable[..., ModuleType]) -> Callable[..., ModuleType]:
    def imported(name: str, *arguments: object) -> ModuleType:
        if name == "onnxruntime":
            raise ModuleNotFoundError("No module named 'onnxruntime'", name=name)
        return real(name, *arguments)

    return imported


def test_a_build_without_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "onnxruntime")
    play(monkeypatch, available=["AzureExecutionProvider", "CPUExecutionProvider"])
    said = error(lambda: open_model(b"", Provider.CUDA))
    assert "has no CUDAExecutionProvider; it has AzureExecutionProvider, CPUExecutionProvider" in said
    assert "`pip uninstall onnxruntime`, then `pip install 'resdsl[ort-gpu]'`" in said


class Played(ModuleType):
    """ONNX Runtime with a GPU, as far as a session needs it: a model of one input and one output that doubles.

    Nothing here computes on a GPU; the tests that use it see what is asked of ONNX Runtime and what is made of its answers.
    """

    def __init__(
        self, available: list[str], used: list[str], log: str, raised: Exception | None, nodes: list[str]
    ) -> None:
        super().__init__("onnxruntime")
        self.asked: list[str] = []
        self.on_device: list[tuple[str, str]] = []
        played = self

        class InferenceSession:
            def __init__(self, model: object, options: object, *, providers: list[str], enable_fallback: int) -> None:
                assert enable_fallback == 0
                played.asked = providers
                os.write(2, log.encode())  # C++ does not know sys.stderr
                if raised is not None:
                    raise raised

            def get_providers(self) -> list[str]:
                return used

            def get_inputs(self) -> list[SimpleNamespace]:
                return [SimpleNamespace(name="x", type="tensor(float)", shape=["N", 3])]

            def get_outputs(self) -> list[SimpleNamespace]:
                return [SimpleNamespace(name="y", type="tensor(float)", shape=["N", 3])]

            def get_provider_graph_assignment_info(self) -> list[SimpleNamespace]:
                return [SimpleNamespace(ep_name=name, get_nodes=lambda: [object()]) for name in nodes]

            def io_binding(self) -> Binding:
                return Binding()

            def run_with_iobinding(self, binding: Binding) -> None:
                binding.computed = 2 * binding.x

        class Binding:
            def bind_ortvalue_input(self, name: str, value: tuple[np.ndarray, str]) -> None:
                self.x, device = value
                played.on_device.append((name, device))

            def bind_output(self, name: str, device: str) -> None:
                played.on_device.append((name, device))

            def synchronize_outputs(self) -> None:
                played.on_device.append(("synchronised", "cuda"))

            def copy_outputs_to_cpu(self) -> list[np.ndarray]:
                return [self.computed]

        class OrtValue:
            @staticmethod
            def ortvalue_from_numpy(x: np.ndarray, device: str, number: int) -> tuple[np.ndarray, str]:
                assert number == 0
                return x, device

        class SessionOptions:
            intra_op_num_threads = 0

            def add_session_config_entry(self, name: str, value: str) -> None:
                assert (name.partition(".")[0], value) == ("session", "1")

        self.InferenceSession, self.OrtValue, self.SessionOptions = InferenceSession, OrtValue, SessionOptions
        self.get_available_providers = lambda: available
        self.preload_dlls = lambda: print("what no one wants to see")


GPU = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


def play(
    monkeypatch: pytest.MonkeyPatch,
    *,
    available: list[str] = GPU,
    used: list[str] = GPU[1:],
    log: str = "",
    raised: Exception | None = None,
    nodes: list[str] = GPU[1:2],
) -> Played:
    played = Played(available, used, log, raised, nodes)
    monkeypatch.setitem(sys.modules, "onnxruntime", played)
    return played


def test_inputs_and_outputs_stay_on_the_gpu(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    played = play(monkeypatch, log="a warning\n", nodes=["CUDAExecutionProvider"] * 3 + ["CPUExecutionProvider"])
    model = open_model(b"", Provider.CUDA)
    assert played.asked == ["CUDAExecutionProvider"]
    assert model.nodes == {"CUDAExecutionProvider": 3, "CPUExecutionProvider": 1}
    x = model.random(2)
    np.testing.assert_array_equal(model.run(x)["y"], 2 * x)
    assert played.on_device == [("x", "cuda"), ("y", "cuda")]
    call = model.call(x)
    call(), call()
    assert played.on_device[2:] == [("x", "cuda"), ("y", "cuda"), *[("synchronised", "cuda")] * 2]
    assert capfd.readouterr() == ("", "a warning\n")


def test_tensorrt_leaves_to_cuda_what_it_has_no_kernel_for(monkeypatch: pytest.MonkeyPatch) -> None:
    played = play(monkeypatch, used=GPU, nodes=GPU[:1])
    assert open_model(b"", Provider.TENSORRT).providers[0] == "TensorrtExecutionProvider"
    assert played.asked == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]


@pytest.mark.parametrize(
    ("provider", "log", "raised", "words"),
    [
        (Provider.CUDA, CUDA_LOG.format("libcublasLt.so.13"), None, "there is no libcublasLt.so.13\n = help: `pip install 'onnxruntime-gpu[cuda,cudnn]'"),
        (Provider.CUDA, CUDA_LOG.format("libcuda.so.1"), None, "there is no libcuda.so.1, which comes with the driver of an NVIDIA GPU"),
        (Provider.CUDA, "", RuntimeError("CUDA failure 100: no CUDA-capable device is detected ; GPU=0"), "CUDA failure 100: no CUDA-capable device is detected"),
        (Provider.TENSORRT, CUDA_LOG.format("libnvinfer.so.10"), RuntimeError("Please install TensorRT libraries"), "there is no libnvinfer.so.10, which is TensorRT's"),
        (Provider.CUDA, "", None, "it does not say why"),
    ],
    ids=["library", "driver", "no GPU", "TensorRT", "silent"],
)  # fmt: skip
def test_falling_back_to_the_cpu_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    provider: Provider,
    log: str,
    raised: Exception | None,
    words: str,
) -> None:
    play(monkeypatch, used=["CPUExecutionProvider"], log=log, raised=raised)
    said = error(lambda: open_model(b"", provider))
    assert said.startswith(f"error[missing-provider]: {provider.value} is asked for, and ONNX Runtime cannot use it: ")
    assert words in said
    assert capfd.readouterr() == ("", "")


def test_a_provider_that_computes_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, nodes=["CPUExecutionProvider"])
    said = error(lambda: open_model(b"", Provider.CUDA, name="int8.onnx"))
    assert "cuda has a kernel for no node of int8.onnx; CPUExecutionProvider would compute it" in said


def test_a_model_that_is_wrong_is_not_the_providers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class InvalidProtobufError(Exception):
        """ONNX Runtime's are no RuntimeError."""

    problem = InvalidProtobufError("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Protobuf parsing failed.")
    play(monkeypatch, raised=problem)
    said = error(lambda: open_model(b"", Provider.CUDA))
    assert said == "error[unreadable-model]: the model cannot be opened as an ONNX model: Protobuf parsing failed."


def test_onnx_runtime_is_what_the_names_are_of() -> None:
    assert any(name in {d.name for d in metadata.distributions()} for name in DISTRIBUTIONS)


def test_messages_lose_what_is_for_developers() -> None:
    assert plain(CUDA_LOG.format("x")).startswith("Failed to load library /venv")
