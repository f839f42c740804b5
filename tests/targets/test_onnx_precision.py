"""Typed graphs: fp16 and bf16 in every node, float32 at both ends, and numbers that 16 bits cannot hold."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.inliner
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from resdsl.diagnostics import SpecError
from resdsl.network.evaluate import evaluate, random_input
from resdsl.network.initial import Weights
from resdsl.network.network import Network
from resdsl.spec import Parameter, build
from resdsl.targets.onnx import BF16_OPSET, OPSETS, onnx_bytes, onnx_model
from resdsl.targets.precision import Precision
from resdsl.weights import CALIBRATED, network_weights
from tests.conftest import GOLDEN, SPECS

FP16, BF16 = Precision.FP16, Precision.BF16
TYPES = {FP16: onnx.TensorProto.FLOAT16, BF16: onnx.TensorProto.BFLOAT16}
FP16_TO_FP32 = 2.0**-11 / 2.0**-24
"""How much coarser fp16 rounds; what a deep network makes of roundings, it makes of those of float32 too."""
SMALL = ["operators", "nested", "vectors"]
OF_PAPERS: list[tuple[str, str, dict[str, Parameter]]] = [
    ("resnet110.resnet", "preact110", {}),
    ("resnet110.resnet", "gate_exclusive", {}),
    ("resnet164.resnet", "preact164", {}),
    ("imagenet_basic.resnet", "resnet18", {"image": (3, 64, 64)}),
]


def made(name: str) -> tuple[Network, Weights]:
    network = build(GOLDEN / "specs" / f"{name}.resnet")
    return network, network_weights(network, CALIBRATED)


def in_onnx_runtime(network: Network, weights: Weights, x: np.ndarray, **options: object) -> np.ndarray:
    data = onnx_bytes(network, weights, precision=FP16, **options)
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]


def relative_error(network: Network, weights: Weights, x: np.ndarray, y: np.ndarray) -> float:
    assert y.dtype == np.float32
    y64 = evaluate(network, weights, x.astype(np.float64))
    return float(np.abs(y - y64).max() / np.abs(y64).max())


@pytest.mark.parametrize("functions", [False, True], ids=["inlined", "functions"])
@pytest.mark.parametrize(
    ("precision", "opset"),
    [(FP16, opset) for opset in OPSETS] + [(BF16, opset) for opset in OPSETS if opset >= BF16_OPSET],
    ids=lambda value: value.value if isinstance(value, Precision) else str(value),
)
@pytest.mark.parametrize("name", SMALL)
def test_every_value_inside_has_the_type(name: str, precision: Precision, opset: int, functions: bool) -> None:
    network, weights = made(name)
    model = onnx_model(network, weights, precision=precision, opset=opset, functions=functions)
    onnx.checker.check_model(model, full_check=True)
    model = onnx.shape_inference.infer_shapes(onnx.inliner.inline_local_functions(model), True, True, True)
    ends = [value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)]
    assert ends == [onnx.TensorProto.FLOAT] * 2
    inside = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    assert {inside[name] for node in model.graph.node[:-1] for name in node.output} - {onnx.TensorProto.INT64} == {
        TYPES[precision]
    }
    assert {tensor.data_type for tensor in model.graph.initializer} <= {TYPES[precision], onnx.TensorProto.INT64}


@pytest.mark.parametrize("functions", [False, True], ids=["inlined", "functions"])
@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("name", SMALL)
def test_fp16_in_onnx_runtime(name: str, opset: int, functions: bool) -> None:
    network, weights = made(name)
    x = random_input(network, 3, 9)
    y = in_onnx_runtime(network, weights, x, opset=opset, functions=functions)
    assert 1e-6 < relative_error(network, weights, x, y) < 5e-3


@pytest.mark.slow
@pytest.mark.parametrize(("file", "name", "parameters"), OF_PAPERS)
def test_fp16_of_deep_networks(file: str, name: str, parameters: dict[str, Parameter]) -> None:
    network = build(SPECS / file, name, parameters)
    weights = network_weights(network, CALIBRATED)
    x = random_input(network, 2)
    own = relative_error(network, weights, x, evaluate(network, weights, x))
    error = relative_error(network, weights, x, in_onnx_runtime(network, weights, x))
    assert own < error < 4 * own * FP16_TO_FP32


@pytest.mark.parametrize("functions", [False, True], ids=["inlined", "functions"])
@pytest.mark.parametrize("name", SMALL)
def test_bf16_where_each_node_is_rounded(name: str, functions: bool) -> None:
    """In onnx's reference implementation: ONNX Runtime has no bfloat16 convolutions on a CPU."""
    network, weights = made(name)
    x = random_input(network, 3, 9)
    model = onnx.inliner.inline_local_functions(onnx_model(network, weights, precision=BF16, functions=functions))
    (y,) = ReferenceEvaluator(model).run(None, {"input": x})
    assert 1e-4 < relative_error(network, weights, x, y) < 4e-2


# What 16 bits cannot hold.

NORM = "resnet 1\nnetwork n { input 4x6x6 stem conv(3x3, 8) -> bn -> relu head avgpool -> linear(3) }\n"


def normed(**values: float) -> tuple[Network, Weights]:
    """A network whose norm's tensors hold these values in their first channel."""
    network = build(NORM)
    weights = network_weights(network, CALIBRATED)
    for part, value in values.items():
        weights[f"stem_bn.{part}"][0] = value
    return network, weights


@pytest.mark.parametrize("precision", [FP16, BF16])
@pytest.mark.parametrize(
    "values",
    [
        {"running_var": 1e9, "weight": 1e4},
        {"running_var": 0.0},
        {"running_var": 1e-8, "weight": 1e-3},
        {"running_mean": 1e5, "running_var": 1e10, "weight": 2e4},
    ],
    ids=["large variance", "no variance", "small variance", "large mean"],
)
def test_statistics_beyond_16_bits(values: dict[str, float], precision: Precision) -> None:
    network, weights = normed(**values)
    x = random_input(network, 3)
    model = onnx_model(network, weights, precision=precision)
    (y,) = ReferenceEvaluator(model).run(None, {"input": x})
    assert relative_error(network, weights, x, y) < (5e-3 if precision is FP16 else 4e-2)
    if precision is FP16:
        assert relative_error(network, weights, x, in_onnx_runtime(network, weights, x)) < 5e-3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"weight": 1e9}, r"stem_bn\.weight holds [\d.e+]+, and fp16 ends at 65504"),
        ({"bias": -1e6}, r"stem_bn\.bias holds 1e\+06, and fp16 ends at 65504"),
        ({"running_var": 0.0, "weight": 1000.0}, r"stem_bn\.weight holds 3\.16\d*e\+05"),
    ],
    ids=["weight", "bias", "with its statistics"],
)
@pytest.mark.parametrize("functions", [False, True], ids=["inlined", "functions"])
def test_what_fp16_cannot_hold_is_named(values: dict[str, float], words: str, functions: bool) -> None:
    network, weights = normed(**values)
    with pytest.raises(SpecError, match=words) as caught:
        onnx_model(network, weights, precision=FP16, functions=functions)
    (found,) = caught.value.diagnostics
    assert (found.code, found.help[:28]) == ("out-of-range", "write with `--precision bf16")
    model = onnx_model(network, weights, precision=BF16, functions=functions)
    assert np.isfinite(ReferenceEvaluator(model).run(None, {"input": random_input(network, 1)})[0]).all()


def test_the_edge_of_the_range() -> None:
    network = build("resnet 1\nnetwork n { input 2 head linear(1, bias = false) }\n")

    def written(value: float, precision: Precision) -> onnx.ModelProto:
        return onnx_model(network, {"head_linear.weight": np.array([[value, 0]], np.float32)}, precision=precision)

    assert onnx.numpy_helper.to_array(written(65519.0, FP16).graph.initializer[0]).max() == 65504
    with pytest.raises(SpecError, match="holds 65520, and fp16 ends at 65504"):
        written(65520.0, FP16)
    with pytest.raises(SpecError, match=r"holds 3\.4e\+38, and bf16 ends at 3\.3895e\+38") as caught:
        written(3.4e38, BF16)
    assert "--precision fp32" in caught.value.diagnostics[0].help
    assert not onnx.numpy_helper.to_array(written(1e-9, FP16).graph.initializer[0]).any()


def test_a_factor_that_fp16_cannot_hold() -> None:
    network = build("resnet 1\nnetwork n { input 2 head scale(1e6) }\n")
    with pytest.raises(SpecError, match=r"head_scale holds 1e\+06, and fp16 ends at 65504"):
        onnx_model(network, {}, precision=FP16)


def test_an_empty_network_is_two_casts() -> None:
    network = build("resnet 1\nnetwork n { input 3 }\n")
    x = np.array([[1.0, 1 + 2**-9, 1 + 2**-12]], np.float32)
    assert in_onnx_runtime(network, {}, x).tolist() == [[1.0, 1 + 2**-9, 1.0]]


def test_bf16_needs_operators_that_take_it() -> None:
    network, weights = made("vectors")
    assert onnx_model(network, weights, precision=BF16).opset_import[0].version == BF16_OPSET
    with pytest.raises(SpecError, match="opset 21 has no bf16 convolutions"):
        onnx_model(network, weights, precision=BF16, opset=21)


def test_int8_is_no_type_of_a_graph() -> None:
    network, weights = made("vectors")
    with pytest.raises(ValueError, match="quantise"):
        onnx_model(network, weights, precision=Precision.INT8)
