"""What a network computes and no tensor shows, beside what a library computes.

Each check takes a network and says in which way it is not the library's and which parameter of the packaged specs changes
that, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from resdsl.network.network import Network, distinct_units, inner_chains, unit_chains
from resdsl.network.operators import (
    OPERATOR_NAMES,
    BatchNorm,
    Chain,
    Conv,
    DropPath,
    GlobalAvgPool,
    LayerNorm,
    MaxPool,
    Operator,
    Relu,
    Scale,
    Units,
)
from resdsl.network.types import Tap

Check: TypeAlias = Callable[[Network], str]

GAMMA = 1.7139588594436646
"""1 over the standard deviation of relu(x), x standard normal."""


def strides_in_the_3x3(network: Network) -> str:
    if (1, 1) in _strided_in_bottlenecks(network):
        return "a bottleneck strides in its first 1x1, the library's in the 3x3: `-p stride_3x3=true`"
    return ""


def strides_in_one_of_both(network: Network) -> str:
    """For a library that has both under the same names of tensors."""
    kernels = _strided_in_bottlenecks(network)
    if not kernels:
        return ""
    where = "first 1x1" if (1, 1) in kernels else "3x3"
    return (
        f"a bottleneck strides in its {where}; the library has models that stride in the first 1x1, and others, whose names "
        "end in b, that stride in the 3x3: see `stride_3x3`"
    )


def shortcuts_read_the_input(network: Network) -> str:
    """Those that are no projections."""
    for unit in distinct_units(network):
        if unit.lead and not unit.shortcut.projection and unit.shortcut.tap is Tap.ACTIVATED:
            return "a shortcut reads what leads the branch, the library's the unit's input, the first too: `-p first=input`"
    return ""


def drop_paths_rescale(network: Network) -> str:
    if any(isinstance(operator, DropPath) and not operator.rescale for operator in _operators(network)):
        return "evaluation multiplies by the chance to live, the library divides in training: `-p rescale=true`"
    return ""


def pools_between_levels(network: Network) -> str:
    if not any(isinstance(operator, MaxPool) for operator in _operators(network)):
        return "levels stride, the library pools between them: `-p pooled=true`"
    return ""


def multiplies_gamma_into_weights(network: Network) -> str:
    first = network.stem[0] if network.stem else None
    stem_is = isinstance(first, Scale) and isinstance(first.factor, float) and abs(first.factor - GAMMA) < 1e-3
    head_is = [type(element) for element in network.head[:2]] == [Relu, GlobalAvgPool]
    if not (stem_is and head_is):
        return (
            "gamma stands behind each activation, the library multiplies it into every convolution, the stem's too: "
            "`-p 'lead=scale(1.7139588594436646)' -p last=relu`"
        )
    return ""


def norms_have_eps(kind: type[BatchNorm | LayerNorm], eps: float) -> Check:
    def check(network: Network) -> str:
        others = {operator.eps for operator in _operators(network) if isinstance(operator, kind)} - {eps}
        return f"{OPERATOR_NAMES[kind]} has eps {min(others):g}, the library's {eps:g}" if others else ""

    return check


def filters_have_eps(eps: float) -> Check:
    def check(network: Network) -> str:
        convs = [operator for operator in _operators(network) if isinstance(operator, Conv) and operator.standardise]
        others = {conv.eps for conv in convs} - {eps}
        return (
            f"standardised filters have eps {min(others):g}, the library's {eps:g}: `-p eps={eps:g}`" if others else ""
        )

    return check


def _strided_in_bottlenecks(network: Network) -> set[tuple[int, int]]:
    """The kernels of the convolutions that stride, in branches of three."""
    found: set[tuple[int, int]] = set()
    for unit in distinct_units(network):
        convs = [element for element in unit.branch if isinstance(element, Conv)]
        if [conv.kernel for conv in convs] == [(1, 1), (3, 3), (1, 1)]:
            found |= {conv.kernel for conv in convs if conv.stride > 1}
    return found


def _operators(network: Network) -> Iterator[Operator]:
    """Every operator of the network, those of a distinct unit once."""

    def walk(chain: Chain) -> Iterator[Operator]:
        for element in chain:
            if not isinstance(element, Units):
                yield element
                for inner in inner_chains(element):
                    yield from walk(inner)

    for _, chain in network.sections():
        yield from walk(chain)
    for unit in distinct_units(network):
        for chain in unit_chains(unit):
            yield from walk(chain)
