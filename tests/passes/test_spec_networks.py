"""Every network of specs/: it computes the same without its norms, and these stay."""

from __future__ import annotations

import numpy as np
import pytest

from resdsl.network.evaluate import evaluate
from resdsl.network.network import distinct_units
from resdsl.passes.draft import Weights
from resdsl.passes.run import run_passes
from tests.networks import CASES, Case, all_networks
from tests.passes.trained import EVERY, in_float32, inputs, relative_error, standing, trained

OPTION_A = (
    *(f"preact{layers}" for layers in (20, 32, 44, 56, 110, 1202)),
    *("preact110_1layer", "rezero56", "rezero110", "layerscale110"),
)
"""In the first units of two stages the shortcut pads what the norm and the activation leave."""
STAY = {
    **dict.fromkeys(OPTION_A, 2),
    "rir18": 16,  # one behind each addition, here and in the next
    "bn_after_add101": 33,
    "bn_after_add110": 54,
    "bn_after_add164": 54,
}
"""How many norms are left of a network; none of all others."""


@all_networks(runs_them=True)
def test_numbers(case: Case) -> None:
    """Within 1e-9 of the largest output, or a hundred times what one unit in the last place of the weights does.

    A network of 1202 layers that no norm holds to its own activations reaches 1e105, and amplifies roundings as much.
    """
    network = case.small()
    weights = trained(network)
    x = inputs(network)[:1]
    with np.errstate(over="ignore"):
        expected = evaluate(network, weights, x)
        last = run_passes(network, weights, EVERY)[-1]
        error = relative_error(evaluate(last.network, last.weights, x), expected)
        assert error < 1e-9 or error < 100 * relative_error(evaluate(network, nudged(weights), x), expected)


def nudged(weights: Weights) -> Weights:
    generator = np.random.default_rng(0)
    return {name: array * (1 + 2**-52 * generator.choice([-1, 1], array.shape)) for name, array in weights.items()}


@all_networks(runs_them=True)
def test_norms_that_stay(case: Case) -> None:
    network = case.small()
    weights = in_float32(trained(network))
    last = run_passes(network, weights, EVERY)[-1]
    assert len(standing(last.network)["bn"]) == STAY.get(case.network, 0)
    assert not standing(last.network)["dropout"]
    for step in run_passes(last.network, last.weights, EVERY):
        assert step.network == last.network, f"{step.name} found more to do"
        assert all(np.array_equal(step.weights[name], array) for name, array in last.weights.items())


def test_the_table_names_networks() -> None:
    assert set(STAY) <= {case.network for case in CASES}


@pytest.mark.parametrize(
    ("network", "units"),
    [("preact164", 6), ("preact1001", 6), ("resnet110", 5), ("bn_after_add164", 6), ("wrn_16_4", 6), ("preact110", 8)],
)
def test_repetition_stays_repetition(network: str, units: int) -> None:
    """No distinct unit more than before, but two in preact110: those behind the norms that stay add no shift."""
    case = next(case for case in CASES if case.network == network)
    built = case.small()
    last = run_passes(built, in_float32(trained(built)), EVERY)[-1]
    assert len(distinct_units(last.network)) == units
    assert len(distinct_units(built)) == units - (2 if network == "preact110" else 0)
