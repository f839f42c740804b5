"""Standardised filters are written out: always, and once."""

from __future__ import annotations

import numpy as np
import pytest

from resdsl.network.evaluate import STANDARDISE_FLOOR
from resdsl.network.operators import Conv
from tests.passes.trained import network_of, run, standing, trained


@pytest.mark.parametrize("arguments", ["", ", eps = 0.0001", ", groups = 4", ", bias = true", ", stride = 2"])
def test_everywhere(arguments: str) -> None:
    network = network_of(
        f"stem conv(3x3, 8, standardise = true{arguments}) stage u head avgpool -> linear(5)",
        f"unit u {{ branch concat(conv(3x3, 8, standardise = true{arguments})) shortcut conv(1x1, standardise = true) }}",
    )
    (step,) = run(network, trained(network), "fold-standardised")
    assert list(step.tally.changed) == standing(network)["conv"]
    assert not [name for name in step.weights if name.endswith(".gain")]
    for convolution in standing(step.network).operators(Conv):
        assert isinstance(convolution, Conv)
        assert (convolution.standardise, convolution.eps) == (False, 0.0)


def test_a_constant_filter_is_held_by_the_floor() -> None:
    network = network_of("stem conv(3x3, 8, standardise = true) head avgpool -> linear(5)")
    weights = trained(network)
    weights["stem_conv.weight"][2] = 3.0
    weights["stem_conv.weight"][3] *= 1e-4
    (step,) = run(network, weights, "fold-standardised")
    assert not step.weights["stem_conv.weight"][2].any()
    small = weights["stem_conv.weight"][3]
    expected = (small - small.mean()) / np.sqrt(STANDARDISE_FLOOR) * weights["stem_conv.gain"][3]
    assert small.var() * small.size < STANDARDISE_FLOOR
    np.testing.assert_allclose(step.weights["stem_conv.weight"][3], expected, rtol=1e-12)


def test_what_is_not_standardised_is_left() -> None:
    network = network_of("stem conv(3x3, 8) -> bn head avgpool -> linear(5)")
    weights = trained(network)
    (step,) = run(network, weights, "fold-standardised")
    assert step.network == network
    assert step.tally.changed == ()
    assert all(step.weights[name] is weights[name] for name in weights)
