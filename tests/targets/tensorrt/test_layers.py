"""The engine inspector's texts. They were written by hand in the formats that NVIDIA documents: there was no GPU to write real ones on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resdsl.diagnostics import SpecError
from resdsl.targets.tensorrt.layers import Layer, LayerTensor, operator, read_layers, summarise
from tests.conftest import GOLDEN

INSPECTOR = GOLDEN / "inspector"
UNIT = ["stage1.1.relu1", "stage1.1.conv1", "stage1.1.relu2", "stage1.1.conv2", "stage1.1.relu3", "stage1.1.conv3", "stage1.1.add"]  # fmt: skip


def layers(name: str) -> tuple[Layer, ...]:
    return read_layers((INSPECTOR / f"{name}.json").read_text(encoding="utf-8"))


def one(**fields: object) -> Layer:
    (layer,) = read_layers(json.dumps({"Layers": [fields]}))
    return layer


@pytest.mark.parametrize("version", ["tensorrt10", "tensorrt11"])
def test_every_node_of_a_unit_is_found_once_in_both_formats(version: str) -> None:
    found = [node for layer in layers(version) for node in layer.nodes if node.startswith("stage1.1.")]
    assert found == UNIT


def test_tensorrt_10_tells_type_and_layout_in_one_field() -> None:
    reformat, stem, *_, gemm = layers("tensorrt10")
    assert reformat.inputs == (LayerTensor("input", "float32", (8, 3, 32, 32), "Row major linear FP32"),)
    assert stem.outputs[0].dtype == "float16"
    assert stem.outputs[0].layout == "Channel major FP16 format where channel % 8 == 0"
    assert (stem.kind, stem.stream) == ("CaskConvolution", 0)
    assert stem.tactic is not None
    assert stem.tactic.startswith("sm90_xmma_fprop")
    assert gemm.outputs == (LayerTensor("output", None, (-1, 10), None),), "nothing is known before the batch is"


def test_tensorrt_11_tells_them_in_two() -> None:
    reformat, relu, *_ = layers("tensorrt11")
    assert [tensor.dtype for tensor in (*reformat.inputs, *reformat.outputs)] == ["float32", "float16"]
    assert relu.outputs[0].layout == "Channel major FP16 format where channel % 8 == 0 (kHWC8)"
    assert relu.outputs[0].dimensions == (8, 64, 32, 32)


def test_both_versions_are_summarised_alike() -> None:
    ten, eleven = summarise(layers("tensorrt10")), summarise(layers("tensorrt11"))
    for summary in (ten, eleven):
        assert [(group.what, len(group.layers)) for group in summary.fusions] == [("Conv + Relu", 2), ("Conv + Add", 1)]
        assert summary.reformats == 1
    assert ten.layers == 7
    assert ten.kinds == (("CaskConvolution", 4), ("Reformat", 1), ("PointWiseV2", 1), ("MatrixMultiply", 1))
    tactics = [[layer.nodes[0] for layer in group.layers] for group in ten.convolutions]
    assert tactics == [["stem_conv", "stage1.1.conv2"], ["stage1.1.conv1", "stage1.1.conv3"]]


def test_a_node_that_became_two_operations_is_no_fusion() -> None:
    *_, gemm = layers("tensorrt10")
    assert gemm.nodes == ("head_linear",)
    assert not gemm.is_convolution


def test_a_reformat_does_no_node_even_where_it_names_one() -> None:
    reformat = one(
        Name="x copy", LayerType="Reformat", TacticName="t", Metadata="[ONNX Layer: a.conv1]\x1e[ONNX Layer: a.add]"
    )
    summary = summarise([reformat])
    assert (summary.fusions, summary.convolutions, summary.reformats) == ((), (), 1)


def test_names_alone_tell_fusions_and_reformats() -> None:
    found = layers("names_only")
    assert [layer.nodes for layer in found] == [
        (),
        ("stem_conv",),
        ("stage1.1.relu1",),
        ("stage1.1.conv1", "stage1.1.relu2"),
        ("stage1.1.conv2", "stage1.1.relu3"),
        ("stage1.1.conv3", "stage1.1.add"),
        (),
        ("head_linear.bias",),
    ]
    assert {(layer.kind, layer.tactic, layer.stream, layer.inputs) for layer in found} == {(None, None, None, ())}
    summary = summarise(found)
    assert (summary.layers, summary.kinds) == (8, ())
    assert (len(summary.fusions), summary.convolutions, summary.reformats) == (2, (), 1)


def test_myelin_layers_name_their_nodes_in_functions_too() -> None:
    cast, stem, fused, signal = layers("myelin")
    assert fused.nodes[:4] == ("stage1.1.relu1", "stage1.1.conv1", "stage1.1.relu2", "stage1.1.conv2")
    assert (len(fused.nodes), fused.stream) == (12, 1)
    assert stem.inputs == (LayerTensor("__myln_k_arg__bb1_0", "bfloat16", (-1, 8, 32, 32), None),)
    assert fused.convolutions[:2] == ("stage1.1.conv1", "stage1.1.conv2")
    assert (cast.is_convolution, stem.is_convolution, fused.is_convolution) == (False, True, True)
    assert (signal.nodes, signal.tactic) == ((), None)


def test_long_patterns_are_counted() -> None:
    summary = summarise(layers("myelin"))
    assert [group.what for group in summary.fusions] == ["Cast + Conv", "6 Relu + 6 Conv"]


def test_functions_in_functions_read_from_the_outermost() -> None:
    """TensorRT for RTX 1.7 parsed a model with such a node, and its layer had this metadata."""
    layer = one(Name="n0", Metadata="[ONNX Layer: n0 | block2 (inner) | stage1.0 (outer)]")
    assert layer.nodes == ("stage1.0.block2.n0",)


def test_torch_tensorrt_tells_modules_in_the_names() -> None:
    relu, conv = layers("torch")
    assert relu.nodes == ("stage1.1/relu_3",)
    assert conv.nodes == ("stage1.1.conv3/convolution_6", "stage1.1/add_1")
    (fusion,) = summarise([relu, conv]).fusions
    assert fusion.what == "Convolution + Add"
    assert conv.is_convolution


@pytest.mark.parametrize(
    ("node", "named"),
    [
        ("stage1.17.conv3", "Conv"),
        ("stem_conv", "Conv"),
        ("stage2.0.shortcut_conv", "Conv"),
        ("head_global_avgpool", "Avgpool"),
        ("stage1.0.relu1.quantise", "Quantise"),
        ("stage1.0.conv1.weight.dequantise", "Dequantise"),
        ("stage1.0.conv1/convolution_53", "Convolution"),
        ("stage1.0.bn1/_native_batch_norm_3", "Native_batch_norm"),
        ("7", "7"),
    ],
)
def test_operators(node: str, named: str) -> None:
    assert operator(node) == named


def test_convert_is_no_convolution() -> None:
    assert not one(Name="a", LayerType="Cast", TacticName="t", Metadata="[ONNX Layer: convert]").is_convolution


@pytest.mark.parametrize(
    ("words", "dtype"),
    [
        ("Thirty-two wide channel vectorized row major Int8 format", "int8"),
        ("Row major linear BF16 format", "bfloat16"),
        ("Two wide channel vectorized row major FP16 format", "float16"),
        ("Float", "float32"),
        ("Half", "float16"),
        ("Int64", "int64"),
        ("Bool", "bool"),
        ("FP8", None),
        ("N/A due to dynamic shapes", None),
    ],
)
def test_types(words: str, dtype: str | None) -> None:
    (tensor,) = one(Name="a", Inputs=[{"Name": "x", "Format/Datatype": words}]).inputs
    assert tensor.dtype == dtype
    (tensor,) = one(Name="a", Inputs=[{"Name": "x", "Datatype": words}]).inputs
    assert tensor.dtype == dtype


def test_what_is_missing_or_of_another_type_is_none() -> None:
    assert one() == Layer("layer 0", None, (), None, (), (), None)
    odd = one(
        Name=3, LayerType=None, Inputs="x", Outputs=[1, {"Dimensions": [1, "n"]}], StreamId="0", Metadata=[], Later={}
    )
    assert odd == Layer("layer 0", None, (), None, (), (LayerTensor("", None, None, None),), None)


def test_separators_may_stand_in_the_text_as_they_are() -> None:
    (layer,) = read_layers('{"Layers": [{"Name": "a", "Metadata": "[ONNX Layer: a.conv1]\x1e[ONNX Layer: a.relu2]"}]}')
    assert layer.nodes == ("a.conv1", "a.relu2")


def test_no_layers() -> None:
    assert summarise(read_layers('{"Layers": [], "I/O Tensors": []}')).layers == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is no JSON"),
        ("Layers:\nstem_conv\n", "it is no JSON"),
        ("[]", "no list `Layers`"),
        ('{"Bindings": []}', "no list `Layers`"),
        ('{"Layers": {"Name": "a"}}', "no list `Layers`"),
        ('{"Layers": ["a", 3]}', "layer 1 is neither"),
        ("[" * 100_000, "it is no JSON"),
    ],
)
def test_another_text_is_refused(text: str, why: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_layers(text)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "unreadable-layers"
    assert why in diagnostic.message
    assert diagnostic.help


def test_the_inspector_texts_hold_no_layer_that_is_not_read() -> None:
    for path in Path(INSPECTOR).glob("*.json"):
        assert len(layers(path.stem)) == len(json.loads(path.read_text(encoding="utf-8"))["Layers"])
