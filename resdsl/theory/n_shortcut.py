"""Which networks are the n-shortcut networks of Li et al. 2016."""

from __future__ import annotations

from dataclasses import dataclass

from resdsl.network import operators as op
from resdsl.network.network import Network
from resdsl.network.types import Tap, Vector
from resdsl.theory.activation import Activation, activation


@dataclass(frozen=True, slots=True)
class NShortcut:
    """x + post(W_n mid(… mid(W_1 pre(x)))), `units` times, with matrices of width x width.

    n: matrices in a unit. pre, mid, post: activations, the identity where there is none; mid is it for n = 1.
    """

    n: int
    units: int
    width: int
    pre: Activation
    mid: Activation
    post: Activation

    @property
    def linear(self) -> bool:
        return self.pre is self.mid is self.post is Activation.IDENTITY

    @property
    def parameters(self) -> int:
        return self.units * self.n * self.width**2


def n_shortcut(network: Network) -> NShortcut | None:
    """What the network is as an n-shortcut network, or None if it is not one.

    It is one if it is units alone, all alike, on a vector: an identity shortcut, n linear layers without biases that keep the
    width, at most one activation before the first, the same one or none between any two, at most one behind the last. How
    weights start does not matter.
    """
    if not isinstance(network.input, Vector) or network.stem or network.head:
        return None
    count, found = 0, set[_Branch]()
    for stage in network.stages:
        for element in stage:
            if not isinstance(element, op.Units):
                return None
            for run in element.runs:
                branch = _branch(run.unit, network.input.features)
                if branch is None:
                    return None
                found.add(branch)
                count += run.count
    if len(found) != 1:
        return None
    (branch,) = found
    return NShortcut(branch.n, count, network.input.features, branch.pre, branch.mid, branch.post)


@dataclass(frozen=True, slots=True)
class _Branch:
    n: int
    pre: Activation
    mid: Activation
    post: Activation


def _branch(unit: op.Unit, width: int) -> _Branch | None:
    reads_input = unit.shortcut.tap is Tap.INPUT or unit.lead == 0
    if unit.after or unit.shortcut.chain != () or not reads_input:
        return None
    gaps = [Activation.IDENTITY]  # before the first layer, between layers, behind the last
    for element in unit.branch:
        match element:
            case op.Linear(features=features, bias=False) if features == width:
                gaps.append(Activation.IDENTITY)
            case op.Relu() | op.Gelu() | op.Silu() | op.Tanh() | op.Sigmoid() if gaps[-1] is Activation.IDENTITY:
                gaps[-1] = activation(element)
            case _:
                return None
    if len(gaps) == 1:
        return None
    pre, *between, post = gaps
    if len(set(between)) > 1:
        return None
    return _Branch(len(gaps) - 1, pre, between[0] if between else Activation.IDENTITY, post)
