"""`resdsl verify --target trt`. No engine runs here: what it would compute is played, everything around it is real."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resdsl.network.evaluate import evaluate
from resdsl.network.network import Network
from resdsl.spec import build, origin
from resdsl.targets.table import Request
from resdsl.targets.tensorrt import compare
from resdsl.targets.tensorrt.gpu import Gpu
from resdsl.targets.tensorrt.library import Choice
from resdsl.targets.tensorrt.options import Builder
from resdsl.targets.tensorrt.sidecar import Sidecar, Tensor, digest, this_platform, to_json
from resdsl.targets.tensorrt.write import Built
from resdsl.weights import CALIBRATED, network_weights
from tests.cli.test_compile import SPEC
from tests.cli.test_exit_codes import run

torch = pytest.importorskip("torch", reason="torch is not installed")

H200 = Gpu("NVIDIA H200", "9.0")
DATA = b"engine"
VERIFY = ("verify", "small.resnet", "--target", "trt")


@dataclass
class Played:
    """An engine that computes what the reference does, and `off` of the largest output more."""

    sidecar: Sidecar
    network: Network
    off: float
    seen: list[int]
    version: str = "11.4.0.106"
    gpu: Gpu = H200
    name: str = ""

    def __call__(self, x: Any) -> Any:
        least, _, most = self.sidecar.batch
        assert least <= len(x) <= most
        self.seen.append(len(x))
        y = evaluate(self.network, network_weights(self.network, CALIBRATED), x.numpy())
        return torch.from_numpy((y + self.off * np.abs(y).max()).astype(np.float32))


def sidecar_of(of: Network, /, **changes: Any) -> Sidecar:
    sidecar = Sidecar(
        sha256=hashlib.sha256(DATA).hexdigest(),
        size=len(DATA),
        resdsl="0.1.0",
        builder="tensorrt",
        version="11.4.0.106",
        via="onnx",
        network=of.name,
        spec_sha256=origin("small.resnet").sha256,
        parameters={},
        weights_sha256=digest(network_weights(of, CALIBRATED)),
        precision="fp32",
        tf32=False,
        passes=(),
        inputs=(Tensor("input", "float32", (3, 8, 8)),),
        outputs=(Tensor("output", "float32", (10,)),),
        batch=(1, 8, 64),
        compute_capabilities=("9.0",),
        gpu=H200.name,
        platform=this_platform(),
    )
    return replace(sidecar, **changes)


def written(folder: Path, sidecar: Sidecar) -> None:
    """m.engine, and what stands beside it."""
    (folder / "m.engine").write_bytes(DATA)
    (folder / "m.engine.json").write_text(to_json(sidecar), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.resnet").write_text(SPEC, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


Playing = Callable[..., list[Request]]


@pytest.fixture
def playing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Playing:
    """Engines are `off` by so much; gives the requests that are built."""

    def play(off: float, seen: list[int] | None = None) -> list[Request]:
        network, asked = build("small.resnet"), list[Request]()

        class Opened:
            @staticmethod
            def from_bytes(engine: bytes | memoryview, sidecar: Sidecar, *, name: str = "") -> Played:
                assert bytes(engine) == DATA
                return Played(sidecar, network, off, [] if seen is None else seen, name=name)

        def built(request: Request) -> Built:
            asked.append(request)
            made = {"precision": request.precision.value, "tf32": request.engine.tf32}
            return Built(memoryview(DATA), sidecar_of(network, **made), ())

        monkeypatch.setattr(compare, "Engine", Opened)
        monkeypatch.setattr(compare, "build", built)
        monkeypatch.setattr(compare, "choose", lambda _: Choice(Builder.TENSORRT))
        monkeypatch.setattr(compare, "require_builder", lambda _: None)
        monkeypatch.setattr(compare, "require_gpu", lambda _: H200)
        return asked

    return play


def test_engines_stand_in_the_place_of_onnx_models(playing: Playing) -> None:
    asked = playing(0)
    result = run(*VERIFY, "--precision", "fp32", "--precision", "fp16", "--precision", "fp16", "--tf32", "-O1")
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if " trt " in line]
    assert [re.sub(r"\s+", " ", row).split(" (at most")[0] for row in rows] == [
        f" ok trt fp32 with TF32 {rows[0].split()[5]}",
        f" ok trt fp16 with TF32 {rows[1].split()[5]}",
    ]
    assert "TensorRT 11.4.0.106 on NVIDIA H200" in rows[0]
    assert "100.0% keep their class" in rows[1]
    assert " onnx" not in result.stdout
    assert " torch float64 " in result.stdout
    assert "pass fold-batchnorm" in result.stdout
    assert [request.precision.value for request in asked] == ["fp32", "fp16"]
    assert all("fold-preactivation" not in [each.name for each in request.passes] for request in asked)


@pytest.mark.parametrize(
    ("off", "arguments", "code"),
    [
        (1e-7, (), 0),
        (1e-4, (), 1),
        (1e-4, ("--tf32",), 0),
        (1e-4, ("--precision", "fp16"), 0),
        (1e-4, ("--precision", "fp16", "--tolerance", "1e-5"), 1),
        (0.5, ("--precision", "fp16"), 1),
        (0.5, ("--precision", "fp16", "--tolerance", "0.6"), 0),
        (1e-4, ("--tf32", "--tolerance", "1e-5"), 1),
        (1e-4, ("--tolerance", "1e-3"), 0),
        (float("nan"), ("--precision", "bf16"), 1),
    ],
)
def test_tolerances(playing: Playing, off: float, arguments: tuple[str, ...], code: int) -> None:
    playing(off)
    result = run(*VERIFY, *arguments)
    assert result.exit_code == code, result.output
    assert ("FAIL  trt" in result.stdout) == (code == 1)


def test_an_engine_of_a_file(playing: Playing, folder: Path) -> None:
    seen: list[int] = []
    asked = playing(1e-3, seen)
    written(folder, sidecar_of(build("small.resnet"), precision="fp16", batch=(4, 4, 4)))
    result = run(*VERIFY, "--engine", "m.engine", "--batch", "6", "--json")
    assert result.exit_code == 0, result.output
    check = json.loads(result.stdout)["checks"][-1]
    assert (check["target"], check["passed"], check["agreement"]) == ("trt fp16", True, 1.0)
    assert check["error"] == pytest.approx(1e-3, rel=0.01)
    assert (asked, seen) == ([], [4, 4])  # the second batch is filled up
    assert run(*VERIFY, "--engine", "m.engine", "--tolerance", "1e-4").exit_code == 1


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({}, ("-p", "n=3"), "m.engine was built with no parameters, and -p n=3 is asked for"),
        ({}, ("--seed", "1"), "m.engine was built with other weights than these\n = help: give the `--weights`"),
        ({"spec_sha256": "1" * 64}, (), "m.engine was built from another spec"),
        ({"spec_sha256": None}, (), "m.engine was built from another spec"),
        ({"network": "large"}, (), "m.engine was built from the network large, and small is asked for"),
    ],
)
def test_an_engine_of_something_else(
    playing: Playing, folder: Path, changes: dict[str, Any], arguments: tuple[str, ...], words: str
) -> None:
    playing(0)
    written(folder, sidecar_of(build("small.resnet"), **changes))
    result = run(*VERIFY, "--engine", "m.engine", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tf32",), "--tf32: this is for `--target trt`"),
        (("--engine", "m.engine"), "--engine: this is for `--target trt`"),
        (("--target", "trt", "--for", "tensorrt"), "--for: "),
        (("--target", "trt", "--engine", "m.engine", "--precision", "fp16"), "--precision: m.engine is built already"),
        (("--target", "trt", "--engine", "m.engine", "-O1"), "-O: m.engine is built already, and says how"),
        (("--target", "trt", "--engine", "m.engine", "--refit"), "--refit: m.engine is built already"),
        (("--tolerance", "0.1"), "--tolerance: a number from 0 on, for `--target trt`, or the --precision fp16, bf16"),
        (("--target", "trt", "--tolerance", "nan"), "--tolerance: "),
        (("--target", "trt", "--engine", ""), "--engine: the name of the file is empty"),
    ],
)
def test_wrong_use(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run("verify", "small.resnet", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_without_a_gpu_nothing_is_computed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resdsl import verify

    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(compare, "choose", lambda _: Choice(Builder.RTX))
    monkeypatch.setattr(compare, "require_builder", lambda _: None)
    monkeypatch.setattr(verify, "evaluate", lambda *_, **__: pytest.fail("the reference was computed"))
    result = run(*VERIFY)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[missing-gpu]: running an engine needs an NVIDIA GPU" in result.stderr


def test_an_fp32_engine_of_a_file_is_held_to_what_is_asked_for(playing: Playing, folder: Path) -> None:
    playing(1e-4)
    written(folder, sidecar_of(build("small.resnet")))
    asked = (*VERIFY, "--engine", "m.engine")
    codes = [run(*asked, *more).exit_code for more in ((), ("--tolerance", "1e-3"), ("--tolerance", "1e-5"))]
    assert codes == [1, 0, 1]


def test_an_int8_engine_of_a_file_is_compared_on_inputs_that_are_given(playing: Playing, folder: Path) -> None:
    seen: list[int] = []
    playing(0.1, seen)
    written(folder, sidecar_of(build("small.resnet"), precision="int8"))
    result = run(*VERIFY, "--engine", "m.engine")
    assert (result.exit_code, result.stdout, seen) == (1, "", [])
    words = "error[calibration]: m.engine is in int8, for inputs like those that it was calibrated on, and random ones are not"
    assert f"{words}\n = help: `--input PATH`: some of its calibration inputs" in result.stderr
    np.save("x.npy", np.random.default_rng(0).standard_normal((3, 3, 8, 8), np.float32))
    result = run(*VERIFY, "--engine", "m.engine", "--input", "x.npy")
    assert (result.exit_code, seen) == (0, [3]), result.output


def test_an_engine_that_was_compiled_without_weights(playing: Playing, folder: Path) -> None:
    playing(float("nan"))  # what is played computes with other weights
    network = build("small.resnet")
    written(folder, sidecar_of(network, weights_sha256=digest(network_weights(network, None, 3))))
    asked = (*VERIFY, "--engine", "m.engine", "--seed", "3")
    result = run(*asked)
    words = "m.engine was built with other weights than these\n = help: it was compiled without weights: `--weights initial`"
    assert (result.exit_code, words in result.stderr) == (1, True)
    assert "  FAIL  trt fp32" in run(*asked, "--weights", "initial").stdout
    result = run(*VERIFY, "--engine", "m.engine", "--weights", "initial")
    assert "help: give the `--weights` and the `--seed` that it was compiled with" in result.stderr


@pytest.mark.parametrize(("name", "said"), [("no.engine", "there is no file no.engine"), (".", ". is a folder")])
def test_there_is_no_such_engine(folder: Path, name: str, said: str) -> None:
    result = run(*VERIFY, "--engine", name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error[unreadable]: {said}")


def test_what_a_builder_cannot_do_is_told_before_anything_is_computed(
    playing: Playing, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resdsl import verify

    playing(0)
    monkeypatch.setattr(verify, "evaluate", lambda *_, **__: pytest.fail("the reference was computed"))
    result = run(*VERIFY, "--via", "torch", "--precision", "fp16", "--precision", "int8", "--calibration", "x.npy")
    assert "error[unreadable]: there is no file x.npy" in result.stderr  # the inputs are read before
    np.save("x.npy", np.zeros((3, 3, 8, 8), np.float32))
    result = run(*VERIFY, "--via", "torch", "--precision", "fp16", "--precision", "int8", "--calibration", "x.npy")
    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        "error[unsupported-option]: unsupported: --precision int8 with TensorRT through torch-tensorrt" in result.stderr
    )
