"""Running passes one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from weakref import ref

import numpy as np

from resdsl.diagnostics import fail
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors
from resdsl.passes.draft import Array, Draft, Weights, open_network
from resdsl.passes.fold_batchnorm import fold_batchnorm
from resdsl.passes.fold_preactivation import LIMIT, fold_preactivation
from resdsl.passes.fold_scales import fold_scales
from resdsl.passes.fold_standardised import fold_standardised
from resdsl.passes.remove_dead import remove_dead
from resdsl.passes.remove_identities import remove_identities
from resdsl.passes.table import Pass
from resdsl.passes.tally import Tally

RUN: dict[str, Callable[[Draft], Tally]] = {
    "remove-identities": remove_identities,
    "fold-standardised": fold_standardised,
    "fold-scales": fold_scales,
    "fold-batchnorm": fold_batchnorm,
    "remove-dead": remove_dead,
    "fold-preactivation": fold_preactivation,
}
"""What each pass of the table does."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one pass left: the network and its weights then, and what it did."""

    name: str
    network: Network
    weights: Weights
    tally: Tally


@dataclass(frozen=True, slots=True)
class Done:
    """What one pass did."""

    name: str
    tally: Tally


def run_passes(
    network: Network, weights: Mapping[str, Array], passes: Sequence[Pass], limit: float = LIMIT
) -> list[Step]:
    """Each pass after the other, each on what the one before left; weights keep their dtypes.

    limit: how far fold_preactivation may shift the stream. After each pass every tensor of the network is there in its
    shape; a pass that breaks this is a bug, and is named. Raises SpecError where a product leaves the range of its dtype.
    """
    steps: list[Step] = []
    for each in passes:
        network, weights, tally = _run(each, network, dict(weights), limit)
        steps.append(Step(each.name, network, weights, tally))
    return steps


def fold(
    network: Network, weights: Mapping[str, Array], passes: Sequence[Pass], limit: float = LIMIT
) -> tuple[Network, Weights, tuple[Done, ...]]:
    """What the last of `run_passes` leaves, and what each did; beside `weights` at most one copy of them is alive."""
    numbers, done = dict(weights), list[Done]()
    for each in passes:
        network, numbers, tally = _run(each, network, numbers, limit)
        done.append(Done(each.name, tally))
    return network, numbers, tuple(done)


def _run(each: Pass, network: Network, weights: Weights, limit: float) -> tuple[Network, Weights, Tally]:
    """`weights` is emptied, so that an array which the pass replaces is freed at once where nobody else holds it."""
    draft = open_network(network, {name: np.asarray(array) for name, array in weights.items()}, limit)
    before = {name: ref(array) for name, array in draft.weights.items()}  # numpy's scalars would have none
    weights.clear()
    tally = RUN[each.name](draft)
    network = draft.close()
    return network, _fitted(network, draft.weights, before, each.name), tally


def _fitted(network: Network, weights: Weights, before: Mapping[str, ref[Array]], name: str) -> Weights:
    """The network's tensors; what it does not need any more is left out."""
    result: Weights = {}
    for tensor in network_tensors(network):
        array = weights.get(tensor.name)
        if array is None or array.shape != tensor.shape:
            found = "nothing" if array is None else array.shape
            raise AssertionError(f"{name} left {found} for {tensor.name}, which is {tensor.shape}")
        is_old = tensor.name in before and before[tensor.name]() is array
        if not is_old and not np.isfinite(array).all():
            message = f"{name} would make numbers of {tensor.name} that are too large for {array.dtype}"
            raise fail("passes-overflow", message, help="write with fewer passes, `-O1` or `-O0`")
        result[tensor.name] = array
    return result
