"""Int8 models: what is held in integers, that both runtimes' rules are kept, and how little the results move."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from functools import cache, partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from resdsl.diagnostics import SpecError
from resdsl.network.evaluate import random_input
from resdsl.network.initial import Weights
from resdsl.network.network import Network
from resdsl.passes.run import run_passes
from resdsl.passes.table import passes_of
from resdsl.spec import build
from resdsl.targets.onnx import OPSETS, onnx_model
from resdsl.targets.onnx_compare import Difference, difference
from resdsl.targets.onnx_file import Parts
from resdsl.targets.onnx_int8 import write
from resdsl.targets.onnx_int8.form import Quantised, activation, bias_integers, integers, weight_scales
from resdsl.targets.onnx_runtime import run_model
from resdsl.targets.onnx_tensors import Initialiser
from resdsl.targets.precision import Form
from resdsl.weights import CALIBRATED, network_weights
from tests.conftest import GOLDEN

PREACT = """resnet 1
unit u(width, stride = 1) {
    placement pre
    branch conv(3x3, width, stride) -> conv(3x3, width)
    shortcut identity
    projection conv(1x1)
}
network tiny(n = 2) {
    input 1x8x8
    stem  conv(3x3, 16)
    stage n * u(16)
    stage n * u(32) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(10)
}
"""
POST = (
    PREACT.replace("placement pre", "placement post")
    .replace("stem  conv(3x3, 16)", "stem  conv(3x3, 16) -> bn -> relu -> maxpool(3x3, 1, padding = 1)")
    .replace("head  bn -> relu -> ", "head  ")
)
FORMS = list(Form)
Digits = tuple[Network, Weights, NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


def made(text: str, *, fold: bool = True) -> tuple[Network, Weights]:
    network = build(text)
    weights = network_weights(network, CALIBRATED)
    return folded(network, weights) if fold else (network, weights)


def folded(network: Network, weights: Weights) -> tuple[Network, Weights]:
    last = run_passes(network, weights, passes_of(2))[-1]
    return last.network, last.weights


def quantise(model: onnx.ModelProto, x: NDArray[np.float32], form: Form) -> onnx.ModelProto:
    """Of a whole model, a whole one."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.initializer[:]
    arrays = ((tensor.name, onnx.numpy_helper.to_array(tensor)) for tensor in model.graph.initializer)
    held = [Initialiser(name, array.shape, array.dtype, partial(np.asarray, array)) for name, array in arrays]
    return write.quantise(Parts(bare, held), x, form).whole()


@cache
def models(text: str, form: Form, fold: bool = True) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """In float32 and in int8."""
    network, weights = made(text, fold=fold)
    model = onnx_model(network, weights)
    return model, quantise(model, random_input(network, 24, 1), form)


def constants(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def nodes(model: onnx.ModelProto, kind: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == kind]


def run(model: onnx.ModelProto, x: NDArray[np.float32], *, optimised: bool) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(["output"], {"input": x})[0]


def int8_error(model: onnx.ModelProto, int8: onnx.ModelProto, x: NDArray[np.float32]) -> Difference:
    return difference(run_model(int8.SerializeToString(), x), run_model(model.SerializeToString(), x))


def kinds_in_use(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    """The operators that ONNX Runtime made of a model on this machine."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3  # it warns that the file is for this machine
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fold", [True, False], ids=["folded", "unfolded"])
@pytest.mark.parametrize("text", [PREACT, POST], ids=["pre", "post"])
def test_models_are_valid_and_near_float(text: str, fold: bool, form: Form) -> None:
    model, int8 = models(text, form, fold)
    onnx.checker.check_model(int8, full_check=True)
    found = int8_error(model, int8, random_input(made(text, fold=fold)[0], 64, 2))
    assert 1e-4 < found.largest < 0.1
    assert found.agreement is not None
    assert found.agreement > 0.9


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "bound"), [("operators", 0.6), ("nested", 0.1), ("vectors", 0.1)])
def test_every_operator_goes_through(name: str, bound: float, form: Form) -> None:
    """`operators` normalises pairs of features, which is a step from -1 to 1: a few samples change sides."""
    network = build(GOLDEN / "specs" / f"{name}.resnet")
    model = onnx_model(network, network_weights(network, CALIBRATED))
    x = random_input(network, 16, 1)
    int8 = quantise(model, x, form)
    onnx.checker.check_model(int8, full_check=True)
    assert int8_error(model, int8, x).typical < bound


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_is_quantised(opset: int, form: Form) -> None:
    network, weights = made(PREACT)
    model = onnx_model(network, weights, opset=opset)
    x = random_input(network, 8, 1)
    int8 = quantise(model, x, form)
    onnx.checker.check_model(int8, full_check=True)
    assert int8_error(model, int8, x).largest < 0.1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", [PREACT, POST], ids=["pre", "post"])
def test_both_inputs_of_every_addition_are_quantised(text: str, form: Form) -> None:
    _, int8 = models(text, form)
    makers = {output: node for node in int8.graph.node for output in node.output}
    additions = nodes(int8, "Add")
    assert len(additions) == 4
    for node in [*additions, *nodes(int8, "Conv"), *nodes(int8, "Gemm")]:
        assert [makers[value].op_type for value in node.input[:2]] == ["DequantizeLinear"] * 2, node.name


@pytest.mark.parametrize("text", [PREACT, POST], ids=["pre", "post"])
def test_onnx_runtime_computes_in_integers_from_end_to_end(text: str, tmp_path: Path) -> None:
    """Only the input and what the last linear layer reads are quantised at run time; no ReLU is left in floats."""
    model, int8 = models(text, Form.ORT_CPU)
    kinds = kinds_in_use(int8, tmp_path)
    assert kinds["QLinearConv"] == len(nodes(model, "Conv"))
    assert kinds["QLinearAdd"] == len(nodes(model, "Add"))
    assert kinds["QGemm"] == 1
    assert kinds["QuantizeLinear"] <= 2
    assert kinds["DequantizeLinear"] <= 1
    assert not {"Conv", "FusedConv", "Add", "Relu", "Gemm", "BatchNormalization"} & set(kinds)


@pytest.mark.parametrize("text", [PREACT, POST], ids=["pre", "post"])
def test_kernels_in_integers_compute_what_the_graph_says(text: str) -> None:
    """Fused kernels round where the graph does, but for ties: their results are as far from float as the graph's."""
    model, int8 = models(text, Form.ORT_CPU)
    x = random_input(made(text)[0], 64, 3)
    exact = run(model, x, optimised=False)
    plain, fused = (np.square(run(int8, x, optimised=optimised) - exact).mean() for optimised in (False, True))
    assert fused < 1.5 * plain


def test_a_relu_on_the_stream_takes_its_scale() -> None:
    """It clips at the zero point, which stands for 0; the sum is quantised once for all that read it."""
    _, int8 = models(PREACT, Form.ORT_CPU)
    makers = {output: node for node in int8.graph.node for output in node.output}
    (clip,) = (node for node in int8.graph.node if node.name == "stage1.1.relu1")
    assert clip.op_type == "Clip"
    assert list(clip.input) == ["stage1.0.add.quantised", "stage1.0.add.zero_point"]
    (reading,) = (node for node in nodes(int8, "DequantizeLinear") if node.input[0] == clip.output[0])
    assert list(reading.input)[1:] == ["stage1.0.add.scale", "stage1.0.add.zero_point"]
    assert makers["stage1.0.add.quantised"].op_type == "QuantizeLinear"


def test_tensorrt_gets_what_its_parser_takes() -> None:
    model, int8 = models(PREACT, Form.TENSORRT)
    held, before = constants(int8), constants(model)
    points = [held[node.input[2]] for kind in ("QuantizeLinear", "DequantizeLinear") for node in nodes(int8, kind)]
    assert points
    assert all(point.dtype == np.int8 and not point.any() for point in points)
    biases = [node.input[2] for node in [*nodes(int8, "Conv"), *nodes(int8, "Gemm")] if len(node.input) > 2]
    assert len(biases) > 5
    for name in biases:
        np.testing.assert_array_equal(held[name], before[name])


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_the_nearest_integers_per_channel(form: Form) -> None:
    model, int8 = models(PREACT, form)
    held, before = constants(int8), constants(model)
    for node in [*nodes(model, "Conv"), *nodes(model, "Gemm")]:
        name, weight = node.input[1], before[node.input[1]]
        scale = held[f"{name}.scale"].reshape(-1, *[1] * (weight.ndim - 1))
        q = held[f"{name}.quantised"]
        assert q.dtype == np.int8
        assert q.min() >= -127
        assert (np.abs(q.reshape(len(q), -1)).max(axis=1) == 127).all()
        assert (np.abs(q * scale - weight) <= 0.501 * scale).all()
        assert name not in held


def test_biases_for_onnx_runtime_count_in_products_of_scales() -> None:
    model, int8 = models(PREACT, Form.ORT_CPU)
    held, before = constants(int8), constants(model)
    biased = [node for node in nodes(int8, "Conv") if len(node.input) > 2]
    assert len(biased) > 5
    for node in biased:
        x, weight, bias = (value.removesuffix(".dequantised") for value in node.input)
        source = next(n for n in nodes(int8, "DequantizeLinear") if n.output[0] == f"{x}.dequantised")
        np.testing.assert_array_equal(held[f"{bias}.scale"], held[source.input[1]] * held[f"{weight}.scale"])
        assert held[f"{bias}.quantised"].dtype == np.int32
        near = held[f"{bias}.quantised"] * held[f"{bias}.scale"].astype(np.float64)
        np.testing.assert_allclose(near, before[bias], atol=held[f"{bias}.scale"].max(), rtol=1e-6)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1), st.sampled_from(FORMS))
def test_scales_reach_all_values_and_hit_0(a: float, b: float, place: float, form: Form) -> None:
    low, high = min(a, b), max(a, b)
    found = activation(low, high, form)
    kinds = np.iinfo(found.zero_point.dtype)
    value = low + place * (high - low)
    q = np.clip(np.rint(value / found.scale) + found.zero_point, kinds.min, kinds.max)
    assert found.scale > 0
    assert abs(float(found.scale) * (q - float(found.zero_point)) - value) <= 1.01 * float(found.scale)
    assert form is Form.ORT_CPU or found.zero_point == 0


@given(st.floats(0, 1e3), st.floats(0, 1e9), st.floats(1e-6, 1e3))
def test_a_bias_fits_whatever_the_weights_are(weight: float, bias: float, scale: float) -> None:
    """Channels without weights, and those with large biases beside small weights."""
    x = Quantised(np.float32(scale), np.uint8(3))
    weights, biases = np.array([[weight, -weight / 2]], np.float32), np.array([bias], np.float32)
    scales = weight_scales(weights, biases, x)
    assert np.isfinite(scales).all()
    assert (scales > 0).all()
    unit = x.scale * scales
    assert bias_integers(biases, unit)[0] * float(unit[0]) == pytest.approx(
        float(biases[0]), abs=float(unit[0]), rel=1e-6
    )
    assert np.abs(integers(weights, scales) * scales - weights).max() <= 0.501 * scales[0]


def test_dead_channels_and_a_constant_input_stay_finite() -> None:
    network, weights = made(PREACT)
    weights = {name: array.copy() for name, array in weights.items()}
    weights["stage1.0.conv1.weight"][:8] = 0
    weights["stage2.1.conv2.weight"][:] = 0
    model = onnx_model(network, weights)
    for form in FORMS:
        for x in (random_input(network, 8, 1), np.zeros((1, 1, 8, 8), np.float32)):
            assert int8_error(model, quantise(model, x, form), x).largest < 0.1


@pytest.mark.parametrize("opset", [17, 20, 21])
@pytest.mark.parametrize("form", FORMS)
def test_the_bias_of_a_norm_is_no_residual_addition(form: Form, opset: int) -> None:
    """Below opset 21 a GroupNorm ends in an Add of its bias, which a node spreads first."""
    network = build(PREACT.replace("-> conv(3x3, width)", "-> groupnorm(4) -> conv(3x3, width)"))
    weights = network_weights(network, CALIBRATED)
    int8 = quantise(onnx_model(network, weights, opset=opset), random_input(network, 8, 1), form)
    held = {node.output[0] for node in nodes(int8, "DequantizeLinear")}
    additions = {node.name: node for node in nodes(int8, "Add")}
    norms = {name for name in additions if "groupnorm" in name}
    assert len(norms) == (0 if opset == 21 else 4)
    assert all(held.isdisjoint(additions[name].input) for name in norms)
    assert all(held.issuperset(additions[name].input) for name in additions.keys() - norms)
    assert len(additions) - len(norms) == 4


def test_the_model_that_is_given_stays() -> None:
    network, weights = made(PREACT)
    model = onnx_model(network, weights)
    before = model.SerializeToString(deterministic=True)
    quantise(model, random_input(network, 4, 1), Form.ORT_CPU)
    assert model.SerializeToString(deterministic=True) == before


def test_bytes_are_the_same_in_another_process() -> None:
    code = (
        "import hashlib\n"
        "from tests.targets.test_onnx_int8 import FORMS, PREACT, models\n"
        "print([hashlib.sha256(models(PREACT, form)[1].SerializeToString(deterministic=True)).hexdigest() for form in FORMS])"
    )
    root = Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert "[" in found.pop()


def test_many_samples_are_measured_in_parts() -> None:
    """Ranges over 40 samples, in parts of 16, 16 and 8, are those of all: what stands out is in the last part."""
    network, weights = made(PREACT)
    model = onnx_model(network, weights)
    x = random_input(network, 40, 1)
    x[-1] *= 9
    held = constants(quantise(model, x, Form.TENSORRT))
    assert held["input.scale"] == pytest.approx(np.abs(x).max() / 127)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_that_are_none_are_told(number: float) -> None:
    network, weights = made(PREACT)
    x = random_input(network, 4, 1)
    x[2, 0, 3, 3] = number
    with pytest.raises(SpecError, match="the calibration input is NaN or infinite"):
        quantise(onnx_model(network, weights), x, Form.ORT_CPU)


@pytest.mark.parametrize("factor", [3e38, np.nan], ids=["overflow", "nan"])
def test_numbers_that_overflow_inside_are_told(factor: float) -> None:
    network, weights = made(PREACT)
    weights = {**weights, "stage2.1.conv1.weight": weights["stage2.1.conv1.weight"] * np.float32(factor)}
    with pytest.raises(SpecError) as caught:
        quantise(onnx_model(network, weights), random_input(network, 4, 1), Form.ORT_CPU)
    assert "is NaN or infinite" in caught.value.diagnostics[0].message


def test_functions_are_refused() -> None:
    network, weights = made(PREACT)
    with pytest.raises(SpecError, match="leave `--functions` out"):
        quantise(onnx_model(network, weights, functions=True), random_input(network, 4, 1), Form.ORT_CPU)


def test_models_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "MAX_BYTES", 10_000)
    network, weights = made(PREACT)
    with pytest.raises(SpecError, match="below 2 GB, and tiny has more"):
        quantise(onnx_model(network, weights), random_input(network, 4, 1), Form.ORT_CPU)


def test_an_equal_model_has_no_error() -> None:
    model, _ = models(PREACT, Form.ORT_CPU)
    found = int8_error(model, model, random_input(made(PREACT)[0], 20, 2))
    assert (found.largest, found.typical, found.agreement) == (0, 0, 1)


def test_an_output_that_is_not_finite_differs_by_no_number() -> None:
    y = np.ones((2, 3))
    for wrong in (y * np.nan, y * np.inf, np.ones((2, 4))):
        found = difference(wrong, y)
        assert np.isnan([found.largest, found.typical]).all()
        assert found.agreement is None


def test_errors_are_measured_against_the_output() -> None:
    """A model that gives half of every output but the first differs by half where that is small, and then disagrees."""
    network, weights = made(PREACT)
    less = dict(weights)
    factor = np.array([1, *[-1] * 9], np.float32)
    less["head_linear.weight"] = weights["head_linear.weight"] * factor[:, np.newaxis]
    less["head_linear.bias"] = weights["head_linear.bias"] * factor
    x = random_input(network, 20, 2)
    model, other = onnx_model(network, weights), onnx_model(network, less)
    y = run(model, x, optimised=True)
    found = int8_error(model, other, x)
    assert found.largest == pytest.approx(2 * np.abs(y[:, 1:]).max() / np.abs(y).max(), rel=1e-4)
    assert found.typical == pytest.approx(2 * np.sqrt(np.square(y[:, 1:]).sum() / np.square(y).sum()), rel=1e-4)
    assert found.agreement == pytest.approx((y.argmax(axis=1) == (y * factor).argmax(axis=1)).mean())


def test_without_classes_there_is_no_agreement() -> None:
    network, weights = made("resnet 1\nnetwork filters { input 3x8x8 stem conv(3x3, 4) -> relu }\n")
    model = onnx_model(network, weights)
    x = random_input(network, 4, 1)
    found = int8_error(model, quantise(model, x, Form.ORT_CPU), x)
    assert found.agreement is None
    assert found.largest < 0.05


def test_the_tensorrt_form_builds_an_engine() -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    for form, taken in ((Form.TENSORRT, True), (Form.ORT_CPU, False)):
        network = builder.create_network(0)
        parser = trt.OnnxParser(network, logger)
        assert parser.parse(models(PREACT, form)[1].SerializeToString()) is taken
        if taken:
            config = builder.create_builder_config()
            config.num_compute_capabilities = 1
            config.set_compute_capability(trt.ComputeCapability.SM89, 0)
            profile = builder.create_optimization_profile()
            profile.set_shape("input", (1, 1, 8, 8), (8, 1, 8, 8), (8, 1, 8, 8))
            config.add_optimization_profile(profile)
            assert builder.build_serialized_network(network, config) is not None


@pytest.fixture(scope="module")
def digits() -> Digits:
    """PREACT trained on half of scikit-learn's digits: weights, training images, test images and their classes."""
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from resdsl.targets.torch_module import torch_module

    found = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    images = ((found.images[order, np.newaxis] - 4.9) / 6.0).astype(np.float32)
    classes = found.target[order].astype(np.int64)
    half = len(order) // 2
    x, y = torch.tensor(images[:half]), torch.tensor(classes[:half])
    network = build(PREACT)
    torch.manual_seed(0)
    module = torch_module(network, network_weights(network))
    epochs, batch = 8, 64
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # steps this small gain nothing from more, and lose much where cores are shared
    optimiser = torch.optim.SGD(module.parameters(), momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = epochs * (half // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.2, total_steps=steps)
    module.train()
    for _ in range(epochs):
        for part in torch.randperm(half)[: half // batch * batch].split(batch):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(module(x[part]), y[part]).backward()
            optimiser.step()
            schedule.step()
    torch.set_num_threads(threads)
    weights = {name: array.detach().numpy() for name, array in module.state_dict().items() if array.ndim}
    return network, weights, images[:half], images[half:], classes[half:]


@pytest.mark.slow
@pytest.mark.parametrize("samples", [64, 256])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fold", [True, False], ids=["folded", "unfolded"])
def test_a_trained_network_decides_as_before(digits: Digits, fold: bool, form: Form, samples: int) -> None:
    network, weights, train, test, classes = digits
    if fold:
        network, weights = folded(network, weights)
    model = onnx_model(network, weights)
    int8 = quantise(model, train[:samples], form)
    right, right8 = ((run(m, test, optimised=True).argmax(axis=1) == classes).mean() for m in (model, int8))
    assert right > 0.96
    assert right8 > right - 0.01
    found = int8_error(model, int8, test)
    assert found.agreement is not None
    assert found.agreement >= 0.99
    assert found.typical < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_the_error_is_no_larger_than_with_onnx_runtimes_own_tools(digits: Digits, form: Form, tmp_path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_static

    network, weights, train, test, _ = digits
    network, weights = folded(network, weights)
    model = onnx_model(network, weights)
    copy = onnx.load_from_string(model.SerializeToString())  # quantize_static writes into what it is given
    batches = iter([{"input": train[:256]}, None])

    class Reader:
        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(batches)

    symmetric = form is Form.TENSORRT
    quantize_static(
        copy,
        tmp_path / "theirs.onnx",
        Reader(),
        per_channel=True,
        activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": symmetric, "QuantizeBias": not symmetric},
    )
    theirs = int8_error(model, onnx.load(tmp_path / "theirs.onnx"), test)
    ours = int8_error(model, quantise(model, train[:256], form), test)
    assert ours.typical < 1.1 * theirs.typical
