"""What is asked of torch-tensorrt and TensorRT is there, in each version that is supported.

Neither can be imported without a GPU. Of torch-tensorrt the Python source is read; the functions that are called and their keywords are
those that a stand-in was really called with. Of TensorRT the names are looked for in the compiled module. That they then do what they are
thought to do, only a GPU shows.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch.export import ExportedProgram

import resdsl.targets.tensorrt
from resdsl.passes.table import passes_of
from resdsl.spec import build
from resdsl.targets.precision import Precision
from resdsl.targets.tensorrt import via_torch
from resdsl.targets.tensorrt.options import TORCH_OUTPUT, Batch, EngineOptions
from resdsl.targets.tensorrt.torch_program import torch_program
from resdsl.weights import network_weights
from tests.networks import SPECS
from tests.peers.tensorrt_names import Names, tensorrt_names
from tests.peers.wheels import Wheel, download, function, named, texts
from tests.targets.tensorrt.chains import CHAINS, UNITS
from tests.targets.tensorrt.torch_tensorrt_stand_in import ENGINE, Call, Library

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),  # PyTorch's own, where a program is used
]

TORCH_TENSORRT = {"2.12.1": "10.16.1", "2.13.0": "11.0.0", "2.14.0": "11.1.0"}
"""The versions, and the TensorRT that each is built for."""
TENSORRT = ("10.16.1.11", "11.4.0.106")
COMPILER, TOP = "torch_tensorrt/dynamo/_compiler.py", "torch_tensorrt/_compile.py"
INTERPRETER = "torch_tensorrt/dynamo/conversion/_TRTInterpreter.py"
CONVERTERS = "torch_tensorrt/dynamo/conversion/{}.py"
LOWERING = "torch_tensorrt/dynamo/lowering/{}.py"


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where wheels are kept: in pytest's cache, if it has one."""
    cache = getattr(request.config, "cache", None)
    return cache.mkdir("wheels") if cache else tmp_path_factory.mktemp("wheels")


@pytest.fixture(scope="module", params=TORCH_TENSORRT)
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def wheel(version: str, folder: Path) -> Iterator[Wheel]:
    found = download(f"torch-tensorrt=={version}", folder)
    yield found
    found.close()


@dataclass(frozen=True)
class Called:
    """calls: by function, those that are made for an engine, a module, and loading one. inputs: the keywords of Input."""

    calls: dict[str, Call]
    inputs: set[str]


@pytest.fixture
def called(version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Called:
    library, inputs = Library(version), set[str]()

    def keep(**keywords: object) -> object:
        inputs.update(keywords)
        return keywords

    monkeypatch.setattr(library, "Input", keep)
    monkeypatch.setitem(sys.modules, "torch_tensorrt", library)
    monkeypatch.setattr(via_torch, "DEVICE", "cpu")
    network = build(SPECS / "resnet110.resnet", "preact110", {"n": 1})
    weights, path = network_weights(network), tmp_path / "model.ep"
    for batch in (Batch(1, 8, 64), Batch(2, 2, 2)):
        given = network, weights, passes_of(2), Precision.FP16, EngineOptions(batch=batch)
        via_torch.build_through_torch(*given)
        via_torch.save_through_torch(*given, path)
    path.touch()
    via_torch.load_through_torch(path)
    return Called({call[0]: call for call in library.calls}, inputs)


def test_the_functions_that_are_called(called: Called, wheel: Wheel) -> None:
    assert set(called.calls) == {ENGINE, "compile", "save", "load"}
    assert ENGINE.removeprefix("dynamo.") in imported(wheel.tree("torch_tensorrt/dynamo/__init__.py"))
    top = wheel.tree("torch_tensorrt/__init__.py")
    assert "*" in imported(top, "torch_tensorrt._compile")
    public = wheel.tree(TOP)
    chosen = [node.value for node in public.body if isinstance(node, ast.Assign) and "__all__" in ast.unparse(node)]
    for each in chosen:
        assert {"compile", "save", "load"} <= texts(each)
    assert {"__version__", "Input", "dynamo"} <= imported(top)
    assert "tensorrt_package_name" in {node.id for node in ast.walk(top) if isinstance(node, ast.Name)}


def test_the_keywords_that_build_an_engine_are_named(called: Called, wheel: Wheel) -> None:
    _, arguments, keywords = called.calls[ENGINE]
    assert len(arguments) == 1
    assert {"arg_inputs", "timing_cache_path", "immutable_weights"} <= set(keywords)
    assert set(keywords) <= named(function(wheel.tree(COMPILER), ENGINE.removeprefix("dynamo.")))


def test_the_keywords_that_compile_a_module_are_named(called: Called, wheel: Wheel) -> None:
    _, arguments, keywords = called.calls["compile"]
    assert len(arguments) == 1
    outer, inner = function(wheel.tree(TOP), "compile"), function(wheel.tree(COMPILER), "compile")
    assert {"ir", "arg_inputs"} <= set(keywords) & named(outer)
    assert set(keywords) - {"ir"} <= named(inner)
    handed = [
        call for call in ast.walk(outer) if isinstance(call, ast.Call) and ast.unparse(call.func) == "dynamo_compile"
    ]
    assert handed
    for call in handed:
        assert any(keyword.arg is None for keyword in call.keywords), "all others are handed on"


def test_the_keywords_that_save_and_load_a_module_are_named(called: Called, wheel: Wheel) -> None:
    _, arguments, keywords = called.calls["save"]
    assert len(arguments) == 2
    save = function(wheel.tree(TOP), "save")
    assert [each.arg for each in save.args.args[:2]] == ["module", "file_path"]
    assert set(keywords) <= named(save)
    assert keywords["output_format"] in texts(save)
    assert function(wheel.tree(TOP), "load").args.args[0].arg == "file_path"


def test_an_inputs_keywords_are_read(called: Called, wheel: Wheel) -> None:
    """It has no named ones: those that it knows are looked for in its `kwargs`."""
    (kind,) = (
        node
        for node in wheel.tree("torch_tensorrt/_Input.py").body
        if isinstance(node, ast.ClassDef) and node.name == "Input"
    )
    (made,) = (node for node in kind.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    read = {
        node.slice.value
        for node in ast.walk(made)
        if isinstance(node, ast.Subscript)
        and ast.unparse(node.value) == "kwargs"
        and isinstance(node.slice, ast.Constant)
    }
    assert called.inputs == {"shape", "min_shape", "opt_shape", "max_shape", "dtype", "name"}
    assert called.inputs <= read


def test_explicit_typing_is_asked_for_where_it_can_be(called: Called, wheel: Wheel, version: str) -> None:
    has = version == "2.12.1"
    for name in (ENGINE.removeprefix("dynamo."), "compile"):
        assert ("use_explicit_typing" in named(function(wheel.tree(COMPILER), name))) is has
    for name in (ENGINE, "compile"):
        assert called.calls[name][2].get("use_explicit_typing", False) is has


def test_what_else_is_relied_on(wheel: Wheel, version: str) -> None:
    interpreter = wheel.tree(INTERPRETER)
    output = function(interpreter, "output")
    made = [ast.unparse(node) for node in ast.walk(output) if isinstance(node, ast.JoinedStr)]
    assert f"f'{TORCH_OUTPUT.removesuffix('0')}{{i}}'" in made, "the name of an output"
    assert "target" in {
        node.id for node in ast.walk(function(interpreter, "placeholder")) if isinstance(node, ast.Name)
    }
    assert "EXCLUDE_LEAN_RUNTIME" in wheel.data(INTERPRETER).decode(), "why no version-compatible engine is built so"
    assert f'__tensorrt_version__ = "{TORCH_TENSORRT[version]}"' in wheel.data("torch_tensorrt/_version.py").decode()
    logs = wheel.data("torch_tensorrt/logging.py").decode()
    assert f'logging.getLogger("{via_torch.LOGGERS[1]}")' in logs


WITHOUT_INT8 = (Precision.FP32, Precision.FP16)
LOWERED = {
    "torch.ops.aten._assert_tensor_metadata.default": ("passes/remove_assert_nodes", "aten._assert_tensor_metadata"),
    "torch.ops.aten.max_pool2d_with_indices.default": (
        "passes/replace_max_pool_with_indices",
        "aten.max_pool2d_with_indices.default: torch.ops.aten.max_pool2d.default",
    ),
    "torch.ops.aten.alias.default": ("_decompositions", "register_torch_trt_decomposition(aten.alias,"),
}
"""What torch-tensorrt takes out or replaces before it converts: in which file, and by which text there."""


@pytest.fixture(scope="module")
def computed() -> dict[str, set[str]]:
    """By operator of the language, the operations that its networks are made of."""
    found: dict[str, set[str]] = {}
    for name, chain in CHAINS.items():
        network = build(f"{UNITS}network n {{ input 8x8x8 stem conv(1x1, 8) {chain} }}\n")
        weights = network_weights(network)
        programs = [torch_program(network, weights, each, Batch(1, 2, 64), "cpu") for each in WITHOUT_INT8]
        found[name] = set().union(*map(operations, programs))
    return found


def test_each_operator_of_the_language_is_converted_in_batches_of_any_size(
    wheel: Wheel, computed: dict[str, set[str]]
) -> None:
    """As PyTorch takes the programs apart; torch-tensorrt leaves some operations whole, and has more converters for these."""
    converted = {
        ast.unparse(made.args[0])
        for name in ("aten_ops_converters", "prims_ops_converters", "ops_evaluators")
        for found in ast.walk(wheel.tree(CONVERTERS.format(name)))
        if isinstance(found, ast.FunctionDef)
        for made in found.decorator_list
        if isinstance(made, ast.Call) and ast.unparse(made.func) == "dynamo_tensorrt_converter"
        if any(each.arg == "supports_dynamic_shapes" and ast.unparse(each.value) == "True" for each in made.keywords)
    }
    for file, text in LOWERED.values():
        assert text in wheel.data(LOWERING.format(file)).decode()
    assert set(LOWERED) <= set().union(*computed.values()), "each is met"
    assert {name: lacking for name, each in computed.items() if (lacking := each - converted - set(LOWERED))} == {}


def operations(program: ExportedProgram) -> set[str]:
    """What a program computes with, as converters are named: torch.ops.aten.add.Tensor, _operator.getitem."""
    nodes = program.run_decompositions().graph.nodes
    called = {node.target for node in nodes if node.op == "call_function"}
    return {
        f"torch.ops.{each}" if "aten" in str(each) else f"{each.__module__.strip('_')}.{each.__name__}"
        for each in called
    }


# TensorRT.

ONLY_RTX = {
    "ComputeCapability",
    "num_compute_capabilities",
    "set_compute_capability",
    "DynamicShapesKernelSpecializationStrategy",
    "dynamic_shapes_kernel_specialization_strategy",
    "EAGER",
    "CudaGraphStrategy",
    "cuda_graph_strategy",
    "WHOLE_GRAPH_CAPTURE",
}
"""What TensorRT for RTX has alone, and is asked of no other builder."""


def used() -> Names:
    """Of TensorRT, in all that resdsl does with it."""
    folder = Path(resdsl.targets.tensorrt.__file__).parent
    return tensorrt_names(ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py")))


def test_the_names_that_are_used_are_found() -> None:
    """One of each kind: what a module, an enum, a parameter, a field, what a call gave, an overridden method and a keyword bring."""
    found = used()
    kinds = {"OnnxParser", "STRONGLY_TYPED", "set_memory_pool_limit", "num_io_tensors", "get_error", "node_operator"}
    assert kinds | {"create_execution_context", "execute_async_v3", "phase_start", "log"} <= found.attributes
    assert "runtime_config" in found.keywords
    assert not found.attributes & {"errors", "batch", "title", "mkstemp"}, "these are no names of TensorRT's"
    assert found.attributes >= ONLY_RTX


@pytest.mark.parametrize("version", TENSORRT)
def test_the_names_that_are_used_are_tensorrts(version: str, folder: Path) -> None:
    wheel = download(f"tensorrt-cu13-bindings=={version}", folder)
    (module,) = (name for name in wheel.names if name.endswith("/tensorrt.so"))
    data = wheel.data(module)
    wheel.close()
    # A name is a string that ends there; the linker lets it be the tail of another.
    absent = {name for name in used().attributes | used().keywords if f"{name}\0".encode() not in data}
    assert absent == ONLY_RTX


def test_the_names_that_are_used_are_those_of_tensorrt_for_rtx() -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    classes = [each for each in vars(trt).values() if isinstance(each, type)]
    there = set(dir(trt)).union(*(dir(each) for each in classes))
    assert used().attributes - there == set()
    told = " ".join(str(getattr(each, name).__doc__) for each in classes for name in dir(each))
    assert {name for name in used().keywords if f"{name}:" not in told} == set()


def imported(tree: ast.Module, module: str | None = None) -> set[str]:
    """The names that a module imports from others, or from one."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and module in (None, node.module)]
    return {each.asname or each.name for node in found for each in node.names}
