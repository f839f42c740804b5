"""Weights as after training, and whether a pass kept what a network computes.

Everything that passes read is random here: factors, biases, statistics of norms, learned scales. Each tensor has its own
seed, so that a network's weights do not depend on the order of its tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from resdsl.network.evaluate import calibrate, evaluate, random_input
from resdsl.network.initial import initial_weights
from resdsl.network.names import Named, name_network, name_unit
from resdsl.network.network import Network, copy_of
from resdsl.network.operators import OPERATOR_NAMES, Operator, Removed, Units
from resdsl.network.tensors import Tensor, network_tensors
from resdsl.passes.draft import Array, Weights
from resdsl.passes.run import Step, run_passes
from resdsl.passes.table import PASSES
from resdsl.spec import build

EVERY = tuple(PASSES.values())
ROUNDING = 1e-12
"""Of the largest output: some thousand roundings of float64, for networks whose weights are near 1."""


@dataclass(frozen=True)
class Draws:
    """What the numbers of norms are drawn from: chances that a channel's gamma is negative, 0, or 1e-30.

    decades: the standard deviation, in decades, of |gamma|, of the variance's root, and of |beta| and |mean| around 0.3.
    empty: the chance that a tensor, statistics aside, is 0 throughout.
    """

    negative: float = 0.0
    zero: float = 0.0
    tiny: float = 0.0
    decades: float = 0.1
    empty: float = 0.0


POSITIVE = Draws()
ANY_SIGN = Draws(negative=0.5)


def network_of(sections: str, *units: str, input: str = "4x6x6") -> Network:
    """The network of these sections and units."""
    return build("\n".join(["resnet 1", f"network n {{ input {input} {sections} }}", *units, ""]))


def trained(network: Network, seed: int = 0, draws: Draws = POSITIVE) -> Weights:
    """Weights in float64 in which no number is one that a mistake could hide behind."""
    initial = initial_weights(network, seed)
    result: Weights = {}
    for tensor in network_tensors(network):
        generator = np.random.Generator(np.random.PCG64([seed, 7, crc32(tensor.name.encode())]))
        values = numbers(tensor, initial[tensor.name].astype(np.float64), draws, generator)
        empty = tensor.trainable and generator.random() < draws.empty
        result[tensor.name] = np.zeros(tensor.shape) if empty else values
    return result


def numbers(tensor: Tensor, start: Array, draws: Draws, generator: np.random.Generator) -> Array:
    """Those of one tensor: of a matrix or filters, most of all numbers, what they start as."""
    part = tensor.name.rpartition(".")[2]
    if not (len(tensor.shape) == 1 or tensor.is_scale or part == "gain"):
        return start if start.any() else 0.1 * generator.standard_normal(tensor.shape)
    size = 10 ** (draws.decades * generator.standard_normal(tensor.shape))
    signs = generator.choice([-1.0, 1.0], tensor.shape)
    match part:
        case "running_var":
            return size**2
        case "running_mean" | "bias":
            return start + 0.3 * size * signs
        case "weight":
            return gammas(size, draws, generator)
        case _:
            return start * size + 0.1 * size


def gammas(size: Array, draws: Draws, generator: np.random.Generator) -> Array:
    chance = generator.random(size.shape)
    factors = np.where(chance < draws.negative, -size, size)
    factors[(draws.negative <= chance) & (chance < draws.negative + draws.zero)] = 0.0
    factors[chance > 1 - draws.tiny] = 1e-30
    return factors


def calibrated(network: Network, weights: Weights, seed: int = 0) -> Weights:
    """The weights in float32, with the statistics that their own activations have."""
    result = in_float32(weights)
    calibrate(network, result, seed=seed, forwards=1, batch=8)
    return dict(result)


def in_float32(weights: Weights) -> dict[str, NDArray[np.float32]]:
    return {name: array.astype(np.float32) for name, array in weights.items()}


def inputs(network: Network, seed: int = 0) -> Array:
    return random_input(network, 2, seed).astype(np.float64)


def relative_error(outputs: Array, expected: Array) -> float:
    """The largest difference, of the largest output."""
    return float(np.abs(outputs - expected).max() / (np.abs(expected).max() or 1.0))


def run(network: Network, weights: Mapping[str, Array], *names: str) -> list[Step]:
    """The passes of these names, or all; each has kept the numbers."""
    x = inputs(network)
    expected = evaluate(network, weights, x)
    steps = run_passes(network, weights, [PASSES[name] for name in names] or EVERY)
    for step in steps:
        error = relative_error(evaluate(step.network, step.weights, x), expected)
        assert error <= ROUNDING, f"{step.name} changed the outputs by {error:.1e}"
    return steps


@dataclass
class Standing:
    """Operators by their names; those in place of which nothing stands are left out."""

    found: dict[str, Operator] = field(default_factory=dict[str, Operator])

    def __getitem__(self, kind: str) -> list[str]:
        """The names of one kind, in the order of execution."""
        return [name for name, operator in self.found.items() if OPERATOR_NAMES[type(operator)] == kind]

    def operators(self, kind: type[Operator]) -> list[Operator]:
        return [operator for operator in self.found.values() if isinstance(operator, kind)]

    def all(self) -> set[str]:
        return set(self.found)


def standing(network: Network) -> Standing:
    """What the network has, each copy of a unit by itself."""
    result = Standing()
    for _, chain in name_network(network):
        _stand(chain, "", result)
    return result


def _stand(chain: tuple[Named, ...], prefix: str, result: Standing) -> None:
    for named in chain:
        if isinstance(named.element, Units):
            units = [(run, copy) for run in named.element.runs for copy in range(run.count)]
            for number, (run, copy) in enumerate(units):
                names = name_unit(copy_of(run.unit, copy))
                for part in (names.branch, names.shortcut, names.after):
                    _stand(part, f"{prefix}{named.name}.{number}.", result)
        elif not isinstance(named.element, Removed):
            result.found[prefix + named.name] = named.element
            for inner in named.inner:
                _stand(inner, prefix, result)
