"""Whatever the network and its numbers: after every pass it computes what it did, or the pass has left it alone."""

from __future__ import annotations

from collections import Counter
from math import inf

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from resdsl.diagnostics import SpecError
from resdsl.network.evaluate import evaluate
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors
from resdsl.passes.draft import Array, Weights
from resdsl.passes.fold_preactivation import LIMIT
from resdsl.passes.run import run_passes
from resdsl.passes.table import PASSES
from resdsl.spec import build
from tests.passes.random_specs import texts
from tests.passes.trained import (
    ANY_SIGN,
    EVERY,
    POSITIVE,
    Draws,
    calibrated,
    in_float32,
    inputs,
    relative_error,
    trained,
)

FLOAT64 = 1e-8
"""Of the largest output. Numbers over six decades amplify each other's roundings; 1e-13 is the most that was seen."""
FLOAT32 = LIMIT
"""Of what float32 costs the network itself: a shift of so many times what a channel holds costs it as many more."""
LEAST = 2.0**-22
"""What float32 costs is taken for no less: four units in the last place of the largest output."""

DRAWS = st.sampled_from(
    [
        *(POSITIVE, POSITIVE, ANY_SIGN, Draws(empty=0.3)),
        *(Draws(negative=0.02, zero=0.02, tiny=0.02, decades=d, empty=e) for d, e in ((0.3, 0), (1.0, 0), (0.5, 0.02))),
    ]
)
SEEDS = st.integers(0, 2**32)
FAST = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
THOROUGH = settings(FAST, max_examples=250)


def built(text: str) -> Network:
    """The network, if its random parts fit each other."""
    try:
        return build(text)
    except SpecError:
        assume(False)
        raise


def keeps_the_numbers(text: str, seed: int, draws: Draws, seen: Counter[str]) -> None:
    network = built(text)
    weights = trained(network, seed, draws)
    x = inputs(network, seed)
    names = {tensor.name for tensor in network_tensors(network)}
    with np.errstate(over="ignore"):  # of exp, in a sigmoid's far end
        expected = evaluate(network, weights, x)
        for step in run_passes(network, weights, EVERY):
            error = relative_error(evaluate(step.network, step.weights, x), expected)
            assert error <= FLOAT64, f"{step.name} changed the outputs by {error:.1e}"
            assert all(name in names or name.endswith(".bias") for name in step.weights)
            assert list(step.weights) == [tensor.name for tensor in network_tensors(step.network)]
            seen.update([step.name] if step.tally.changed else [])
            seen.update(kept.reason for kept in step.tally.kept)


def keeps_float32(text: str, seed: int, draws: Draws) -> None:
    """The statistics are those of the network's own activations here: the limit of the shift trusts them."""
    network = built(text)
    x = inputs(network, seed)
    with np.errstate(over="ignore"):
        weights = calibrated(network, trained(network, seed, draws), seed)
        expected = evaluate(network, weights, x)
        last = run_passes(network, weights, EVERY)[-1]
        error = relative_error(evaluate(last.network, last.weights, x.astype(np.float32)), expected)
        assert error <= FLOAT32 * max(LEAST, *(float32_costs(network, weights, x, expected, n) for n in range(2)))


def float32_costs(network: Network, weights: Weights, x: Array, expected: Array, seed: int) -> float:
    """How much a change of the weights within the last digit changes the outputs, and computing with it in float32."""
    generator = np.random.default_rng(seed)
    near = {name: array * (1 + 2**-24 * generator.uniform(-1, 1, array.shape)) for name, array in weights.items()}
    exact = evaluate(network, near, x)
    rounded = evaluate(network, in_float32(near), x.astype(np.float32))
    return max(relative_error(exact, expected), relative_error(rounded, exact))


def leaves_nothing_to_itself(text: str, seed: int, draws: Draws) -> None:
    """Each pass, run again. Without a limit: a norm that stays records the shifted stream, which that would be of."""
    network = built(text)
    weights = trained(network, seed, draws)
    for each in EVERY:
        first, second = run_passes(network, weights, [each, each], inf)
        assert second.tally.changed == (), f"{each.name} found more"
        assert second.network == first.network
        assert all(np.array_equal(second.weights[name], array) for name, array in first.weights.items())
        network, weights = first.network, first.weights


def test_numbers() -> None:
    seen: Counter[str] = Counter()

    @FAST
    @given(texts(), SEEDS, DRAWS)
    def check(text: str, seed: int, draws: Draws) -> None:
        keeps_the_numbers(text, seed, draws, seen)

    check()
    assert set(PASSES) <= set(seen), f"the networks give these passes nothing to do: {set(PASSES) - set(seen)}"
    assert seen["fold-preactivation"] >= 20
    assert "gamma is not positive in every channel" in seen
    assert "no layer before it takes the shift" in seen


@settings(FAST, max_examples=50)
@given(texts(), SEEDS, DRAWS)
def test_numbers_in_float32(text: str, seed: int, draws: Draws) -> None:
    keeps_float32(text, seed, draws)


@settings(FAST, max_examples=50)
@given(texts(), SEEDS, DRAWS)
def test_a_pass_that_runs_again(text: str, seed: int, draws: Draws) -> None:
    leaves_nothing_to_itself(text, seed, draws)


@pytest.mark.slow
@THOROUGH
@given(texts(), SEEDS, DRAWS)
def test_numbers_of_many(text: str, seed: int, draws: Draws) -> None:
    keeps_the_numbers(text, seed, draws, Counter())


@pytest.mark.slow
@settings(THOROUGH, max_examples=100)
@given(texts(), SEEDS, DRAWS)
def test_float32_of_many(text: str, seed: int, draws: Draws) -> None:
    keeps_float32(text, seed, draws)


@pytest.mark.slow
@settings(THOROUGH, max_examples=100)
@given(texts(), SEEDS, DRAWS)
def test_a_pass_that_runs_again_in_many(text: str, seed: int, draws: Draws) -> None:
    leaves_nothing_to_itself(text, seed, draws)
