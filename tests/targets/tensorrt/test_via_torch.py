"""Through torch-tensorrt. What PyTorch exports is computed and compared; torch-tensorrt itself cannot be imported without a GPU, so that a
stand-in writes down what it is called with. tests/peers/test_tensorrt_wheels.py holds these calls against the real sources.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from resdsl.diagnostics import SpecError
from resdsl.network.evaluate import random_input
from resdsl.network.network import Network
from resdsl.passes.run import fold
from resdsl.passes.table import PASSES, passes_of
from resdsl.spec import build
from resdsl.targets.onnx_compile import LIMITS
from resdsl.targets.precision import Precision
from resdsl.targets.tensorrt import via_torch
from resdsl.targets.tensorrt.options import Batch, EngineOptions, Hardware
from resdsl.targets.tensorrt.torch_program import torch_program
from resdsl.targets.tensorrt.via_torch import (
    build_through_torch,
    compile_through_torch,
    load_through_torch,
    save_through_torch,
    settings,
)
from resdsl.targets.torch_module import run_torch
from resdsl.weights import network_weights
from tests.networks import CASES, SPECS, Case
from tests.targets.tensorrt.torch_tensorrt_stand_in import ENGINE, Library

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # PyTorch's own, where a program is used

CONTEXT = "torch_tensorrt [TensorRT Conversion Context]"
FLOAT32 = torch.float32


# What PyTorch exports.

ONE_OF_EACH_FILE = {
    "branch_scale.resnet": "skipinit_16_4",
    "cifar.resnet": "resnet20",
    "cifar_options.resnet": "resnet20_b",
    "convnext.resnet": "convnext_t",
    "highway.resnet": "highway10",
    "imagenet.resnet": "preact50",
    "imagenet_basic.resnet": "resnet18_a",
    "inception_resnet.resnet": "inception_resnet_v2",
    "n_shortcut.resnet": "shortcut2",
    "nf_resnet.resnet": "nf_resnet50",
    "resnet110.resnet": "gate_exclusive",
    "resnet164.resnet": "preact164",
    "resnext.resnet": "resnext29",
    "rir.resnet": "rir18",
    "ror.resnet": "ror3_56",
    "senet.resnet": "seresnet20",
    "stochastic_depth.resnet": "stochastic110",
    "wide_resnet.resnet": "wrn_16_4",
}
IN_THE_FAST_LOOP = {"skipinit_16_4", "resnet20", "highway10"}


def test_there_is_one_of_each_file() -> None:
    assert set(ONE_OF_EACH_FILE) == {case.file for case in CASES} - {
        "preact1001.resnet"
    }  # PyTorch takes half a minute for it


EXPORTED = [
    pytest.param(Case(file, name), id=name, marks=[] if name in IN_THE_FAST_LOOP else pytest.mark.slow)
    for file, name in ONE_OF_EACH_FILE.items()
]


@pytest.mark.parametrize("case", EXPORTED)
def test_the_program_of_a_network_computes_what_the_network_does_in_each_batch_size(case: Case) -> None:
    weights = network_weights(network := case.small(), "random-calibrated")
    module = torch_program(network, weights, Precision.FP32, Batch(1, 1, 64), "cpu").module()
    x = random_input(network, 3, seed=1)
    y, rounded = (run_torch(network, weights, x, double=double) for double in (True, False))
    allowed = 4 * np.abs(rounded - y).max() + 1e-6 * np.abs(y).max()
    for size in (1, 3):
        assert np.abs(module(torch.from_numpy(x[:size])).numpy() - y[:size]).max() <= allowed


@pytest.mark.slow
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.BF16])
def test_preact164_is_exported_folded_in_each_precision(precision: Precision) -> None:
    network = build(SPECS / "resnet164.resnet", "preact164")
    weights = network_weights(network, "random-calibrated")
    folded, numbers, _ = fold(network, weights, passes_of(2), LIMITS[precision])
    program = torch_program(folded, numbers, precision, Batch(1, 8, 64), "cpu")
    assert input_of(program).shape[1:] == (3, 32, 32)
    (bounds,) = program.range_constraints.values()
    assert (bounds.lower, bounds.upper) == (1, 64)
    x = random_input(network, 2, seed=1)
    y = run_torch(network, weights, x, double=True)
    found = program.module()(torch.from_numpy(x)).numpy()
    tolerance = {Precision.FP32: 1e-4, Precision.FP16: 1e-1, Precision.BF16: 5e-1}[precision]  # 164 random layers
    assert np.abs(found - y).max() <= tolerance * np.abs(y).max()


@pytest.mark.parametrize(
    ("batch", "bounds", "example"),
    [(Batch(1, 1, 64), (1, 64), 2), (Batch(1, 1, 2), (1, 2), 2), (Batch(2, 8, 8), (2, 8), 8)],
)
def test_a_range_of_batch_sizes_is_the_programs(batch: Batch, bounds: tuple[int, int], example: int) -> None:
    network, weights = tiny()
    program = torch_program(network, weights, Precision.FP32, batch, "cpu")
    (found,) = program.range_constraints.values()
    assert (found.lower, found.upper) == bounds
    assert program.example_inputs[0][0].shape[0] == example


@pytest.mark.parametrize("size", [1, 3])
def test_one_batch_size_is_written_into_the_program(size: int) -> None:
    network, weights = tiny()
    program = torch_program(network, weights, Precision.FP32, Batch(size, size, size), "cpu")
    assert not program.range_constraints
    assert input_of(program).shape[0] == size


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [(Precision.FP16, torch.float16), (Precision.BF16, torch.bfloat16), (Precision.FP32, FLOAT32)],
)
def test_a_precision_is_that_of_all_between_input_and_output(precision: Precision, dtype: torch.dtype) -> None:
    network, weights = tiny()
    program = torch_program(network, weights, precision, Batch(1, 2, 4), "cpu")
    convolutions = [node for node in program.graph.nodes if str(node.target) == "aten.conv2d.default"]
    assert convolutions
    assert {node.meta["val"].dtype for node in convolutions} == {dtype}
    assert input_of(program).dtype == FLOAT32
    assert program.module()(torch.zeros(2, *input_of(program).shape[1:])).dtype == FLOAT32


def test_the_input_is_called_input() -> None:
    network, weights = tiny()
    graph = torch_program(network, weights, Precision.FP16, Batch(1, 2, 4), "cpu").module().graph
    assert [node.target for node in graph.nodes if node.op == "placeholder"] == [via_torch.INPUT]


def test_variances_do_not_leave_16_bits() -> None:
    network, weights = tiny()
    weights = dict(weights)
    for name, numbers in list(weights.items()):
        if name.endswith("running_var"):
            weights[name] = np.full_like(numbers, 1e6)  # beyond fp16
            gain = name.replace("running_var", "weight")
            weights[gain] = 1e3 * weights[gain]
    x = random_input(network, 2, seed=1)
    y = run_torch(network, weights, x, double=True)
    found = torch_program(network, weights, Precision.FP16, Batch(1, 2, 4), "cpu").module()(torch.from_numpy(x)).numpy()
    assert np.abs(found - y).max() <= 1e-2 * np.abs(y).max()


def test_a_weight_that_the_precision_does_not_hold_is_refused() -> None:
    network, weights = tiny()
    name = next(name for name in weights if name.endswith("conv1.weight"))
    weights = {**weights, name: np.full_like(weights[name], 1e6)}
    with pytest.raises(SpecError, match="holds 1e\\+06, and fp16 ends at 65504") as caught:
        torch_program(network, weights, Precision.FP16, Batch(1, 2, 4), "cpu")
    assert caught.value.diagnostics[0].code == "out-of-range"


def test_standardised_filters_are_plain_without_any_pass() -> None:
    network = Case("nf_resnet.resnet", "nf_resnet50").small()
    weights = network_weights(network)
    program = torch_program(network, weights, Precision.FP32, Batch(1, 1, 1), "cpu")
    assert not [node for node in program.graph.nodes if "var" in str(node.target)]


# What torch-tensorrt is called with.


@pytest.fixture(params=["2.12.1", "2.14.0+cu130"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Library:
    found = Library(request.param)
    monkeypatch.setitem(sys.modules, "torch_tensorrt", found)
    monkeypatch.setattr(via_torch, "DEVICE", "cpu")
    return found


def test_an_engine_is_built_from_the_exported_program(library: Library) -> None:
    network, weights = tiny()
    engine, steps = build_through_torch(network, weights, passes_of(2), Precision.FP16, EngineOptions())
    assert engine == b"engine"
    assert [step.name for step in steps] == list(PASSES)
    ((name, (program,), keywords),) = library.calls
    assert name == ENGINE
    assert isinstance(program, torch.export.ExportedProgram)
    sample = input_of(program).shape[1:]
    assert keywords.pop("arg_inputs") == [
        {
            "min_shape": (1, *sample),
            "opt_shape": (8, *sample),
            "max_shape": (64, *sample),
            "dtype": FLOAT32,
            "name": "input",
        }
    ]
    assert not Path(keywords.pop("timing_cache_path")).parent.exists(), "kept nowhere, as nobody asked for it"
    assert keywords.pop("use_explicit_typing", None) is (True if library.__version__ == "2.12.1" else None)
    assert keywords == {
        "disable_tf32": True,
        "workspace_size": 0,
        "optimization_level": None,
        "version_compatible": False,
        "hardware_compatible": False,
        "immutable_weights": True,
    }


def test_a_fixed_batch_has_one_shape(library: Library) -> None:
    network, weights = tiny()
    build_through_torch(network, weights, (), Precision.FP32, EngineOptions(batch=Batch(3, 3, 3)))
    ((_, (program,), keywords),) = library.calls
    assert keywords["arg_inputs"] == [{"shape": (3, *input_of(program).shape[1:]), "dtype": FLOAT32, "name": "input"}]


def test_options_become_keywords() -> None:
    options = EngineOptions(
        tf32=True, workspace=256, level=5, version_compatible=True, hardware=Hardware.AMPERE_PLUS, refit=True
    )
    assert settings(options, "cache", (2, 13)) == {
        "disable_tf32": False,
        "workspace_size": 256 * 2**20,
        "optimization_level": 5,
        "version_compatible": True,
        "hardware_compatible": True,
        "immutable_weights": False,
        "timing_cache_path": "cache",
    }


def test_a_timing_cache_is_read_and_replaced(library: Library, tmp_path: Path) -> None:
    cache, seen = tmp_path / "timings", list[bytes]()

    def builds(keywords: dict[str, Any]) -> None:
        own = Path(keywords["timing_cache_path"])
        assert own.is_absolute()
        seen.append(own.read_bytes() if own.exists() else b"")
        own.write_bytes(b"timed")

    library.does = builds
    network, weights = tiny()
    options = EngineOptions(timing_cache=str(cache))
    for _ in range(2):
        build_through_torch(network, weights, (), Precision.FP32, options)
    assert seen == [b"", b"timed"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"timings": b"timed"}


def test_a_build_that_fails_leaves_the_timing_cache(library: Library, tmp_path: Path) -> None:
    cache = tmp_path / "timings"
    cache.write_bytes(b"before")

    def fails(keywords: dict[str, Any]) -> None:
        Path(keywords["timing_cache_path"]).write_bytes(b"half")
        raise RuntimeError("no")

    library.does = fails
    network, weights = tiny()
    with pytest.raises(SpecError):
        build_through_torch(network, weights, (), Precision.FP32, EngineOptions(timing_cache=str(cache)))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"timings": b"before"}


def test_a_timing_cache_in_no_folder_is_refused(library: Library, tmp_path: Path) -> None:
    network, weights = tiny()
    with pytest.raises(SpecError, match="cannot be written"):
        build_through_torch(
            network, weights, (), Precision.FP32, EngineOptions(timing_cache=str(tmp_path / "no" / "timings"))
        )
    assert not library.calls


def test_a_module_is_compiled_whole_and_saved(library: Library, tmp_path: Path) -> None:
    network, weights = tiny()
    path = tmp_path / "model.ep"
    steps = save_through_torch(
        network, weights, passes_of(1), Precision.FP32, EngineOptions(batch=Batch(1, 1, 8)), path
    )
    assert [step.name for step in steps] == [each.name for each in passes_of(1)]
    (compiled, (program,), how), (saved, (module, name), keywords) = library.calls
    assert (compiled, saved) == ("compile", "save")
    assert isinstance(program, torch.export.ExportedProgram)
    assert (how["ir"], how["require_full_compilation"], how["min_block_size"]) == ("dynamo", True, 1)
    assert isinstance(module, torch.nn.Identity)
    assert name == str(path)
    assert keywords["output_format"] == "exported_program"
    (example,) = keywords["arg_inputs"]
    assert example.shape[0] == 2, "1 would be taken for the only batch size"
    batch = keywords["dynamic_shapes"]["input"][0]
    assert (batch.min, batch.max) == (1, 8)


def test_a_module_of_one_batch_size_is_saved_with_it(library: Library, tmp_path: Path) -> None:
    network, weights = tiny()
    save_through_torch(network, weights, (), Precision.FP32, EngineOptions(batch=Batch(1, 1, 1)), tmp_path / "model.ep")
    keywords = library.calls[-1][2]
    assert keywords["arg_inputs"][0].shape[0] == 1
    assert keywords["dynamic_shapes"] is None


def test_a_saved_module_is_loaded(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "model.ep"
    path.write_bytes(b"")
    assert isinstance(load_through_torch(path), torch.nn.Identity)
    assert library.calls == [("load", (str(path),), {})]


def test_a_module_that_is_not_there_is_said_so(library: Library, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no file"):
        load_through_torch(tmp_path / "model.ep")
    assert not library.calls


def test_a_module_that_cannot_be_loaded_is_said_so(
    library: Library, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(_: object) -> None:
        print("Traceback", file=sys.stderr)
        raise ValueError("another version\nmore")

    library.does = fails
    path = tmp_path / "model.ep"
    path.write_bytes(b"")
    with pytest.raises(SpecError, match=r"cannot load \S+model\.ep: another version\n"):
        load_through_torch(path)
    assert capfd.readouterr() == ("", "")


# What goes wrong.


@pytest.mark.parametrize("function", [build_through_torch, compile_through_torch])
def test_why_tensorrt_builds_nothing_comes_from_its_log(
    library: Library, function: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(_: object) -> None:
        logging.getLogger("torch_tensorrt.dynamo._compiler").error("While interpreting", exc_info=True)
        logging.getLogger(CONTEXT).warning("slow")
        logging.getLogger(CONTEXT).error("IBuilder::buildSerializedNetwork: Error Code 2: Out of memory")
        try:
            raise AssertionError
        except AssertionError as error:
            raise RuntimeError("While interpreting the module got an error: ") from error

    library.does = fails
    network, weights = tiny()
    with pytest.raises(SpecError, match="engine-failed") as caught:
        function(network, weights, (), Precision.FP32, EngineOptions())
    assert caught.value.diagnostics[0].message == "torch-tensorrt builds no engine: Error Code 2: Out of memory"
    assert caught.value.diagnostics[0].help == "a smaller `--batch`, or more of `--workspace`"
    assert capfd.readouterr() == ("", "")
    assert not logging.getLogger("torch_tensorrt").handlers
    assert logging.getLogger(CONTEXT).propagate


def test_an_operator_that_is_not_converted_is_named(library: Library) -> None:
    def fails(_: object) -> None:
        try:
            raise RuntimeError("Conversion of function aten.fancy not currently supported!")
        except RuntimeError as error:
            raise RuntimeError("Conversion of module GraphModule(\n …") from error

    library.does = fails
    network, weights = tiny()
    with pytest.raises(SpecError, match="engine-failed") as caught:
        build_through_torch(network, weights, (), Precision.FP32, EngineOptions())
    said = "torch-tensorrt builds no engine: Conversion of function aten.fancy not currently supported!"
    assert caught.value.diagnostics[0].message == said
    assert caught.value.diagnostics[0].help == "`--via onnx` builds without torch-tensorrt"


def test_without_torch_tensorrt_there_is_a_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)

    def absent(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(SpecError, match="torch-tensorrt, which is not installed") as caught:
        via_torch.torch_tensorrt()
    assert caught.value.diagnostics[0].help == "pip install 'resdsl[trt]'"


@pytest.mark.parametrize(
    "raised",
    [
        Exception("import error when try to import _TensorRTProxyModule, got error libcuda.so.1: cannot open\nmore"),
        OSError("libnvinfer.so.11: cannot open shared object file"),
        ModuleNotFoundError("No module named 'tensorrt'", name="tensorrt"),
    ],
)
def test_where_it_cannot_be_loaded_one_sentence_says_why(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], raised: Exception
) -> None:
    def broken(name: str) -> ModuleType:
        print("make sure tensorrt lib is in the LD_LIBRARY_PATH")
        raise raised

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(SpecError, match="is installed and cannot be loaded") as caught:
        via_torch.torch_tensorrt()
    message = caught.value.diagnostics[0].message
    assert message.endswith(str(raised).splitlines()[0])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("found", ["2.11.0", "1.4"])
def test_an_old_one_is_refused(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", Library(found))
    with pytest.raises(SpecError, match=f"needs torch-tensorrt 2.12 or newer, and {found} is installed"):
        via_torch.torch_tensorrt()


def test_the_one_for_rtx_is_refused(library: Library) -> None:
    library.tensorrt_package_name = "tensorrt_rtx"
    with pytest.raises(SpecError, match="torch-tensorrt-rtx is installed, which builds other engines"):
        via_torch.torch_tensorrt()


def tiny() -> tuple[Network, Any]:
    network = build(SPECS / "cifar.resnet", "preact20")
    return network, network_weights(network)


def input_of(program: torch.export.ExportedProgram) -> torch.Tensor:
    (name,) = program.graph_signature.user_inputs
    (node,) = (node for node in program.graph.nodes if node.name == name)
    return node.meta["val"]
