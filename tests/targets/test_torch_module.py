"""Modules behave like modules that a person wrote: compile, export, copy, pickle, move, print."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import resdsl
from resdsl.network.evaluate import evaluate, random_input
from resdsl.network.tensors import network_tensors
from resdsl.spec import build
from resdsl.targets.torch_module import torch_module
from resdsl.targets.torch_source import torch_source
from resdsl.weights import CALIBRATED, network_weights
from tests.conftest import GOLDEN

SMALL = ["operators", "nested", "vectors"]


def spec(name: str) -> Path:
    return GOLDEN / "specs" / f"{name}.resnet"


@pytest.fixture(params=SMALL)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def module(name: str) -> nn.Module:
    return resdsl.load(spec(name), weights=CALIBRATED).eval()


@pytest.fixture
def x(name: str) -> torch.Tensor:
    return torch.from_numpy(random_input(build(spec(name)), 3, 5))


def test_state_dict_has_the_documented_names(name: str, module: nn.Module) -> None:
    expected = [tensor.name for tensor in network_tensors(build(spec(name)))]
    found = [key for key in module.state_dict() if not key.endswith("num_batches_tracked")]
    assert sorted(found) == sorted(expected)
    trainable = [tensor.name for tensor in network_tensors(build(spec(name))) if tensor.trainable]
    assert sorted(key for key, _ in module.named_parameters()) == sorted(trainable)


def test_equals_the_definition_in_float64(name: str, module: nn.Module, x: torch.Tensor) -> None:
    network = build(spec(name))
    y64 = evaluate(network, network_weights(network, CALIBRATED), x.double().numpy())
    y = module.double()(x.double()).detach().numpy()
    assert np.isfinite(y).all()
    assert np.abs(y - y64).max() <= 1e-12 * np.abs(y64).max()


@pytest.mark.parametrize(
    "name",
    ["vectors", pytest.param("nested", marks=pytest.mark.slow), pytest.param("operators", marks=pytest.mark.slow)],
    indirect=True,
)
def test_compiles_without_graph_breaks(module: nn.Module, x: torch.Tensor) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), module(x))
    module.train()
    y = compiled(x)
    assert y.isfinite().all()


def test_exports(module: nn.Module, x: torch.Tensor) -> None:
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(module, (x,), dynamic_shapes=({0: batch},))
    torch.testing.assert_close(program.module()(torch.cat([x, x])), module(torch.cat([x, x])))


def test_copies_are_their_own(module: nn.Module, x: torch.Tensor) -> None:
    y = module(x)
    twin = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    torch.testing.assert_close(twin(x), y, rtol=0, atol=0)


def test_pickles(module: nn.Module, x: torch.Tensor) -> None:
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), module(x))


@pytest.mark.parametrize("name", ["operators"], indirect=True)
def test_pickles_into_another_process(module: nn.Module, x: torch.Tensor, tmp_path: Path) -> None:
    torch.save((module, x, module(x)), tmp_path / "module.pt")
    code = (
        f"import torch; module, x, y = torch.load({str(tmp_path / 'module.pt')!r}, weights_only=False); "
        "torch.testing.assert_close(module(x), y); print(type(module).__name__, module.training)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [type(module).__name__, "False"]


def test_state_dict_round_trip(module: nn.Module, x: torch.Tensor, name: str) -> None:
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    other = resdsl.load(spec(name), seed=7).eval()
    assert not torch.equal(other(x), module(x))
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other(x), module(x))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types(module: nn.Module, x: torch.Tensor, kind: torch.dtype) -> None:
    y = copy.deepcopy(module).to(kind)(x.to(kind))
    assert y.dtype == kind
    error = (y.double() - module(x).double()).abs().max() / module(x).abs().max()
    assert error < {torch.float16: 0.05, torch.bfloat16: 0.3, torch.float64: 1e-4}[kind]


@pytest.mark.parametrize("name", ["operators", "nested"], indirect=True)
def test_channels_last(module: nn.Module, x: torch.Tensor) -> None:
    twin = copy.deepcopy(module).to(memory_format=torch.channels_last)
    torch.testing.assert_close(twin(x.to(memory_format=torch.channels_last)), module(x), rtol=1e-3, atol=1e-5)


def test_nothing_works_in_place(module: nn.Module, x: torch.Tensor) -> None:
    """No submodule changes its input, so none can touch what a shortcut reads."""
    changed: list[str] = []

    def watch(part: nn.Module, inputs: tuple[torch.Tensor, ...], kept: list[torch.Tensor]) -> None:
        if not torch.equal(inputs[0], kept.pop()):
            changed.append(type(part).__name__)

    seen = 0
    for part in module.modules():
        if isinstance(part, nn.ModuleList):
            continue
        kept: list[torch.Tensor] = []
        part.register_forward_pre_hook(lambda _, inputs, kept=kept: kept.append(inputs[0].clone()))
        part.register_forward_hook(lambda part, inputs, _, kept=kept: watch(part, inputs, kept))
        seen += 1
    module.train()(x)
    assert seen > 5
    assert changed == []
    assert "inplace=True" not in repr(module)
    assert "_(" not in inspect.getsource(type(module).forward)


def test_source_is_what_runs(module: nn.Module, name: str) -> None:
    source = torch_source(build(spec(name)))
    assert inspect.getsource(type(module)).strip() in source
    assert "resdsl" not in "\n".join(line for line in source.splitlines() if line.startswith(("import", "from")))


def test_source_is_written_from_its_own_initialisation(name: str) -> None:
    """The file alone starts like the spec: same distribution of each weight, another random stream."""
    network = build(spec(name))
    namespace: dict[str, object] = {"__name__": "alone"}
    exec(torch_source(network), namespace)
    kinds = [value for value in namespace.values() if isinstance(value, type) and issubclass(value, nn.Module)]
    torch.manual_seed(0)
    alone = kinds[-1]().state_dict()
    ours = network_weights(network)
    for key, values in ours.items():
        assert tuple(alone[key].shape) == values.shape
        if values.size >= 100 and values.std() > 0 and "init" not in key:
            assert float(alone[key].std()) == pytest.approx(float(values.std()), rel=0.35), key
        elif values.size and values.std() == 0:
            assert np.array_equal(alone[key].numpy(), values), key


def test_repr_of_a_deep_network_is_short() -> None:
    text = repr(resdsl.load("std/preact1001"))
    assert "Preact1001(" in text
    assert "(1-110): 110 x Bottleneck(" in text
    assert len(text.splitlines()) < 100


def test_loading_leaves_the_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    resdsl.load(spec("vectors"))
    assert torch.equal(torch.rand(4), expected)


def test_equal_specs_share_classes() -> None:
    first, second = resdsl.load(spec("nested")), resdsl.load(spec("nested"), seed=1)
    assert type(first) is type(second)
    assert isinstance(torch_module(build(spec("nested"))), type(first))
