"""A step, held equal to one of a plain loop that is written here, with torch.optim.SGD and none of resdsl.train's code."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from resdsl.network.initial import initial_weights
from resdsl.network.network import Network
from resdsl.spec import Parameter, build
from resdsl.targets.torch_module import torch_module
from resdsl.train.compute import step as steps
from resdsl.train.compute.execution import Compile, Execution, Precision, in_force
from resdsl.train.compute.model import state_of, training_module
from resdsl.train.compute.step import Captured, Meter, Step
from resdsl.train.data.batches import Batch
from resdsl.train.recipe import CIFAR, Decay, Recipe

CPU = torch.device("cpu")
IMAGE: dict[str, Parameter] = {"n": 1, "image": "3x8x8"}
RATES = (0.05, 0.1, 0.01)
"""Of three steps in a row."""
BATCH = 8
EXACT = 1e-12
"""Of float64: how far a tensor may be off, as part of its largest element."""

RANDOM = """resnet 1
network n { input 3x8x8 stem conv(3x3, 4) stage 2 * u head avgpool -> linear(10) }
unit u {
    branch bn -> relu -> dropout(0.3) -> conv(3x3, 4) -> bn -> scale(0.5, learn = true) -> drop_path(0.5 * (index + 1) / count)
    shortcut gate(-1)
}
"""
CHANNELS = """resnet 1
network n { input 3x8x8 stem conv(3x3, 4) -> bn stage 3 * u(0.1) head avgpool -> linear(10) }
unit u(p) {
    branch conv(3x3, 4) -> bn -> se(2) -> scale(0.1, learn = true, per_channel = true) -> drop_path(p, false, false)
    shortcut scale(0.5)
    after relu
}
"""
SMALL = """resnet 1
network n { input 3x8x8 stem conv(3x3, 4) stage 2 * u head avgpool -> linear(10) }
unit u { branch bn -> relu -> conv(3x3, 4) shortcut identity }
"""
VECTOR = "resnet 1\nnetwork n { input 12 stage 2 * u head linear(10) }\nunit u { branch bn -> relu -> linear(12) shortcut identity }\n"
NETWORKS: dict[str, Callable[[], Network]] = {
    "original": lambda: build("std/resnet110", "resnet110", IMAGE),
    "preact": lambda: build("std/resnet164", "preact164", IMAGE),
    "random": lambda: build(RANDOM),
    "channels": lambda: build(CHANNELS),
    "vector": lambda: build(VECTOR),
}
RECIPES = {
    "momentum": CIFAR,
    "nesterov": replace(CIFAR, nesterov=True, weight_decay=1e-2),
    "weights": replace(CIFAR, decay=Decay.WEIGHTS, weight_decay=1e-2),
    "both": replace(CIFAR, nesterov=True, decay=Decay.WEIGHTS, weight_decay=1e-2),
}
FP64 = Execution(precision=Precision.FP64)


@dataclass(frozen=True)
class After:
    """What stands after some steps. losses: mean cross-entropy of each. wrong: how many answers, of all steps."""

    losses: list[float]
    wrong: int
    state: dict[str, Tensor]
    gradients: dict[str, Tensor]
    momentum: dict[str, Tensor]


@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("network", NETWORKS)
def test_steps_are_those_of_a_plain_loop(network: str, recipe: str, parts: int) -> None:
    made = NETWORKS[network]()
    execution = replace(FP64, accumulate=parts)
    assert_equal(ours(made, RECIPES[recipe], execution), plain(made, RECIPES[recipe], parts))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
def test_layout_and_recomputing_change_nothing(network: str, recompute: bool, channels_last: bool) -> None:
    made = NETWORKS[network]()
    execution = replace(FP64, recompute=recompute, channels_last=channels_last, accumulate=2)
    # Dropout draws its masks in the order of memory.
    expected = plain(made, RECIPES["both"], 2, channels_last=channels_last)
    assert_equal(ours(made, RECIPES["both"], execution), expected)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("compiled", [Compile.UNITS, Compile.WHOLE])
def test_compiling_changes_nothing(network: str, compiled: Compile) -> None:
    made = NETWORKS[network]()
    execution = replace(FP64, compile=compiled, backend="aot_eager", accumulate=2, channels_last=network == "preact")
    assert_equal(ours(made, RECIPES["both"], execution), plain(made, RECIPES["both"], 2))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # used by Inductor itself
def test_inductor_changes_nothing_but_rounding() -> None:
    made = build(SMALL)
    assert_equal(ours(made, CIFAR, replace(FP64, compile=Compile.UNITS)), plain(made, CIFAR, 1), 1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_float32_is_near(network: str) -> None:
    """Weights alone: a gradient that is 0 but for rounding, as before a norm, is no measure."""
    made = NETWORKS[network]()
    found, expected = ours(made, CIFAR, Execution()), plain(made, CIFAR, 1)
    assert found.losses == pytest.approx(expected.losses, rel=1e-4)
    assert_near(found.state, expected.state, 1e-3)


@pytest.mark.parametrize("network", NETWORKS)
def test_bf16_is_finite_and_near_with_weights_in_float32(network: str) -> None:
    made = NETWORKS[network]()
    found, expected = ours(made, CIFAR, Execution(precision=Precision.BF16)), plain(made, CIFAR, 1)
    assert found.losses == pytest.approx(expected.losses, rel=0.1)
    off = sum(float((found.state[name] - tensor).square().sum()) for name, tensor in expected.state.items())
    assert off < 0.05**2 * sum(float(tensor.square().sum()) for tensor in expected.state.values())
    assert {tensor.dtype for tensor in found.state.values()} == {torch.float32}


def test_sums_are_read_once() -> None:
    made = NETWORKS["vector"]()
    step = Step(training_module(made, initial_weights(made), FP64, CPU), CIFAR, FP64)
    for inputs, labels in batches(made):
        step(Batch(inputs, labels, BATCH))
    expected = plain(made, CIFAR, 1, rates=(0.0,) * len(RATES))
    meter = step.read()
    assert meter.seen == BATCH * len(RATES)
    assert meter.wrong == expected.wrong
    assert meter.loss == pytest.approx(sum(expected.losses) * BATCH, rel=EXACT)
    assert step.read() == Meter(0, 0, 0)


def test_what_is_decayed_by_weights_alone() -> None:
    """Of the network with everything: tensors of two axes or more, but no norm, no bias and no learned factor of one axis."""
    made = build(RANDOM)
    step = Step(training_module(made, initial_weights(made), FP64, CPU), RECIPES["weights"], FP64)
    decayed, others = ({id(p) for p in group["params"]} for group in step.optimiser.param_groups)
    names = {name for name, parameter in step.parameters.items() if id(parameter) in decayed}
    assert len(decayed) + len(others) == len(step.parameters)
    assert {name.rpartition(".")[2] for name in names} == {"weight"}
    assert not any("bn" in name for name in names)
    assert sum(name.startswith("stage1.0.") for name in names) == 2, "a convolution and a gate"


class NoWaiting(TorchDispatchMode):
    """Refuses what reads a tensor on the host, or makes one from a number of Python's: on a GPU a step would wait, and could not be
    captured.
    """

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert function.overloadpacket.__name__ not in (
            "_local_scalar_dense",
            "is_nonzero",
            "equal",
            "nonzero",
            "lift_fresh",
        )
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_in_a_step_waits_for_the_device(network: str, recompute: bool) -> None:
    made = NETWORKS[network]()
    execution = Execution(recompute=recompute, accumulate=2, precision=Precision.BF16)
    step = Step(training_module(made, initial_weights(made), execution, CPU), RECIPES["both"], execution)
    inputs, labels = batches(made)[0]
    with NoWaiting():
        step(Batch(inputs.float(), labels, BATCH))
    with NoWaiting(), pytest.raises(AssertionError, match="_local_scalar_dense"):
        step.sums[0].item()


# Captured steps. There is no CUDA graph on a CPU, where one is played: it calls the update again.


@pytest.mark.parametrize("network", ["preact", "random"])
@pytest.mark.parametrize("recompute", [False, True])
def test_a_captured_step_is_a_step(network: str, recompute: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    play_graphs(monkeypatch)
    made = NETWORKS[network]()
    execution = replace(FP64, graph=True, recompute=recompute, accumulate=2)
    assert_equal(ours(made, RECIPES["both"], execution), plain(made, RECIPES["both"], 2))


def test_capturing_leaves_the_run_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a run, too, where momentum and sums are not 0."""
    said = play_graphs(monkeypatch)
    made = NETWORKS["random"]()
    step = Step(training_module(made, initial_weights(made), FP64, CPU), RECIPES["both"], FP64)
    first, second, third = (Batch(inputs, labels, BATCH) for inputs, labels in batches(made))
    step.rate.fill_(0.1)
    step(first)
    held = [*state_of(step.module).values(), *step.momentum().values(), step.sums]
    before, drawn = [tensor.clone() for tensor in held], torch.get_rng_state()
    said.clear()
    captured = Captured(step, second)
    assert all(map(torch.equal, held, before))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert said == ["warm-up"] * steps.WARM_UP + ["capture with gradients of None"]
    inputs = second.inputs.clone()
    captured(third)
    assert torch.equal(second.inputs, inputs), "the example's own tensors are not written to"
    assert not any(map(torch.equal, held[-3:], before[-3:]))


def test_a_step_is_captured_on_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are those of the current GPU, which need not be the one that was asked for."""
    play_graphs(monkeypatch)
    current: list[torch.device | None] = [None]

    @contextmanager
    def device(chosen: torch.device) -> Generator[None]:
        current.append(chosen)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", device)
    used: list[torch.device | None] = []
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    steps._captured(lambda: used.append(current[-1]), optimiser, torch.device("cuda", 1))
    assert used == [torch.device("cuda", 1)] * (steps.WARM_UP + 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here")
@pytest.mark.parametrize(
    "execution",
    [
        FP64,
        replace(FP64, recompute=True),
        Execution(compile=Compile.UNITS),
        Execution(precision=Precision.BF16),
        Execution(channels_last=True, accumulate=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("network", ["preact", "random"])
def test_captured_steps_on_a_gpu(network: str, execution: Execution) -> None:
    if execution.recompute and network == "random":
        pytest.skip("`choose` refuses it: the state of random numbers cannot be read during a capture")
    made = NETWORKS[network]()
    device = torch.device("cuda")
    eager = ours(made, RECIPES["both"], execution, device)
    captured = ours(made, RECIPES["both"], replace(execution, graph=True), device)
    tolerances = {Precision.FP64: EXACT, Precision.FP32: 1e-3, Precision.BF16: 0.1}
    assert_equal(captured, eager, tolerances[execution.precision])


def play_graphs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of CUDA's: streams that are none, and a graph that runs again what ran while it was captured. What was run is said
    in the list that comes back.
    """
    said: list[str] = []
    real = Step.update
    capturing: list[Graph] = []

    class Stream:
        def wait_stream(self, other: object) -> None: ...

    class Graph:
        def replay(self) -> None:
            real(*self.arguments)

    def update(self: Step, inputs: Tensor, labels: Tensor) -> None:
        if capturing:  # nothing is computed
            gradients = [parameter.grad for parameter in self.parameters.values()]
            said.append("capture with gradients" + (" of None" if gradients == [None] * len(gradients) else ""))
            capturing[-1].arguments = self, inputs, labels
        else:
            said.append("warm-up")
            real(self, inputs, labels)

    @contextmanager
    def graph(made: Graph, stream: Stream, capture_error_mode: str) -> Generator[None]:
        assert capture_error_mode == "thread_local"
        capturing.append(made)
        yield
        capturing.pop()

    @contextmanager
    def stream(chosen: Stream) -> Generator[None]:
        yield

    for name, value in {"Stream": Stream, "CUDAGraph": Graph, "graph": graph, "stream": stream}.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(Step, "update", update)
    return said


# The two loops


def ours(network: Network, recipe: Recipe, execution: Execution, device: torch.device = CPU) -> After:
    torch.compiler.reset()
    with in_force(execution, device):
        step = Step(training_module(network, initial_weights(network), execution, device), recipe, execution)
        update: Step | Captured | None = None
        losses, wrong = [], 0
        dtype = torch.float64 if execution.precision is Precision.FP64 else torch.float32
        for number, (rate, (inputs, labels)) in enumerate(zip(RATES, batches(network), strict=True)):
            step.rate.fill_(rate)
            batch = Batch(inputs.to(device, dtype), labels.to(device), BATCH)
            update = update or (Captured(step, batch) if execution.graph else step)
            torch.manual_seed(number)
            update(batch)
            meter = step.read()
            losses.append(meter.loss / meter.seen)
            wrong += meter.wrong
    gradients = {name: parameter.grad for name, parameter in step.parameters.items()}
    return After(losses, wrong, state_of(step.module), gradients, step.momentum())


def plain(
    network: Network, recipe: Recipe, parts: int, rates: tuple[float, ...] = RATES, *, channels_last: bool = False
) -> After:
    module = torch_module(network, initial_weights(network)).double().train()
    if channels_last:
        module.to(memory_format=torch.channels_last)
    parameters = dict(module.named_parameters())
    decays = {True: recipe.weight_decay, False: 0.0 if recipe.decay is Decay.WEIGHTS else recipe.weight_decay}
    groups = [{"params": [p], "weight_decay": decays[p.dim() >= 2]} for p in parameters.values()]
    optimiser = torch.optim.SGD(groups, lr=1.0, momentum=recipe.momentum, nesterov=recipe.nesterov, foreach=False)
    losses, wrong, gradients = [], 0, {}
    for number, (rate, (inputs, labels)) in enumerate(zip(rates, batches(network), strict=True)):
        for group in optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(number)
        total, size = [0.0] * parts, BATCH // parts
        gradients = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
        for part in range(parts):
            rows = slice(part * size, (part + 1) * size)
            logits = module(inputs[rows])
            loss = F.cross_entropy(logits, labels[rows])
            found = torch.autograd.grad(loss, list(parameters.values()))
            for name, gradient in zip(parameters, found, strict=True):
                gradients[name] += gradient / parts
            total[part] = loss.item()
            wrong += int((logits.argmax(dim=1) != labels[rows]).sum())
        for name, parameter in parameters.items():
            parameter.grad = gradients[name].clone()
        optimiser.step()
        losses.append(sum(total) / parts)
    state = {name: value for name, value in module.state_dict().items() if "num_batches" not in name}
    momentum = {name: optimiser.state[parameter]["momentum_buffer"] for name, parameter in parameters.items()}
    return After(losses, wrong, state, gradients, momentum)


def batches(network: Network) -> list[tuple[Tensor, Tensor]]:
    draw = torch.Generator().manual_seed(7)
    shape = torch_shape(network)
    return [
        (torch.randn(BATCH, *shape, generator=draw, dtype=torch.float64), torch.randint(10, (BATCH,), generator=draw))
        for _ in RATES
    ]


def torch_shape(network: Network) -> tuple[int, ...]:
    read = network.input
    return tuple(getattr(read, name) for name in ("channels", "height", "width") if hasattr(read, name))


def assert_equal(found: After, expected: After, tolerance: float = EXACT) -> None:
    assert found.losses == pytest.approx(expected.losses, rel=max(tolerance, EXACT))
    assert found.wrong == expected.wrong
    for name in ("state", "gradients", "momentum"):
        assert_near(getattr(found, name), getattr(expected, name), tolerance)


def assert_near(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    """Relative to the largest element of each tensor, or of all of them if the tensor's elements are 0 but for rounding."""
    assert found.keys() == expected.keys()
    largest = max(float(tensor.detach().abs().max()) for tensor in expected.values())
    for name, tensor in expected.items():
        scale = max(float(tensor.detach().abs().max()), 1e-3 * largest)
        off = float((found[name].detach().cpu().double() - tensor.detach().cpu().double()).abs().max())
        assert off <= tolerance * scale, (name, off, scale)
