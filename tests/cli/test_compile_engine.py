"""`resdsl compile --target trt`: what is written, what is said of it, and what is refused. The engines are built for real, for RTX GPUs."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from resdsl.diagnostics import SpecError, fail
from resdsl.spec import build, origin
from resdsl.targets.tensorrt import library
from resdsl.targets.tensorrt.library import Choice, choose
from resdsl.targets.tensorrt.options import Builder
from resdsl.targets.tensorrt.sidecar import digest
from resdsl.weights import CALIBRATED, network_weights
from tests.cli.test_compile import SPEC
from tests.cli.test_exit_codes import everything, run

needs_rtx = pytest.mark.skipif(
    not library.is_installed(Builder.RTX), reason="tensorrt-rtx is not installed: there is none for this platform"
)
BEFORE = b"what stood here before"
COMPILE = ("compile", "-t", "trt", "small.resnet", "-o", "m.engine", "--weights", CALIBRATED)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.resnet").write_text(SPEC, encoding="utf-8")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((70, 3, 8, 8), np.float32))
    (tmp_path / "m.engine").write_bytes(BEFORE)
    (tmp_path / "m.engine.json").write_bytes(BEFORE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@needs_rtx
def test_an_engine_and_what_stands_beside_it(folder: Path) -> None:
    result = run(*COMPILE, "-p", "n=3", "--precision", "fp16", "--batch", "2:4:16", "--compute-capability", "8.6,sm_89")
    assert (result.exit_code, result.stdout) == (0, "")
    lines = result.stderr.splitlines()
    engine, beside = Path("m.engine").read_bytes(), Path("m.engine.json").read_text(encoding="utf-8")
    assert lines[0] == f"m.engine: small, {len(engine):,} bytes, m.engine.json beside it"
    assert re.fullmatch(
        r"  built by TensorRT for RTX [\d.]+ \(TensorRT is not installed\) for GPUs of compute capability 8\.6, 8\.9; "
        r"fp16, batches of 2 to 16, fastest at 4",
        lines[1],
    )
    assert any(line.startswith("  fold-batchnorm ") for line in lines)
    assert any("fp16 adds" in line for line in lines)
    network = build("small.resnet", None, {"n": "3"})
    found = json.loads(beside)
    assert re.fullmatch(r"1\.\d+\.\d+\.\d+", found.pop("version"))
    assert found == {
        "format": 1,
        "sha256": hashlib.sha256(engine).hexdigest(),
        "size": len(engine),
        "resdsl": "0.1.0",
        "builder": "rtx",
        "via": "onnx",
        "network": "small",
        "spec_sha256": origin("small.resnet").sha256,
        "parameters": {"n": "3"},
        "weights_sha256": digest(network_weights(network, CALIBRATED)),
        "precision": "fp16",
        "tf32": False,
        "passes": [
            "remove-identities",
            "fold-standardised",
            "fold-scales",
            "fold-batchnorm",
            "remove-dead",
            "fold-preactivation",
        ],
        "inputs": [{"name": "input", "dtype": "float32", "shape": [3, 8, 8]}],
        "outputs": [{"name": "output", "dtype": "float32", "shape": [10]}],
        "batch": [2, 4, 16],
        "compute_capabilities": ["8.6", "8.9"],
        "gpu": None,
        "platform": f"{os.uname().sysname} {os.uname().machine}".lower(),
        "hardware": None,
        "version_compatible": False,
        "refit": False,
        "level": None,
        "workspace": None,
    }


@needs_rtx
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_every_precision(folder: Path, precision: str) -> None:
    calibration = ("--calibration", "x.npy") if precision == "int8" else ()
    result = run(*COMPILE, "--precision", precision, "--batch", "8", "--builder", "rtx", *calibration)
    assert result.exit_code == 0, result.stderr
    assert f"; {precision}, batch 8" in result.stderr
    assert "TensorRT is not installed" not in result.stderr  # it was asked for
    assert json.loads(Path("m.engine.json").read_text(encoding="utf-8"))["precision"] == precision


@needs_rtx
def test_the_name_of_the_engine_follows_from_the_network(folder: Path) -> None:
    assert run("compile", "-t", "trt", "small.resnet", "--batch", "1").exit_code == 0
    assert Path("small.engine").stat().st_size == json.loads(Path("small.engine.json").read_text())["size"]


@needs_rtx
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--version-compatible",), 2, "unsupported: --version-compatible with TensorRT for RTX, which"),
        (("--refit",), 2, "unsupported: --refit with TensorRT for RTX"),
        (("--timing-cache", "cache"), 2, "unsupported: --timing-cache with TensorRT for RTX"),
        (("--hardware-compatible", "same"), 2, "unsupported: --hardware-compatible same with TensorRT for RTX"),
        (("--via", "torch"), 2, "unsupported: --via torch with TensorRT for RTX"),
        (("--via", "torch-module"), 2, "unsupported: --via torch-module with TensorRT for RTX"),
        (("--compute-capability", "9.0"), 2, "builds nothing for compute capability 9.0\n = help: it builds for 7.5, "),
        (("--compute-capability", "hopper"), 2, "'hopper' is no list of compute capabilities such as 8.6,8.9"),
        (("--batch", "8:4:1"), 2, "'8:4:1' is no batch size such as 8, nor a range such as 1:8:64"),
        (("--batch", "0"), 2, "'0' is no batch size"),
        (("--batch", "1:2"), 2, "'1:2' is no batch size"),
        (("--batch", "1:2:99999999999"), 2, "is no batch size"),
        (("--builder", "tensorrt"), 1, "this needs TensorRT, which is not installed\n = help: pip install 'resdsl[trt]'"),
        (("--external-data",), 2, "--external-data: an engine holds its weights"),
        (("--precision", "int8", "--calibration", "x.npy", "--for", "tensorrt"), 2, "--for: an engine is always for TensorRT"),
        (("--precision", "int8"), 1, "int8 needs inputs to measure the ranges of activations on"),
        (("--via", "torch", "--functions"), 2, "--functions: with `--via torch` there is no ONNX model"),
        (("--via", "torch", "--verify"), 2, "--verify: with `--via torch` there is no ONNX model"),
        (("--optimization-level", "6"), 2, "6 is not in the range 0<=x<=5"),
        (("--workspace", "0"), 2, "0 is not in the range 1<=x<="),
        (("--timing-cache", ""), 2, "--timing-cache: the name of the file is empty"),
        (("--timing-cache", "small.resnet"), 2, "small.resnet is read, and small.resnet would replace it"),
        (("--weights", "missing.safetensors"), 1, "missing.safetensors"),
        (("--workspace", "17592186044416"), 2, "is not in the range"),
        (("--precision", "bf16", "--compute-capability", "7.5"), 2, "unsupported: --compute-capability 7.5, but in fp16 with TensorRT for RTX, which multiplies"),
        (("-o", "m.bin"), 2, "-o m.bin: name a file that ends in .engine, .plan or .trt, by which other commands know it"),
        (("-o", "m.engine.json"), 2, "-o m.engine.json: name a file that ends in .engine"),
        (("-o", "-"), 2, "-o -: an engine is checked against a second file beside it, and needs a folder to stand in"),
        (("--tf32", "--precision", "fp16"), 2, "--tf32: this rounds float32, and there is none in fp16"),
        (("-o", "nowhere/m.engine"), 1, "there is no folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_what_is_refused_leaves_all_as_it_was(folder: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    before = everything(folder)
    result = run(*COMPILE, *arguments)
    assert words in result.stderr
    assert (result.exit_code, result.stdout) == (code, "")
    assert everything(folder) == before


@pytest.mark.parametrize("target", ["torch", "onnx", "json"])
def test_options_of_engines_are_for_engines(folder: Path, target: str) -> None:
    result = run("compile", "-t", target, "small.resnet", "--batch", "8", "-o", "out")
    assert result.exit_code == 2
    assert f"--batch: this is for `--target trt`, and {target} is no engine" in result.stderr


@needs_rtx
def test_a_wrong_pass_builds_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resdsl.passes import run as passes_run
    from resdsl.passes.draft import Draft
    from resdsl.passes.tally import Tally

    def wrong(draft: Draft) -> Tally:
        draft.weights["head_linear.bias"] = draft.weights["head_linear.bias"] + 1
        return Tally(("head_linear",))

    monkeypatch.setitem(passes_run.RUN, "fold-scales", wrong)
    before = everything(folder)
    result = run(*COMPILE, "--passes", "fold-scales")
    assert "error[passes-differ]" in result.stderr
    assert result.exit_code == 1
    assert everything(folder) == before


@needs_rtx
def test_ctrl_c_leaves_nothing(folder: Path) -> None:
    before = everything(folder)
    arguments = ("std/preact1001", "-t", "trt", "-o", "m.engine", "--no-verify", "--precision", "bf16")
    main, side = pty.openpty()  # phases are shown on a terminal, and say when the build has begun

    def heard() -> None:  # where a shell's script runs this in the background, SIGINT is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    command = [sys.executable, "-m", "resdsl", "compile", *arguments]
    with subprocess.Popen(command, stderr=side, preexec_fn=heard) as process:
        os.close(side)
        shown = b""
        while b"graph" not in shown:
            shown += os.read(main, 1024)
        process.send_signal(signal.SIGINT)
        while True:
            try:
                shown += os.read(main, 1024)
            except OSError:  # the other side is closed
                break
        assert process.wait(60) == 130
    assert shown.rstrip().endswith(b"interrupted")
    assert everything(folder) == before


# Which builder


@pytest.mark.parametrize(
    ("installed", "gpu", "found"),
    [
        ({Builder.TENSORRT}, True, Choice(Builder.TENSORRT)),
        ({Builder.TENSORRT, Builder.RTX}, True, Choice(Builder.TENSORRT)),
        ({Builder.TENSORRT, Builder.RTX}, False, Choice(Builder.RTX, "building with TensorRT needs an NVIDIA GPU")),
        ({Builder.RTX}, True, Choice(Builder.RTX, "TensorRT is not installed")),
        ({Builder.RTX}, False, Choice(Builder.RTX, "TensorRT is not installed")),
        ({Builder.TENSORRT}, False, Choice(Builder.TENSORRT)),  # which then says that it needs a GPU
    ],
)
def test_auto(monkeypatch: pytest.MonkeyPatch, installed: set[Builder], gpu: bool, found: Choice) -> None:
    monkeypatch.setattr(library, "is_installed", lambda builder: builder in installed)

    def require_gpu(what: str) -> None:
        if not gpu:
            raise fail("missing-gpu", f"{what} needs an NVIDIA GPU")

    monkeypatch.setattr(library, "require_gpu", require_gpu)
    assert choose(None) == found
    assert choose(Builder.RTX) == Choice(Builder.RTX)
    assert choose(Builder.TENSORRT) == Choice(Builder.TENSORRT)


def test_neither_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "is_installed", lambda _: False)
    with pytest.raises(
        SpecError, match=r"not installed\n = help: pip install 'resdsl\[trt\]' on a machine .*'resdsl\[rtx\]'"
    ):
        choose(None)


def test_tensorrt_without_a_gpu_names_the_other_builder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "library", lambda _: None)
    with pytest.raises(SpecError) as raised:
        library.require_builder(Builder.TENSORRT)
    (found,) = raised.value.diagnostics
    assert found.code in ("missing-gpu", "old-driver")
    assert found.message.startswith("building with TensorRT needs an NVIDIA GPU, and ")
    assert found.help.endswith("`--builder rtx` builds for RTX GPUs without one")


def test_a_library_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.11: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    with pytest.raises(
        SpecError,
        match=r"TensorRT is installed and cannot be loaded: libnvinfer\.so\.11: .*\n = help: pip install --force",
    ):
        library.library(Builder.TENSORRT)


@pytest.mark.parametrize(
    ("builder", "version", "is_taken"),
    [
        (Builder.TENSORRT, "10.15.1.29", False),
        (Builder.TENSORRT, "8.6.1.post1", False),
        (Builder.TENSORRT, "10.16.0.72", True),
        (Builder.TENSORRT, "11.4.0.106", True),
        (Builder.RTX, "1.6.1.120", False),
        (Builder.RTX, "1.7.1.116", True),
    ],
)
def test_versions(monkeypatch: pytest.MonkeyPatch, builder: Builder, version: str, is_taken: bool) -> None:
    played = ModuleType(builder.module)
    played.__dict__["__version__"] = version
    monkeypatch.setitem(sys.modules, builder.module, played)
    if is_taken:
        assert library.library(builder) is played
        return
    with pytest.raises(
        SpecError,
        match=rf"{builder.title} {version} is installed, and this needs .*\n = help: pip install -U 'resdsl\[",
    ):
        library.library(builder)


def test_nothing_heavy_loads_for_other_targets() -> None:
    code = (
        "import sys, resdsl.cli.compile, resdsl.targets.table, resdsl.targets.tensorrt\n"
        "assert not {'tensorrt', 'tensorrt_rtx', 'torch', 'onnx', 'onnxruntime', 'numpy', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_rtx
def test_an_engine_without_weights_says_so(folder: Path) -> None:
    result = run("compile", "-t", "trt", "small.resnet", "-o", "m.engine", "--seed", "3")
    assert "  its weights are the initialisation of seed 3: `--weights` gives others\n" in result.stderr
    assert "its weights are" not in run(*COMPILE).stderr


@needs_rtx
def test_the_way_through_torch_says_what_is_unsupported_where_there_is_no_torch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for via in ("torch", "torch-module"):
        result = run(*COMPILE, "--via", via)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"unsupported: --via {via} with TensorRT for RTX" in result.stderr


def test_what_comes_before_the_builder_is_watched_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    from resdsl.targets.table import Request
    from resdsl.targets.tensorrt.options import EngineOptions
    from resdsl.targets.tensorrt.write import PREPARING
    from resdsl.targets.tensorrt.write import build as build_engine

    seen: list[tuple[str, str]] = []

    class Watcher:
        def started(self, phase: str, steps: int) -> None:
            seen.append(("started", phase))

        def stepped(self, phase: str, step: int) -> None:
            pass

        def finished(self, phase: str) -> None:
            seen.append(("finished", phase))

    build_engine(Request(build("small.resnet"), engine=EngineOptions(builder=Builder.RTX), watcher=Watcher()))
    assert seen[:3] == [("started", PREPARING), ("finished", PREPARING), ("started", "Building engine")]
