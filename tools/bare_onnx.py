"""ResNet-1001 written with onnx.helper alone: what the file costs at least.

    python tools/bare_onnx.py OUT

writes the bytes that `resdsl compile specs/preact1001.resnet --target onnx -o OUT` writes (seed 0): the same weights,
nodes, names and metadata, from a loop that knows this one network and nothing else. It imports numpy and onnx, not
resdsl, and is the yardstick of tools/bench_compile.py for a cold `resdsl compile`.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import onnx
from onnx import TensorProto, helper

VERSION = "0.1.0"
"""Of resdsl, which puts it into the file."""
SEED = 0
OPSET = 21
UNITS = 111
"""In each of the three stages."""


class Net:
    """Nodes and initialisers in the order in which they stand in the file."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []

    def node(self, kind: str, name: str, inputs: list[str], **attributes: int | float | tuple[int, ...]) -> str:
        node = helper.make_node(kind, inputs, [name], name=name)
        node.attribute.extend(helper.make_attribute(*item) for item in attributes.items())  # make_node would sort them
        self.nodes.append(node)
        return name

    def initialiser(self, name: str, array: np.ndarray) -> str:
        self.initialisers.append(helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.tobytes(), raw=True))
        return name

    def normal(self, name: str, shape: tuple[int, ...], fan: int) -> str:
        """He's initialisation; every tensor is seeded by its own name."""
        generator = np.random.Generator(np.random.PCG64([SEED, crc32(name.encode())]))
        values = generator.standard_normal(shape, np.float32)
        values *= np.float32(math.sqrt(2.0 / fan))
        return self.initialiser(name, values)

    def conv(self, name: str, x: str, into: int, out: int, kernel: int, stride: int = 1) -> str:
        weight = self.normal(f"{name}.weight", (out, into, kernel, kernel), out * kernel * kernel)
        return self.node(
            "Conv",
            name,
            [x, weight],
            kernel_shape=(kernel, kernel),
            strides=(stride, stride),
            pads=(kernel // 2,) * 4,
            dilations=(1, 1),
            group=1,
        )

    def bn(self, name: str, x: str, channels: int) -> str:
        fills = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}
        inputs = [
            self.initialiser(f"{name}.{part}", np.full((channels,), value, np.float32)) for part, value in fills.items()
        ]
        return self.node("BatchNormalization", name, [x, *inputs], epsilon=1e-5)

    def unit(self, name: str, x: str, into: int, width: int, stride: int) -> str:
        """Bottleneck, full pre-activation; where the shape changes, a projection that reads the first activation."""
        y = self.bn(f"{name}.bn1", x, into)
        activated = self.node("Relu", f"{name}.relu1", [y])
        y = self.conv(f"{name}.conv1", activated, into, width, 1, stride)
        y = self.bn(f"{name}.bn2", y, width)
        y = self.node("Relu", f"{name}.relu2", [y])
        y = self.conv(f"{name}.conv2", y, width, width, 3)
        y = self.bn(f"{name}.bn3", y, width)
        y = self.node("Relu", f"{name}.relu3", [y])
        y = self.conv(f"{name}.conv3", y, width, 4 * width, 1)
        if into != 4 * width:
            x = self.conv(f"{name}.shortcut_conv", activated, into, 4 * width, 1, stride)
        return self.node("Add", f"{name}.add", [x, y])


def preact1001() -> bytes:
    """The model, serialised."""
    net = Net()
    x = net.conv("stem_conv", "input", 3, 16, 3)
    channels = 16
    for stage, width in enumerate((16, 32, 64), 1):
        for index in range(UNITS):
            stride = 2 if stage > 1 and index == 0 else 1
            x = net.unit(f"stage{stage}.{index}", x, channels, width, stride)
            channels = 4 * width
    x = net.bn("head_bn", x, channels)
    x = net.node("Relu", "head_relu", [x])
    axes = np.array([2, 3]).tobytes()
    net.initialisers.append(helper.make_tensor("constant0", TensorProto.INT64, (2,), axes, raw=True))
    x = net.node("ReduceMean", "head_avgpool", [x, "constant0"], keepdims=0)
    weight = net.normal("head_linear.weight", (10, channels), channels)
    bias = net.initialiser("head_linear.bias", np.zeros(10, np.float32))
    net.node("Gemm", "head_linear", [x, weight, bias], transB=1)
    net.nodes[-1].output[0] = "output"
    graph = helper.make_graph(
        net.nodes,
        "preact1001",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 10])],
        net.initialisers,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=10,
        producer_name="resdsl",
        producer_version=VERSION,
        doc_string="ResNet-1001, full pre-activation, for CIFAR (He et al. 2016, Table 3); 10,327,706 parameters.",
    )
    return model.SerializeToString(deterministic=True)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(preact1001())
