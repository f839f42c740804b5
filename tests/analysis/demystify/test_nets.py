"""The networks as functions: equal to those that std/n_shortcut compiles to, from the starts that they are said to have."""

from __future__ import annotations

import pytest
import torch

import resdsl
from resdsl.analysis.demystify.nets import (
    NETS,
    ORTHOGONAL,
    SHORTCUT1,
    SHORTCUT2,
    SHORTCUT3,
    SHORTCUT4,
    XAVIER,
    Net,
    Relu,
    initial,
    outputs,
)


@pytest.mark.parametrize("net", [SHORTCUT1, SHORTCUT2, SHORTCUT3, SHORTCUT4])
@pytest.mark.parametrize(("relu", "placement"), [(Relu.NONE, "at()"), (Relu.MID, "at(mid = act)")])
def test_equal_to_the_compiled_network(net: Net, relu: Relu, placement: str) -> None:
    parameters = {"n": net.span, "units": 3, "placement": placement, "start": "xavier"}
    module = resdsl.load("std/n_shortcut", "shortcut2", parameters, seed=1).double()
    weights = torch.stack([parameter.detach() for parameter in module.parameters()])
    assert weights.shape == (3 * net.span, 10, 10)
    inputs = torch.randn(7, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = module(inputs)
    torch.testing.assert_close(outputs(net, relu, weights, inputs.mT).mT, expected, rtol=1e-13, atol=1e-13)


def test_plain_networks_are_products() -> None:
    first, second, x = torch.randn(3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    weights = torch.stack([first, second])
    torch.testing.assert_close(outputs(XAVIER, Relu.NONE, weights, x), second @ first @ x)
    torch.testing.assert_close(outputs(XAVIER, Relu.MID, weights, x), second @ (first @ x).clamp(min=0))


def test_many_weights_at_once() -> None:
    weights = torch.stack([initial(SHORTCUT2, 4, 5, seed) for seed in range(3)])
    inputs = torch.ones(5, 2, dtype=torch.float64)
    together = outputs(SHORTCUT2, Relu.MID, weights, inputs)
    for one, alone in zip(weights, together, strict=True):
        torch.testing.assert_close(outputs(SHORTCUT2, Relu.MID, one, inputs), alone)


@pytest.mark.parametrize(
    ("net", "depth", "layers"), [(SHORTCUT1, 5, 5), (SHORTCUT2, 5, 6), (SHORTCUT3, 2, 3), (SHORTCUT3, 33, 33)]
)
def test_depths_are_whole_units(net: Net, depth: int, layers: int) -> None:
    assert net.layers(depth) == layers
    assert initial(net, depth, 3, 0).shape == (layers, 3, 3)


def test_layers_that_are_no_whole_units_are_a_defect() -> None:
    with pytest.raises(AssertionError, match="no whole units of 2"):
        outputs(SHORTCUT2, Relu.NONE, torch.zeros(3, 2, 2), torch.zeros(2, 1))


@pytest.mark.parametrize("net", NETS)
def test_standard_deviations_of_starts(net: Net) -> None:
    """Of 80,000 numbers: 1 % is four standard errors."""
    scale = {"0.01 x Xavier": 0.01, "0.3 x Xavier": 0.3}.get(net.start.value, 1.0)
    measured = float(initial(net, 200, 20, 0).std())
    assert measured == pytest.approx(scale / 20**0.5, rel=0.01)


def test_orthogonal_starts() -> None:
    weights = initial(ORTHOGONAL, 6, 8, 3)
    torch.testing.assert_close(weights @ weights.mT, torch.eye(8, dtype=torch.float64).expand(6, 8, 8))
    signs = torch.stack([torch.linalg.det(each) for each in initial(ORTHOGONAL, 200, 8, 3)]).sign()
    assert abs(float(signs.mean())) < 0.3, "both signs of the determinant, or they are not spread evenly"


def test_seeds() -> None:
    assert torch.equal(initial(XAVIER, 4, 10, 5), initial(XAVIER, 4, 10, 5))
    assert not torch.equal(initial(XAVIER, 4, 10, 5), initial(XAVIER, 4, 10, 6))
