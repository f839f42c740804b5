"""The loss without looking at the samples is that of the samples, and so is its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from resdsl.analysis.demystify.loss import Samples, linear_loss, sample_loss, statistics
from resdsl.analysis.demystify.nets import SHORTCUT1, SHORTCUT2, SHORTCUT3_LARGER, XAVIER, Net, Relu, outputs


def given(width: int = 5, m: int = 40) -> Samples:
    """Not whitened, so that nothing is 1 by chance."""
    generator = torch.Generator().manual_seed(7)
    inputs, targets = torch.randn(2, width, m, dtype=torch.float64, generator=generator)
    return Samples(inputs + 0.3, targets)


def weights(net: Net) -> torch.Tensor:
    return torch.randn(2, net.layers(5), 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) / 2


@pytest.mark.parametrize("net", [XAVIER, SHORTCUT1, SHORTCUT2, SHORTCUT3_LARGER])
def test_loss_and_gradient_are_those_of_the_samples(net: Net) -> None:
    samples, at = given(), weights(net).requires_grad_()
    by_samples = 0.5 * (samples.targets - outputs(net, Relu.NONE, at, samples.inputs)).square().sum((1, 2)) / 40
    by_statistics = linear_loss(net, at, statistics(samples))
    torch.testing.assert_close(by_statistics, by_samples, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sample_loss(net, Relu.NONE, at, samples), by_samples, rtol=1e-14, atol=1e-14)
    expected, found = (torch.autograd.grad(loss.sum(), at)[0] for loss in (by_samples, by_statistics))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_relu_counts_in_the_loss() -> None:
    samples, at = given(), weights(SHORTCUT2)
    assert not torch.allclose(
        sample_loss(SHORTCUT2, Relu.MID, at, samples), sample_loss(SHORTCUT2, Relu.NONE, at, samples)
    )


def test_the_least_loss_is_that_of_least_squares() -> None:
    samples = given()
    x, y = samples.inputs.numpy(), samples.targets.numpy()
    solution = np.linalg.lstsq(x.T, y.T, rcond=None)[0].T
    assert statistics(samples).least == pytest.approx(np.sum((y - solution @ x) ** 2) / 80, rel=1e-12)
