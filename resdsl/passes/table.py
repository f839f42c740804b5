"""The passes by name, in the order in which they run, and running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from resdsl.diagnostics import did_you_mean, fail
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors
from resdsl.passes.draft import Array, Draft, Weights, open_network
from resdsl.passes.fold_batchnorm import fold_batchnorm
from resdsl.passes.fold_preactivation import fold_preactivation
from resdsl.passes.fold_scales import fold_scales
from resdsl.passes.fold_standardised import fold_standardised
from resdsl.passes.remove_dead import remove_dead
from resdsl.passes.remove_identities import remove_identities
from resdsl.passes.tally import Tally


@dataclass(frozen=True, slots=True)
class Pass:
    """level: the first `-O` that runs it."""

    name: str
    level: int
    summary: str
    run: Callable[[Draft], Tally]


PASSES: dict[str, Pass] = {
    each.name: each
    for each in (
        Pass("remove-identities", 1, "dropout, drop paths, factors of 1, a ReLU of a ReLU", remove_identities),
        Pass("fold-standardised", 1, "standardised filters become plain ones", fold_standardised),
        Pass("fold-scales", 1, "factors go into the layer beside them", fold_scales),
        Pass("fold-batchnorm", 1, "batch norms go into the layer before or behind them", fold_batchnorm),
        Pass("remove-dead", 1, "branches that add nothing are taken out", remove_dead),
        Pass("fold-preactivation", 2, "norms of full pre-activation go into the stream", fold_preactivation),
    )
}
LEVELS = range(3)
DEFAULT_LEVEL = 2


@dataclass(frozen=True, slots=True)
class Step:
    """What one pass left: the network and its weights then, and what it did."""

    name: str
    network: Network
    weights: Weights
    tally: Tally


def passes_of(level: int) -> list[Pass]:
    """Those that `-O level` runs."""
    return [each for each in PASSES.values() if each.level <= level]


def named_passes(names: Sequence[str]) -> list[Pass]:
    """These passes, in the order of the table. Raises SpecError for a name that none has."""
    for name in names:
        if name not in PASSES:
            raise fail(
                "unknown-pass",
                f"there is no pass {name!r}",
                help=did_you_mean(name, PASSES) or "`resdsl compile --passes` lists them",
            )
    return [each for each in PASSES.values() if each.name in names]


def run_passes(network: Network, weights: Mapping[str, Array], passes: Sequence[Pass]) -> list[Step]:
    """Each pass after the other, each on what the one before left; weights keep their dtypes.

    After each, every tensor of the network is there in its shape; a pass that breaks this is a bug, and is named.
    """
    steps: list[Step] = []
    for each in passes:
        draft = open_network(network, weights)
        tally = each.run(draft)
        network = draft.close()
        weights = _fitted(network, draft.weights, each.name)
        steps.append(Step(each.name, network, weights, tally))
    return steps


def _fitted(network: Network, weights: Weights, name: str) -> Weights:
    """The network's tensors; what it does not need any more is left out."""
    result: Weights = {}
    for tensor in network_tensors(network):
        array = weights.get(tensor.name)
        if array is None or array.shape != tensor.shape:
            found = "nothing" if array is None else array.shape
            raise AssertionError(f"{name} left {found} for {tensor.name}, which is {tensor.shape}")
        result[tensor.name] = array
    return result
