"""The Hessian from products of layers is the one that torch differentiates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resdsl.analysis.demystify.linear_hessian import linear_hessian
from resdsl.analysis.demystify.loss import Samples, sample_loss, statistics
from resdsl.analysis.demystify.nets import NETS, SHORTCUT2, SHORTCUT3, Net, Relu
from resdsl.analysis.hessian.exact import exact_hessian


def given(width: int = 4) -> Samples:
    inputs, targets = torch.randn(2, width, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return Samples(inputs, targets)


@pytest.mark.parametrize("depth", [1, 5])
@pytest.mark.parametrize("net", NETS)
def test_against_torch(net: Net, depth: int) -> None:
    samples = given()
    weights = torch.randn(net.layers(depth), 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(9)) / 2
    expected = exact_hessian(
        lambda theta: sample_loss(net, Relu.NONE, theta.reshape(weights.shape), samples), weights.flatten()
    )
    found = linear_hessian(net, weights, statistics(samples))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=float(1e-12 * expected.abs().max()))


def test_at_zero_it_is_theorem_2() -> None:
    samples = given()
    of = statistics(samples)
    found = linear_hessian(SHORTCUT2, torch.zeros(6, 4, 4, dtype=torch.float64), of)
    values = np.linalg.svd((of.inputs - of.cross).numpy(), compute_uv=False)
    expected = np.sort(np.concatenate([np.repeat(values, 12), np.repeat(-values, 12)]))
    np.testing.assert_allclose(np.linalg.eigvalsh(found.numpy()), expected, rtol=1e-12)
    assert not linear_hessian(SHORTCUT3, torch.zeros(6, 4, 4, dtype=torch.float64), of).any()
