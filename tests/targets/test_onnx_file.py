"""ONNX files: the bytes that protobuf itself would write, and weights in a second file."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from resdsl.network.evaluate import random_input
from resdsl.network.initial import Weights
from resdsl.network.network import Network
from resdsl.spec import build
from resdsl.targets.onnx import onnx_bytes, onnx_model, onnx_parts
from resdsl.targets.onnx_file import GRANULE, INLINE, LARGE, PAGE, write_model, write_model_beside
from resdsl.targets.precision import Precision
from resdsl.weights import CALIBRATED, network_weights
from tests.conftest import GOLDEN

WIDE = """\
resnet 1
network wide {
    input 64x4x4
    stem  conv(3x3, 512) -> bn -> relu
    head  avgpool -> linear(1024) -> relu -> linear(3)
}
"""


def made(name: str) -> tuple[Network, Weights]:
    network = build(WIDE if name == "wide" else GOLDEN / "specs" / f"{name}.resnet")
    return network, network_weights(network, CALIBRATED)


def run(model: bytes | str, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(["output"], {"input": x})[0]


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.BF16])
@pytest.mark.parametrize("functions", [False, True], ids=["inlined", "functions"])
@pytest.mark.parametrize("metadata", [{}, {"b": "", "a": "é" * 200}], ids=["", "metadata"])
@pytest.mark.parametrize("name", ["operators", "nested", "vectors"])
def test_the_bytes_are_those_of_protobuf(
    name: str, metadata: dict[str, str], functions: bool, precision: Precision
) -> None:
    network, weights = made(name)
    model = onnx_model(network, weights, functions=functions, precision=precision, metadata=metadata)
    data = onnx_bytes(network, weights, functions=functions, precision=precision, metadata=metadata)
    assert data == model.SerializeToString(deterministic=True)
    assert onnx.load_from_string(data) == model
    assert [(entry.key, entry.value) for entry in model.metadata_props] == sorted(metadata.items())


def test_how_many_bytes_were_written() -> None:
    network, weights = made("nested")
    stream = io.BytesIO()
    assert write_model(onnx_parts(network, weights), stream) == len(stream.getvalue())


def test_writing_makes_no_copy_of_all_weights() -> None:
    network, weights = made("wide")
    parts = onnx_parts(network, weights)

    class Counting(io.RawIOBase):
        size = 0

        def write(self, data: object) -> int:
            length = memoryview(data).nbytes
            self.size += length
            return length

    stream = Counting()
    tracemalloc.start()
    try:
        write_model(parts, stream)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stream.size > 3_000_000
    assert peak < 200_000


# Weights beside the model.


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
@pytest.mark.parametrize("name", ["wide", "operators"])
def test_weights_beside_the_model(tmp_path: Path, name: str, precision: Precision) -> None:
    network, weights = made(name)
    parts = onnx_parts(network, weights, precision=precision)
    path, data = tmp_path / "m.onnx", tmp_path / "m.onnx.data"
    with path.open("wb") as model_stream, data.open("wb") as data_stream:
        written = write_model_beside(parts, model_stream, data_stream, data.name)
    assert written == path.stat().st_size + data.stat().st_size
    onnx.checker.check_model(str(path), full_check=True)
    x = random_input(network, 2)
    assert np.array_equal(run(str(path), x), run(onnx_bytes(network, weights, precision=precision), x))
    loaded, whole = onnx.load(path).graph.initializer, parts.whole().graph.initializer
    assert [(t.name, t.dims, t.raw_data) for t in loaded] == [(t.name, t.dims, t.raw_data) for t in whole]

    end = 0
    outside = [t for t in onnx.load(path, load_external_data=False).graph.initializer if t.external_data]
    for tensor in outside:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        offset, length = int(entries["offset"]), int(entries["length"])
        assert entries["location"] == "m.onnx.data"
        assert offset % (GRANULE if length >= LARGE else PAGE) == 0
        assert end <= offset < end + GRANULE
        assert length >= INLINE
        end = offset + length
    assert end == data.stat().st_size
    assert bool(outside)
