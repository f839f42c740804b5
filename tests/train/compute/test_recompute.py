"""Units that are computed twice: less is kept, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from resdsl.network.initial import initial_weights
from resdsl.network.network import Network
from resdsl.spec import build
from resdsl.train.compute.execution import Compile, Execution, Precision, in_force
from resdsl.train.compute.model import state_of, training_module, units_of

CPU = torch.device("cpu")
FP64 = Execution(precision=Precision.FP64)
RANDOM = """resnet 1
network n { input 3x8x8 stem conv(3x3, 4) stage 13 * u head avgpool -> linear(10) }
unit u { branch bn -> relu -> dropout(0.5) -> conv(3x3, 4) -> bn -> relu -> drop_path(0.2) shortcut identity }
"""
BATCHES = 3


def preact(n: int) -> Network:
    return build("std/resnet164", "preact164", {"n": n, "image": "3x8x8"})


@pytest.mark.parametrize("compiled", [Compile.NONE, pytest.param(Compile.UNITS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", [lambda: build(RANDOM), lambda: preact(2)], ids=["random", "preact"])
def test_outputs_gradients_and_statistics_are_bit_for_bit_the_same(
    make: Callable[[], Network], compiled: Compile
) -> None:
    network = make()
    execution = replace(FP64, compile=compiled, backend="aot_eager")
    kept, again = trained(network, execution), trained(network, replace(execution, recompute=True))
    assert kept.keys() == again.keys()
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_statistics_are_updated_once_a_batch() -> None:
    """From a mean of 0 and momentum 0.1, one batch makes a tenth of its own mean; two updates would make 0.19 of it."""
    network = preact(1)
    module = training_module(network, initial_weights(network), replace(FP64, recompute=True), CPU)
    (_, unit), norm, seen = units_of(module)[0], None, []
    norm = next(part for part in unit.modules() if isinstance(part, nn.BatchNorm2d))
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].mean((0, 2, 3)).detach()))
    own = norm.running_mean
    module(batch()).sum().backward()
    assert len(seen) == 2, "the unit was computed twice"
    torch.testing.assert_close(norm.running_mean, 0.1 * seen[0], rtol=1e-12, atol=0)
    assert norm.running_mean is own
    assert norm.track_running_stats


def test_an_error_in_the_backward_pass_leaves_the_norms_their_own_statistics() -> None:
    network = preact(1)
    module = training_module(network, initial_weights(network), replace(FP64, recompute=True), CPU)
    before = {name: tensor.data_ptr() for name, tensor in state_of(module).items()}
    y = module(batch()).sum()
    last = [part for part in units_of(module)[1][1].modules() if isinstance(part, nn.Conv2d)][-1]

    def fail(*_: object) -> None:
        raise ArithmeticError

    last.register_forward_pre_hook(fail)
    with pytest.raises(ArithmeticError):
        y.backward()
    assert {name: tensor.data_ptr() for name, tensor in state_of(module).items()} == before


@pytest.mark.parametrize(("n", "segments"), [(1, [1]), (4, [1] * 4), (12, [2] * 6), (28, [3] * 9 + [1])])
def test_segments_are_of_the_size_that_keeps_least(n: int, segments: list[int]) -> None:
    """Of n units, n / k inputs and 3 k: k = sqrt(n / 3)."""
    module = training_module(preact(n), initial_weights(preact(n)), Execution(recompute=True), CPU)
    assert [len(step.args[0].args[0]) for step in module.stage1] == segments


def test_what_is_kept_of_a_segment_is_its_input() -> None:
    """One tensor of the input's size for each segment more, in bytes; without recomputing three for each unit."""
    samples, floats = len(batch()), 4
    inputs = samples * floats * (64 * 8 * 8 + 128 * 4 * 4 + 256 * 2 * 2)  # of one more in each stage
    kept = {again: [kept_bytes(preact(n), Execution(recompute=again)) for n in (12, 14)] for again in (False, True)}
    assert kept[True][1] - kept[True][0] == inputs
    assert kept[False][1] - kept[False][0] >= 2 * 3 * inputs
    assert kept[True][1] < kept[False][1] / 5


def test_names_and_order_of_the_state_stay() -> None:
    network = preact(14)
    found = training_module(network, initial_weights(network), Execution(recompute=True), CPU)
    expected = training_module(network, initial_weights(network), Execution(), CPU)
    assert list(found.state_dict()) == list(expected.state_dict())
    assert [name for name, _ in units_of(found)] == [name for name, _ in units_of(expected)]
    assert "Bottleneck" in repr(found)


def test_units_within_units() -> None:
    network = build("std/ror", "ror3_56", {"image": "3x8x8"})
    kept, again = trained(network, FP64), trained(network, replace(FP64, recompute=True))
    assert all(torch.equal(kept[name], again[name]) for name in kept)
    assert kept_bytes(network, Execution(recompute=True)) < kept_bytes(network, Execution()) / 2


def test_evaluation_keeps_nothing() -> None:
    network = preact(1)
    module = training_module(network, initial_weights(network), replace(FP64, recompute=True), CPU).eval()
    plain = training_module(network, initial_weights(network), FP64, CPU).eval()
    with torch.no_grad():
        assert torch.equal(module(batch()), plain(batch()))


def trained(network: Network, execution: Execution) -> dict[str, Tensor]:
    """Outputs, gradients and statistics after some batches."""
    torch.compiler.reset()
    found: dict[str, Tensor] = {}
    with in_force(execution, CPU):
        module = training_module(network, initial_weights(network), execution, CPU)
        for number in range(BATCHES):
            torch.manual_seed(number)
            y = module(batch(number))
            y.square().sum().backward()
            found[f"y{number}"] = y.detach()
    found |= {
        f"{name}.grad": parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None
    }
    return found | state_of(module)


def kept_bytes(network: Network, execution: Execution) -> int:
    module = training_module(network, initial_weights(network), execution, CPU)
    own = {tensor.untyped_storage().data_ptr() for tensor in [*module.parameters(), *module.buffers()]}
    sizes: dict[int, int] = {}
    held: list[Any] = []  # an address is used again once its tensor is gone

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)
        return tensor

    x = batch().float().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(x)
    return sum(sizes.values())


def batch(seed: int = 0) -> Tensor:
    return torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
