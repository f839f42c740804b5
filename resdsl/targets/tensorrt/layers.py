"""What is in an engine, as TensorRT's engine inspector says it: its layers, and which of our nodes each of them does, and how.

The inspector's JSON differs between versions. TensorRT 10 writes a tensor's layout and type into one field,
`Format/Datatype`; TensorRT 11 and TensorRT for RTX write `Format` and `Datatype`. An engine that was built without details
has names in the place of layers. A layer's metadata names the ONNX nodes it was made of; torch-tensorrt gives none, and
writes the module and the node into the layer's name.
Source: NVIDIA TensorRT, "Engine Inspector" and "Migrating IEngineInspector Usage from TensorRT 10.x to 11.x".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from resdsl.diagnostics import SpecError, fail

LONGEST_PATTERN = 8
"""Of operators that are written one by one. Longer ones are counted: Myelin makes one layer of whole stages."""

_ONNX = re.compile(r"\[ONNX Layer: ([^\]\x1e\x1f]*)\]")
_FUNCTION = re.compile(r" \([^()]*\)$")
_TORCH = re.compile(r"\[[A-Z_]+\]-\[[^\]]*\]-\[([^\]]*)\]")
_POINTWISE = re.compile(r"PWN\(|[(),]")
_REFORMATTING = "Reformatting CopyNode"
_NOT_OURS = ("{ForeignNode", "__my", "ONNXTRT_", "(Unnamed Layer")
"""How names begin that stand for a range of nodes, or for what the parser puts between them."""
_CONVOLUTIONS = ("Conv", "Convolution")
_TYPES = {
    "fp32": "float32",
    "float": "float32",
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "bfloat16": "bfloat16",
    "int8": "int8",
    "int32": "int32",
    "int64": "int64",
    "bool": "bool",
}


@dataclass(frozen=True, slots=True)
class LayerTensor:
    """What a layer reads or writes. dtype: numpy's name. dimensions: with the batch; -1 for what is open until it runs.
    layout: how it lies in memory, in TensorRT's words. None for what the inspector does not say.
    """

    name: str
    dtype: str | None
    dimensions: tuple[int, ...] | None
    layout: str | None


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an engine. kind: TensorRT's name of it, such as CaskConvolution or kgen. nodes: the nodes of our model
    that it does, by their names, each once. tactic: the kernel's name. stream: the number of the CUDA stream. None for
    what the inspector does not say.
    """

    name: str
    kind: str | None
    nodes: tuple[str, ...]
    tactic: str | None
    inputs: tuple[LayerTensor, ...]
    outputs: tuple[LayerTensor, ...]
    stream: int | None

    @property
    def is_reformat(self) -> bool:
        """Whether it only changes how a tensor lies in memory. TensorRT names nodes at some of these all the same."""
        return self.kind == "Reformat" or (self.kind is None and self.name.startswith(_REFORMATTING))

    @property
    def is_convolution(self) -> bool:
        """Whether it multiplies for a convolution. A kgen layer that names one is what Myelin generates around it."""
        if self.is_reformat or self.kind in ("kgen", "NoOp"):
            return False
        return "conv" in (self.kind or "").lower() or bool(self.convolutions)

    @property
    def convolutions(self) -> tuple[str, ...]:
        """Those of its nodes that are convolutions."""
        return tuple(node for node in self.nodes if operator(node) in _CONVOLUTIONS)


@dataclass(frozen=True, slots=True)
class Group:
    """Layers that have something in common. what: operators, joined by +, or a tactic."""

    what: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """kinds: how many layers of each kind that is known, the most frequent first. fusions: layers that do several of our nodes, by the
    operators of these. convolutions: by tactic, without those that have none. reformats: how many layers only copy a tensor
    from layout to layout.
    """

    layers: int
    kinds: tuple[tuple[str, int], ...]
    fusions: tuple[Group, ...]
    convolutions: tuple[Group, ...]
    reformats: int


def read_layers(information: str) -> tuple[Layer, ...]:
    """The layers in what `IEngineInspector.get_engine_information` gives as JSON, in their order.

    Fields that are not known are passed over, those that are missing are None. Raises SpecError if this is no such JSON.
    """
    try:
        document = json.loads(information, strict=False)  # some versions write control characters as they are
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"it is no JSON: {error}") from None
    found = document.get("Layers") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise _unreadable("it has no list `Layers`")
    return tuple(_layer(each, index) for index, each in enumerate(found))


def summarise(layers: Iterable[Layer]) -> Summary:
    """What an engine's layers are, in a few lines."""
    layers = tuple(layers)
    return Summary(
        len(layers),
        tuple(Counter(layer.kind for layer in layers if layer.kind).most_common()),
        _groups((_pattern(layer.nodes), layer) for layer in layers if len(layer.nodes) > 1 and not layer.is_reformat),
        _groups((layer.tactic, layer) for layer in layers if layer.tactic and layer.is_convolution),
        sum(layer.is_reformat for layer in layers),
    )


def operator(node: str) -> str:
    """The operator in a node's name: Conv for stage1.17.conv3 and head_conv, Convolution for stage1.17.conv3/convolution_53."""
    module, _, function = node.rpartition("/")
    last = function if module else re.split(r"[._]", node.rstrip("_0123456789"))[-1]
    return last.strip("_0123456789").capitalize() or node


def _layer(found: Any, index: int) -> Layer:
    match found:
        case str():
            return Layer(found, None, _nodes_in_name(found), None, (), (), None)
        case dict():
            name = _text(found, "Name") or f"layer {index}"
            stream = found.get("StreamId")
            return Layer(
                name,
                _text(found, "LayerType"),
                _nodes(_text(found, "Metadata") or "") or _once(_TORCH.findall(name)),
                _text(found, "TacticName"),
                _tensors(found.get("Inputs")),
                _tensors(found.get("Outputs")),
                stream if isinstance(stream, int) else None,
            )
        case _:
            raise _unreadable(f"layer {index} is neither an object nor a name")


def _nodes(metadata: str) -> tuple[str, ...]:
    return _once(_scoped(name) for name in _ONNX.findall(metadata))


def _scoped(name: str) -> str:
    """A node's name without functions: stage1.0.conv1 for `conv1 | stage1.0 (bottleneck_1)`, where the innermost is first."""
    own, *scopes = name.split(" | ")
    return ".".join([*(_FUNCTION.sub("", scope) for scope in reversed(scopes)), own])


def _nodes_in_name(name: str) -> tuple[str, ...]:
    """The nodes that a layer's name lists, joined by +, where it is all that there is."""
    if name.startswith(_REFORMATTING):
        return ()
    if named := _TORCH.findall(name):
        return _once(named)
    ours = (part for part in name.split(" + ") if not part.startswith(_NOT_OURS))
    return _once(node for part in ours for node in _POINTWISE.split(part))


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stripped for name in names if (stripped := name.strip())))


def _tensors(found: Any) -> tuple[LayerTensor, ...]:
    return tuple(_tensor(each) for each in found if isinstance(each, dict)) if isinstance(found, list) else ()


def _tensor(found: dict[str, Any]) -> LayerTensor:
    both = _text(found, "Format/Datatype")
    dtype = _dtype(_text(found, "Datatype") or _text(found, "DataType") or both or "")
    layout = _text(found, "Format") or (both if both and " " in both else None)
    known = layout is not None and "due to dynamic shapes" not in layout
    dimensions = found.get("Dimensions")
    is_shape = isinstance(dimensions, list) and all(isinstance(size, int) for size in dimensions)
    return LayerTensor(_text(found, "Name") or "", dtype, tuple(dimensions) if is_shape else None, layout if known else None)  # fmt: skip


def _dtype(text: str) -> str | None:
    """The type that TensorRT's words name, such as `Half`, or `Channel major FP16 format where channel % 8 == 0`."""
    return next((_TYPES[word] for word in re.findall(r"[a-z]+\d*", text.lower()) if word in _TYPES), None)


def _text(found: dict[str, Any], field: str) -> str | None:
    value = found.get(field)
    return value if isinstance(value, str) and value else None


def _pattern(nodes: tuple[str, ...]) -> str:
    operators = [operator(node) for node in nodes]
    if len(operators) <= LONGEST_PATTERN:
        return " + ".join(operators)
    return " + ".join(f"{count} {name}" for name, count in Counter(operators).items())


def _groups(pairs: Iterable[tuple[str, Layer]]) -> tuple[Group, ...]:
    """By what is said of them, the largest group first."""
    found: dict[str, list[Layer]] = {}
    for what, layer in pairs:
        found.setdefault(what, []).append(layer)
    return tuple(Group(what, tuple(layers)) for what, layers in sorted(found.items(), key=lambda item: -len(item[1])))


def _unreadable(why: str) -> SpecError:
    message = f"what the engine inspector says cannot be read: {why}"
    return fail("unreadable-layers", message, help="TensorRT 10.16 to 11 and TensorRT for RTX 1.7 are read; compile the engine again with one of them")  # fmt: skip
