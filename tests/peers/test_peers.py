"""The networks of specs/ against the models of published libraries.

Weights are carried over by the names of resdsl/weights/conventions.py, as `resdsl weights convert` does. Outputs are equal in
evaluation mode, and loss, gradients and the recorded statistics after one step in training mode, with the same random draws,
in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from resdsl.network.difference import FACTOR, FLOOR
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors
from resdsl.network.types import Image
from resdsl.spec import build
from resdsl.targets.torch_module import torch_module
from resdsl.verify import EXACT
from resdsl.weights import fit_weights
from resdsl.weights.convert import Conversion, convert, convert_by
from tests.networks import CIFAR, SMALL_CIFAR, SPECS
from tests.peers.cases import CASES, Case
from tests.peers.libraries import peer

BATCH = 2


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case.slow else []) for case in CASES]
)
def test_equals_the_peer(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(SPECS / f"{case.file}.resnet", case.network, case.parameters)
    if network.input == CIFAR:
        network = build(SPECS / f"{case.file}.resnet", case.network, {**case.parameters, **SMALL_CIFAR})
    torch.manual_seed(0)
    theirs = peer(case.library, case.model, case.options).double()
    pool_everything(theirs)
    x, labels = sample(network)
    randomise(theirs)
    record_statistics(theirs, x)
    ours, conversion = carried_over(network, theirs, case.library)
    assert conversion.convention.family == case.family
    if "gamma_in_act" not in case.options:  # no model that is published
        assert [check(network) for check in conversion.convention.hidden if check(network)] == []

    theirs.eval(), ours.eval()
    with torch.no_grad():
        y = theirs(x)
        assert torch.isfinite(y).all()
        assert (y[0] - y[1]).abs().max() > 1e-6 * y.abs().max(), "the output is the same for different inputs"
        assert error(ours(x), y) <= EXACT
        own = error(theirs.float()(x.float()), y)
        assert error(ours.float()(x.float()), y) <= FACTOR * own + FLOOR

    if not case.trains:
        return
    theirs.double().train(), ours.double().train()
    losses = []
    for module in (theirs, ours):
        share_draws(monkeypatch)
        loss = nn.functional.cross_entropy(module(x), labels)
        loss.backward()
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=EXACT)
    expected = gradients(theirs)
    found = gradients(ours)
    renamed = convert_by(conversion.convention, {name: array.shape for name, array in found.items()}, expected)
    assert renamed.complete, renamed
    largest = max(float(np.abs(array).max()) for array in renamed.arrays.values())
    for name, array in renamed.arrays.items():
        assert np.abs(found[name] - array).max() <= EXACT * largest, name
    statistics = {name: value for name, value in arrays(ours).items() if name.rpartition(".")[2].startswith("running")}
    recorded = convert_by(
        conversion.convention, {name: array.shape for name, array in statistics.items()}, arrays(theirs)
    )
    assert not recorded.missing
    assert not recorded.misshapen
    for name, array in recorded.arrays.items():
        assert np.abs(statistics[name] - array).max() <= EXACT * max(1.0, float(np.abs(array).max())), name


def sample(network: Network) -> tuple[Tensor, Tensor]:
    """Random images and labels."""
    shape = network.input
    assert isinstance(shape, Image)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, shape.channels, shape.height, shape.width, dtype=torch.float64, generator=generator)
    return x, torch.tensor([1, 2])


def share_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries ask for Bernoulli draws, our modules compare uniform ones: both come from one list that starts anew."""
    uniform = np.random.default_rng(5)

    def rand(*shape: int, **options: Any) -> Tensor:
        return torch.from_numpy(uniform.random(shape))

    def bernoulli(chances: Tensor) -> Tensor:
        return (rand(*chances.shape) >= 1 - chances).to(chances.dtype)

    def bernoulli_(tensor: Tensor, chance: float) -> Tensor:
        return tensor.copy_(rand(*tensor.shape) >= 1 - chance)

    monkeypatch.setattr(torch, "rand", rand)
    monkeypatch.setattr(torch, "bernoulli", bernoulli)
    monkeypatch.setattr(Tensor, "bernoulli_", bernoulli_)


def pool_everything(module: nn.Module) -> None:
    """pytorchcv ends in a pool of the size that the last map has at the published image size; ours are smaller."""
    for part in list(module.modules()):
        if isinstance(getattr(part, "final_pool", None), nn.AvgPool2d):
            part.final_pool = nn.AdaptiveAvgPool2d(1)


def randomise(module: nn.Module) -> None:
    """Parameters that start all alike (norms, biases, learned scales, often at 0) get numbers of their own."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if (parameter == parameter.flatten()[0]).all():
                if name.endswith("bias"):
                    parameter.normal_(std=0.1)
                else:
                    parameter.uniform_(0.5, 1.0)


def record_statistics(module: nn.Module, x: Tensor) -> None:
    """BatchNorm's statistics of one forward, as far from their start as they get."""
    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        module.train()(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def carried_over(network: Network, theirs: nn.Module, library: str) -> tuple[nn.Module, Conversion]:
    """Our module with their weights, in float64, and how they were carried over."""
    conversion = convert(network, arrays(theirs), library)
    assert conversion.complete, conversion
    weights = fit_weights(network, conversion.arrays, library)
    ours = torch_module(network, weights).double()
    state = {name: torch.from_numpy(np.asarray(array)) for name, array in conversion.arrays.items()}
    missing = ours.load_state_dict(state, strict=False).missing_keys
    assert all(name.endswith("num_batches_tracked") for name in missing)
    assert len(state) == len(network_tensors(network))
    return ours, conversion


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}


def gradients(module: nn.Module) -> dict[str, np.ndarray]:
    found = {}
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        found[name] = parameter.grad.numpy()
    return found


def error(y: Tensor, expected: Tensor) -> float:
    return float((y.double() - expected).abs().max() / expected.abs().max())
