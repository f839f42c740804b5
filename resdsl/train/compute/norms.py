"""How much of a sample batch norms see."""

from __future__ import annotations

from collections.abc import Iterator

from resdsl.network.network import Network, distinct_units, inner_chains
from resdsl.network.operators import BatchNorm, Chain, Partial
from resdsl.network.shapes import branch_output, output, shortcut_input, with_channels
from resdsl.network.types import Image, Shape


def least_positions(network: Network) -> int | None:
    """The fewest values of one channel that a batch norm sees of a sample: 1 of a vector. None without batch norms.

    Of one value there is no variance, and PyTorch trains no batch norm on it.
    """
    shapes = _of_sections(network)
    for unit in distinct_units(network):
        shapes += _seen(unit.branch, unit.input)
        shapes += _seen(unit.shortcut.chain or (), shortcut_input(unit))
        shapes += _seen(unit.after, branch_output(unit))
    return min((shape.height * shape.width if isinstance(shape, Image) else 1 for shape in shapes), default=None)


def _of_sections(network: Network) -> list[Shape]:
    whole = [element for _, chain in network.sections() for element in chain]
    return list(_seen(tuple(whole), network.input))


def _seen(chain: Chain, shape: Shape) -> Iterator[Shape]:
    """What batch norms of a chain read, without those in units."""
    for element in chain:
        match element:
            case BatchNorm():
                yield shape
            case Partial(channels=channels, chain=inner):
                yield from _seen(inner, with_channels(shape, channels))
            case _:
                for inner in inner_chains(element):
                    yield from _seen(inner, shape)
        shape = output(element, shape)
