"""The ways from a network to something that computes it, for tools/bench_onnx.py, which calls this in a process for each.

    python tools/onnx_ways.py NETWORK WAY FOLDER [BATCH THREADS]

Weights are those of pytorchcv's model: initialised by it, statistics recorded on random images. resdsl reads them by
`convert_weights`, so that all ways compute the same function, and a wrong one shows.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import resdsl
from resdsl.spec import Parameter
from resdsl.weights.safetensors import write_safetensors

if TYPE_CHECKING:
    from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
THEIRS, WEIGHTS = "pytorchcv.pt", "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Case:
    """A network of a spec, with the parameters that make it pytorchcv's; `peer` is the model there, or module.function."""

    spec: str
    network: str
    image: tuple[int, int, int]
    peer: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    options: Mapping[str, int] = field(default_factory=dict)


CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)
STRIDE: dict[str, Parameter] = {"stride_3x3": True}
CASES = {
    case.network: case
    for case in (
        Case("std/resnet164", "preact164", CIFAR, "preresnet164bn_cifar10", STRIDE),
        Case("std/resnet164", "preact1001", CIFAR, "preresnet1001_cifar10", STRIDE),
        Case("std/imagenet", "resnet50", IMAGENET, "resnet50"),
        Case("std/wide_resnet", "wrn_16_4", CIFAR, "wrn_cifar.get_wrn_cifar", options={"num_classes": 10, "blocks": 16, "width_factor": 4}),
    )
}  # fmt: skip
"""As tests/peers/cases.py holds them equal."""


def draw_weights(case: Case, folder: Path) -> None:
    """Writes the weights of pytorchcv's model, in its names and in resdsl's."""
    import torch

    torch.manual_seed(0)
    model = _peer(case).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics become the mean over all batches
    with torch.no_grad():
        for _ in range(4):
            model(torch.randn(8, *case.image))
    torch.save(model.state_dict(), folder / THEIRS)
    arrays = resdsl.convert_weights(folder / THEIRS, "pytorchcv", case.spec, case.network, case.parameters)
    (folder / WEIGHTS).write_bytes(write_safetensors(arrays))


def ours(case: Case, folder: Path) -> nn.Module:
    return resdsl.load(case.spec, case.network, case.parameters, weights=folder / WEIGHTS).eval()


def theirs(case: Case, folder: Path) -> nn.Module:
    import torch

    model = _peer(case)
    model.load_state_dict(torch.load(folder / THEIRS, weights_only=True))
    return model.eval()


def reference(case: Case, folder: Path, x: Tensor) -> Tensor:
    """The output of x in float64."""
    import torch

    with torch.no_grad():
        return ours(case, folder).double()(x.double())


def _peer(case: Case) -> nn.Module:
    sys.path.insert(0, str(ROOT))
    from tests.peers.libraries import peer

    return peer("pytorchcv", case.peer, case.options)


# To ONNX


def _resdsl(**options: Any) -> Callable[[Case, Path, Path], None]:
    def compiled(case: Case, folder: Path, out: Path) -> None:
        given = dict(options)
        if options.get("precision") == "int8":  # for speed; accuracy is tested on trained networks
            given["calibration"] = np.random.default_rng(1).standard_normal((32, *case.image), np.float32)
        weights = folder / WEIGHTS
        out.write_bytes(resdsl.compile(case.spec, "onnx", case.network, case.parameters, weights=weights, **given))

    return compiled


def _exported(make: Callable[[Case, Path], nn.Module], *, dynamo: bool) -> Callable[[Case, Path, Path], None]:
    def export(case: Case, folder: Path, out: Path) -> None:
        import torch

        module, images = make(case, folder), torch.zeros(2, *case.image)
        names: dict[str, Any] = {"input_names": ["input"], "output_names": ["output"]}
        if dynamo:
            shapes = ({0: torch.export.Dim("batch")},)
            options: dict[str, Any] = {"dynamic_shapes": shapes, "external_data": False, "verbose": False}
        else:
            options = {"dynamic_axes": {"input": {0: "batch"}, "output": {0: "batch"}}}
        torch.onnx.export(module, (images,), out, dynamo=dynamo, **names, **options)

    return export


def _onnxslim(before: str) -> Callable[[Case, Path, Path], None]:
    def slim(case: Case, folder: Path, out: Path) -> None:
        import onnxslim

        onnxslim.slim(str(folder / f"{before}.onnx"), str(out))

    return slim


def _onnxsim(before: str) -> Callable[[Case, Path, Path], None]:
    def simplify(case: Case, folder: Path, out: Path) -> None:
        import onnx
        import onnxsim

        model, equal = onnxsim.simplify(onnx.load(folder / f"{before}.onnx"))
        if not equal:
            raise SystemExit("onnxsim: the simplified model gives other outputs")
        onnx.save(model, out)

    return simplify


ONNX_WAYS: dict[str, Callable[[Case, Path, Path], None]] = {
    "resdsl": _resdsl(),
    "resdsl_O0": _resdsl(passes=0),
    "resdsl_int8": _resdsl(precision="int8"),
    "resdsl_O0_int8": _resdsl(passes=0, precision="int8"),
    "export": _exported(ours, dynamo=True),
    "export_onnxslim": _onnxslim("export"),
    "export_onnxsim": _onnxsim("export"),
    "legacy": _exported(ours, dynamo=False),
    "legacy_onnxslim": _onnxslim("legacy"),
    "legacy_onnxsim": _onnxsim("legacy"),
    "pytorchcv_export": _exported(theirs, dynamo=True),
    "pytorchcv_legacy": _exported(theirs, dynamo=False),
}
"""Way -> what writes the model to a file. They are prepared in this order; the first is what the others are held against."""


# In PyTorch


@dataclass(frozen=True, slots=True)
class TorchWay:
    compiled: bool
    channels_last: bool


TORCH_WAYS = {
    "eager": TorchWay(False, False),
    "eager_channels_last": TorchWay(False, True),
    "compile": TorchWay(True, False),
    "compile_channels_last": TorchWay(True, True),
}


def torch_call(way: TorchWay, case: Case, folder: Path, x: Tensor, threads: int) -> Callable[[], Tensor]:
    """What computes the output of x in PyTorch. Compiling is done in the first call; the cache is where the environment says."""
    import torch

    # Weights, too, are laid out as the way has it.
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    module = ours(case, folder).to(memory_format=layout)
    function = torch.compile(module, dynamic=False) if way.compiled else module
    x = x.to(memory_format=layout)

    def call() -> Tensor:
        torch.set_num_threads(threads)  # of the process; what else runs in it may want another number
        with torch.no_grad():
            return function(x)

    return call


def main() -> None:
    name, way, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    case = CASES[name]
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    if way == "weights":
        draw_weights(case, folder)
    elif way in ONNX_WAYS:
        out = folder / f"{way}.onnx"
        ONNX_WAYS[way](case, folder, out.with_suffix(".partial"))
        out.with_suffix(".partial").rename(out)
    else:
        import torch

        batch, threads = int(sys.argv[4]), int(sys.argv[5])
        torch_call(TORCH_WAYS[way], case, folder, torch.zeros(batch, *case.image), threads)()
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
