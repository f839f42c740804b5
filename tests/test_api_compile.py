"""What resdsl.compile takes and refuses, as Python gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import resdsl
from resdsl import SpecError
from resdsl.targets.onnx_runtime import run_model

SPEC = """resnet 1
network small {
    input 3x8x8
    stem  conv(3x3, 8)
    stage 2 * unit
    head  norm -> act -> avgpool -> linear(4)
}
unit unit { placement pre branch conv(3x3, 8) -> conv(3x3, 8) shortcut identity }
"""


def inputs(count: int = 4) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, 8, 8))


def compiled(**arguments: Any) -> bytes:
    return resdsl.compile(SPEC, "onnx", **arguments)


def test_passes_by_level_name_and_text() -> None:
    names = ["fold-batchnorm", "fold-preactivation"]
    assert compiled(passes=names) == compiled(passes=" fold-batchnorm, fold-preactivation")
    assert compiled() == compiled(passes=2) == compiled(passes=None)
    kinds = [node.op_type for node in onnx.load_from_string(compiled(passes=0)).graph.node]
    assert kinds.count("BatchNormalization") == 5


def test_a_state_dict_is_as_good_as_arrays() -> None:
    module = resdsl.load(SPEC)
    state = module.state_dict()
    assert compiled(weights=state) == compiled(weights={name: value.numpy() for name, value in state.items()})


def test_calibration_in_memory_is_read_as_a_file_is() -> None:
    """float64, and one sample without a batch."""
    whole = compiled(weights="random-calibrated", precision="int8", calibration=inputs())
    assert whole == compiled(weights="random-calibrated", precision="int8", calibration=inputs().astype(np.float32))
    one = compiled(weights="random-calibrated", precision="int8", calibration=inputs(1)[0])
    assert np.isfinite(run_model(one, inputs().astype(np.float32))).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "int8", "calibration": inputs()[:0]}, "holds no samples"),
        ({"precision": "int8", "calibration": inputs()[:, :2]}, "the network reads n x 3 x 8 x 8"),
        ({"precision": "int8", "calibration": np.zeros((4, 3, 8, 8), np.uint8)}, "holds uint8"),
        ({"precision": "int8", "calibration": inputs() * np.nan}, "NaN"),
        ({"precision": "int8", "calibration": "images"}, "not floating-point numbers"),
        ({"precision": "int8"}, "int8 needs inputs"),
        ({"calibration": inputs()}, "calibration: it is for precision int8 alone"),
        ({"form": "tensorrt"}, "form: it is for precision int8 alone"),
        ({"precision": "int8", "calibration": inputs(), "form": "gpu"}, "there is no form 'gpu'"),
        ({"precision": "fp8"}, "there is no precision 'fp8'"),
        ({"passes": "fold-batchnormm"}, "there is no pass 'fold-batchnormm'"),
        ({"passes": 7}, "there is no level 7"),
        ({"seed": -1}, "the seed -1 is negative"),
        ({"weights": {}}, "lacks"),
        ({"weights": {"stem_conv.weight": object()}}, "not floating-point numbers|lacks"),
    ],
)
def test_what_does_not_fit_is_a_spec_error(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        compiled(**arguments)


@pytest.mark.parametrize(
    "argument",
    [{"passes": 1}, {"precision": "fp16"}, {"weights": "random-calibrated"}, {"opset": 18}, {"functions": True}],
)
@pytest.mark.parametrize("target", ["torch", "json"])
def test_what_says_nothing_of_a_target_is_refused(target: str, argument: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=f"{next(iter(argument))}: a {target} file holds no weights"):
        resdsl.compile(SPEC, target, **argument)


@pytest.mark.parametrize("target", ["onnx", "torch", "json"])
def test_a_file_is_what_the_bytes_are(target: str, tmp_path: Path) -> None:
    arguments = {"weights": "random-calibrated"} if target == "onnx" else {}
    written = resdsl.compile_file(SPEC, tmp_path / "out", target, **arguments)
    data = (tmp_path / "out").read_bytes()
    assert data == resdsl.compile(SPEC, target, **arguments)
    assert (written.size, written.beside) == (len(data), None)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_engine_is_two_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    from resdsl.targets.tensorrt import Batch, Builder, EngineOptions

    options = EngineOptions(builder=Builder.RTX, batch=Batch(1, 2, 4))
    written = resdsl.compile_file(SPEC, tmp_path / "m.engine", "trt", precision="fp16", engine=options)
    assert written.beside == "m.engine.json"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.engine", "m.engine.json"]
    assert written.size == (tmp_path / "m.engine").stat().st_size
    assert written.notes[0].endswith("; fp16, batches of 1 to 4, fastest at 2")
    with pytest.raises(SpecError, match=r"needs a folder to stand in\n = help: .*`resdsl\.compile_file`"):
        resdsl.compile(SPEC, "trt")


def test_what_is_refused_writes_nothing(tmp_path: Path) -> None:
    from resdsl.targets.tensorrt import EngineOptions

    for target, arguments, words in (
        ("onnx", {"engine": EngineOptions()}, "engine: it is for the target trt, and onnx is no engine"),
        ("trt", {"precision": "int8", "form": "ort-cpu"}, "form: an engine is always for TensorRT"),
        ("trt", {"engine": {"batch": 8}}, "engine cannot be {'batch': 8}"),
        ("trt", {"precision": "fp8"}, "there is no precision 'fp8'"),
        ("onnx", {"weights": "missing.safetensors"}, "missing.safetensors"),
    ):
        with pytest.raises(SpecError, match=words):
            resdsl.compile_file(SPEC, tmp_path / "out", target, **arguments)
    assert list(tmp_path.iterdir()) == []
