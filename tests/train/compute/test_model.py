"""A network's module as it is trained: what is compiled how often, what is a unit, what is its state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, fx, nn

from resdsl.network.initial import initial_weights
from resdsl.network.network import Network, count_units, distinct_units
from resdsl.network.tensors import network_tensors
from resdsl.spec import Parameter, build
from resdsl.targets.torch_module import torch_module
from resdsl.train.compute import execution as executions
from resdsl.train.compute.execution import Compile, Execution, Precision, in_force
from resdsl.train.compute.model import autocast, evaluating, is_random, state_of, training_module, units_of

CPU = torch.device("cpu")
COUNTED = "counted"
UNITS = Execution(compile=Compile.UNITS, backend=COUNTED, precision=Precision.FP64)
PER_COPY = """resnet 1
network n(n = 12) {{ input 8 stem linear(8) stage n * u head linear(3) }}
unit u {{ branch linear(8) -> bn -> {end} shortcut identity }}
"""
DROP_PATH = "drop_path(0.5 * (index + 1) / count)"
SCALE = "scale(1 / (index + 1))"


@pytest.fixture
def graphs() -> list[fx.GraphModule]:
    """What was given to the backend COUNTED, which runs it as it is."""
    import torch._dynamo as dynamo

    torch.compiler.reset()
    seen: list[fx.GraphModule] = []

    def counted(graph: fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
        seen.append(graph)
        return graph.forward

    if COUNTED in dynamo.list_backends(exclude_tags=()):
        dynamo.backends.registry._COMPILER_FNS.pop(COUNTED)
    dynamo.register_backend(counted, name=COUNTED)
    return seen


# Compiling


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("n", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_each_distinct_unit_is_compiled_once(n: int, recompute: bool, graphs: list[fx.GraphModule]) -> None:
    network = preact(n)
    module = trained(network, replace(UNITS, recompute=recompute), steps=2)
    assert len(units_of(module)) == 3 * n
    assert len(distinct_units(network)) == 6
    assert len(graphs) == 6


def test_the_whole_is_one_graph(graphs: list[fx.GraphModule]) -> None:
    trained(preact(2), replace(UNITS, compile=Compile.WHOLE), steps=2)
    assert len(graphs) == 1


def test_nothing_is_compiled_unless_asked(graphs: list[fx.GraphModule]) -> None:
    trained(preact(1), replace(UNITS, compile=Compile.NONE))
    assert graphs == []


def test_probabilities_of_copies_do_not_ask_for_forms_of_their_own(graphs: list[fx.GraphModule]) -> None:
    trained(build(PER_COPY.format(end=DROP_PATH)), UNITS, steps=2)
    assert len(graphs) == 1


def test_a_probability_of_0_is_a_form_of_its_own(graphs: list[fx.GraphModule]) -> None:
    """It draws no numbers."""
    trained(build(PER_COPY.format(end="drop_path(0.5 * index / count)")), UNITS)
    assert len(graphs) == 2


@pytest.mark.parametrize("arguments", ["true, true", "true, false", "false, true", "false, false"])
def test_shared_probabilities_draw_the_numbers_of_the_generated_module(
    arguments: str, graphs: list[fx.GraphModule]
) -> None:
    network = build(PER_COPY.format(end=f"drop_path(0.5 * (index + 1) / count, {arguments})"))
    shared, plain = trained(network, UNITS), torch_module(network, initial_weights(network)).double()
    x = batch(network)
    torch.manual_seed(1)
    found = shared(x)
    torch.manual_seed(1)
    plain(batch(network))  # the batch that `trained` ran updates statistics, which outputs of training do not read
    torch.manual_seed(1)
    assert torch.equal(found, plain(x))
    assert state_of(shared).keys() == state_of(plain).keys()
    with evaluating(shared):
        plain.load_state_dict(shared.state_dict(), strict=False)
        torch.testing.assert_close(shared(x), plain.eval()(x), rtol=1e-12, atol=0)


def test_other_numbers_of_copies_are_forms_of_their_own_beyond_pytorch_s_limit(graphs: list[fx.GraphModule]) -> None:
    """PyTorch stops at 8 forms, and runs further ones without compiling them."""
    trained(build(PER_COPY.format(end=SCALE)), UNITS, steps=2)
    assert len(graphs) == 12


@pytest.mark.filterwarnings("ignore")
def test_one_form_too_many_is_an_error(graphs: list[fx.GraphModule], monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import FailOnRecompileLimitHit

    monkeypatch.setattr(executions, "FORMS", 4)
    with pytest.raises(FailOnRecompileLimitHit):
        trained(build(PER_COPY.format(end=SCALE)), UNITS)
    assert len(graphs) == 4


@pytest.mark.parametrize("compiled", [Compile.UNITS, Compile.WHOLE])
def test_evaluating_compiles_nothing(compiled: Compile, graphs: list[fx.GraphModule]) -> None:
    """Neither before what is trained was compiled, nor afterwards, when it goes on with what it has."""
    network, execution = preact(1), replace(UNITS, compile=compiled)
    x = batch(network)
    plain = torch_module(network, initial_weights(network)).double()
    with in_force(execution, CPU):
        module = training_module(network, initial_weights(network), execution, CPU)
        with evaluating(module):
            y = module(x)
        assert torch.equal(y, plain.eval()(x))
        assert not y.requires_grad
        assert graphs == []
        module(x)
        known = len(graphs)
        assert known > 0
        with evaluating(module):
            module(x)
        module(x)
    assert len(graphs) == known
    assert all(part.training for part in module.modules())


def test_evaluating_ends_in_training_mode_after_an_error() -> None:
    module = training_module(preact(1), initial_weights(preact(1)), Execution(), CPU)
    with pytest.raises(ArithmeticError), evaluating(module):
        raise ArithmeticError
    assert module.training
    assert torch.is_grad_enabled()


# The module


@pytest.mark.parametrize(
    ("spec", "network", "parameters", "units"),
    [
        ("std/cifar", "preact20", {}, 9),
        ("std/ror", "ror3_56", {}, 24),  # units within units within units
        pytest.param(  # branches of several paths
            "std/inception_resnet", "inception_resnet_v2", {"image": "3x139x139"}, 43, marks=pytest.mark.slow
        ),
        ("std/stochastic_depth", "stochastic110", {"n": 2}, 6),
    ],
)
def test_units_of_a_module(spec: str, network: str, parameters: dict[str, Parameter], units: int) -> None:
    """Those that hold no unit."""
    made = build(spec, network, parameters)
    module = torch_module(made)
    found = units_of(module)
    assert len(found) == units == sum(count_units(chain) for _, chain in made.sections())
    assert all(type(unit).__module__ == type(module).__module__ for _, unit in found), "classes of the generated source"
    assert not any(isinstance(part, nn.ModuleList) for _, unit in found for part in unit.modules())
    assert [name for name, _ in module.named_modules() if name in dict(found)] == [name for name, _ in found]


def test_the_state_has_the_names_of_the_spec() -> None:
    network = preact(1)
    module = training_module(network, initial_weights(network), Execution(compile=Compile.UNITS, recompute=True), CPU)
    found = state_of(module)
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {
        tensor.name: tensor.shape for tensor in network_tensors(network)
    }
    for name, array in initial_weights(network).items():
        torch.testing.assert_close(found[name], torch.from_numpy(array), rtol=0, atol=0)
    assert next(iter(found.values())).data_ptr() == next(module.parameters()).data_ptr()


def test_batches_are_not_counted() -> None:
    """One kernel less for each norm; PyTorch reads the count for a momentum of None alone."""
    module = training_module(preact(1), initial_weights(preact(1)), Execution(), CPU)
    assert all(part.num_batches_tracked is None for part in module.modules() if isinstance(part, nn.BatchNorm2d))


@pytest.mark.parametrize(("channels_last", "strides"), [(False, (36, 9, 3, 1)), (True, (36, 1, 12, 4))])
def test_layout(channels_last: bool, strides: tuple[int, ...]) -> None:
    network = build("resnet 1\nnetwork n { input 4x8x8 stem conv(3x3, 8) head avgpool -> linear(3) }\n")
    module = training_module(network, initial_weights(network), Execution(channels_last=channels_last), CPU)
    assert module.stem_conv.weight.stride() == strides


@pytest.mark.parametrize(
    ("precision", "weights", "outputs"),
    [
        (Precision.FP32, torch.float32, torch.float32),
        (Precision.BF16, torch.float32, torch.bfloat16),
        (Precision.FP64, torch.float64, torch.float64),
    ],
)
def test_precision(precision: Precision, weights: torch.dtype, outputs: torch.dtype) -> None:
    execution = Execution(precision=precision)
    module = training_module(preact(1), initial_weights(preact(1)), execution, CPU)
    with autocast(execution, CPU):
        assert module(batch(preact(1)).to(weights)).dtype is outputs
    assert {tensor.dtype for tensor in state_of(module).values()} == {weights}


@pytest.mark.parametrize(
    ("end", "random"), [("dropout(0.1)", True), ("drop_path(0.1)", True), ("relu", False), ("scale(0.5)", False)]
)
def test_which_networks_draw_random_numbers(end: str, random: bool) -> None:
    assert is_random(build(PER_COPY.format(end=end))) is random
    assert is_random(build(f"resnet 1\nnetwork n {{ input 8 stem linear(8) -> {end} head linear(3) }}\n")) is random


def preact(n: int) -> Network:
    return build("std/resnet164", "preact164", {"n": n, "image": "3x8x8"})


def batch(network: Network) -> Tensor:
    shape = (3, 8, 8) if network.name.startswith("preact") else (8,)
    return torch.randn(4, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def trained(network: Network, execution: Execution, steps: int = 1) -> nn.Module:
    with in_force(execution, CPU):
        module = training_module(network, initial_weights(network), execution, CPU)
        for _ in range(steps):
            module(batch(network)).sum().backward()
    return module
