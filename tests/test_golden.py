"""Golden files, a text per stage. The oracles stand beside them: test_specs, test_references and targets/."""

from __future__ import annotations

import pprint
from pathlib import Path

import onnx
import pytest

from resdsl.diagnostics import SpecError
from resdsl.network.document import to_json
from resdsl.network.initial import initial_weights
from resdsl.semantics.expand import expand
from resdsl.source import Source
from resdsl.spec import build, check
from resdsl.syntax.parser import parse_file
from resdsl.syntax.printer import print_file
from resdsl.targets.onnx import onnx_model
from resdsl.targets.torch_source import torch_source
from tests.conftest import GOLDEN, SPECS, Golden

NETWORKS = [
    ("preact1001.resnet", "preact1001"),
    ("resnet110.resnet", "gate_exclusive"),
    ("resnet110.resnet", "preact110"),
    ("resnet164.resnet", "relu_before_add164"),
    ("imagenet.resnet", "preact152"),
]
SMALL = ["operators", "nested", "vectors"]


def source(path: Path) -> Source:
    """A source whose name does not depend on where the tests run."""
    return Source(path.name, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SMALL)
def test_small_networks(name: str, golden: Golden) -> None:
    text = source(GOLDEN / "specs" / f"{name}.resnet")
    golden(f"tree/{name}.txt", pprint.pformat(parse_file(text).items, width=110) + "\n")
    network = build(text)
    golden(f"document/{name}.json", to_json(network))
    golden(f"expanded/{name}.resnet", print_file(expand(network)))
    golden(f"torch/{name}.py", torch_source(network))
    golden(f"onnx/{name}.txt", onnx_text(onnx_model(network, initial_weights(network))))
    golden(f"onnx/{name}_functions.txt", onnx_text(onnx_model(network, initial_weights(network), functions=True)))


@pytest.mark.parametrize(("file", "name"), NETWORKS)
def test_networks_of_the_papers(file: str, name: str, golden: Golden) -> None:
    network = build(SPECS / file, name)
    golden(f"torch/{name}.py", torch_source(network))
    golden(f"expanded/{name}.resnet", print_file(expand(network)))


def test_document_and_functions_of_preact1001(golden: Golden) -> None:
    network = build(source(SPECS / "preact1001.resnet"))
    golden("document/preact1001.json", to_json(network))
    text = onnx_text(onnx_model(network, initial_weights(network), functions=True))
    golden("onnx/preact1001_functions.txt", text[: text.index("graph")])


@pytest.mark.parametrize("path", sorted((GOLDEN / "errors").glob("*.resnet")), ids=lambda path: path.stem)
def test_diagnostics(path: Path, golden: Golden) -> None:
    found = check(source(path))
    assert found, "a file in golden/errors has errors"
    golden(f"errors/{path.stem}.txt", "\n\n".join(diagnostic.render() for diagnostic in found) + "\n")


def test_a_parameter_error_has_its_own_place(golden: Golden) -> None:
    with pytest.raises(SpecError) as caught:
        build(SPECS / "resnet110.resnet", "resnet110", {"shortcut": "scale(0.5, brnch = 1)"})
    golden("errors/parameter.txt", str(caught.value) + "\n")


def onnx_text(model: onnx.ModelProto) -> str:
    """The model without the numbers of its weights."""
    opsets = ", ".join(f"{o.domain or 'onnx'} {o.version}" for o in model.opset_import)
    lines = [f"ir {model.ir_version}, opset {opsets}"]
    for function in model.functions:
        lines.append(f"function {function.name}({', '.join(function.input)}) -> {', '.join(function.output)}")
        lines += [f"    {node_text(node)}" for node in function.node]
    lines.append(f"graph {model.graph.name}")
    for kind, values in (("input", model.graph.input), ("output", model.graph.output)):
        for value in values:
            extents = "x".join(str(d.dim_param or d.dim_value) for d in value.type.tensor_type.shape.dim)
            lines.append(f"    {kind} {value.name}: {extents}")
    for tensor in model.graph.initializer:
        extents = "x".join(map(str, tensor.dims)) or "scalar"
        lines.append(f"    {tensor.name}: {extents} {onnx.TensorProto.DataType.Name(tensor.data_type).lower()}")
    lines += [f"    {node_text(node)}" for node in model.graph.node]
    return "\n".join(lines) + "\n"


def node_text(node: onnx.NodeProto) -> str:
    attributes = ", ".join(f"{a.name}={attribute_text(a)}" for a in node.attribute)
    return (
        f"{', '.join(node.output)} = {node.op_type}({', '.join(node.input)}){f' [{attributes}]' if attributes else ''}"
    )


def attribute_text(attribute: onnx.AttributeProto) -> str:
    value = onnx.helper.get_attribute_value(attribute)
    match value:
        case onnx.TensorProto():
            return str(onnx.numpy_helper.to_array(value).tolist())
        case float():
            return f"{value:.6g}"
        case _:
            return str(list(value) if hasattr(value, "__len__") else value)
