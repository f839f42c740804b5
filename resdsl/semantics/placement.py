"""Placement: which norms and activations follow the weight layers of a path.

`mid` follows each conv or linear that another follows on the same path, `post` each that none follows, also inside
concat and partial. Units bring their own.
"""

from __future__ import annotations

from dataclasses import replace

from resdsl.semantics.values import Bound, ChainValue, Item, OperatorCall, PlacementValue

WEIGHT_LAYERS = ("conv", "linear")


def holds_chains(call: OperatorCall) -> bool:
    """Whether the call's arguments are, or have among them, chains on the same path."""
    return call.signature.name in ("concat", "partial")


def placed_size(chain: ChainValue, placement: PlacementValue) -> int:
    """At most how many parts the chain has with the placement's norms and activations."""
    return chain.size + _weight_layers(chain) * max(placement.mid.size, placement.post.size)


def _weight_layers(chain: ChainValue) -> int:
    count = 0
    for item in chain.items:
        if isinstance(item, OperatorCall):
            count += item.signature.name in WEIGHT_LAYERS
            if holds_chains(item):
                count += sum(
                    _weight_layers(bound.value) for bound in item.arguments if isinstance(bound.value, ChainValue)
                )
    return count


def place(chain: ChainValue, placement: PlacementValue) -> ChainValue:
    """The chain with `mid` and `post` put in; items must not be Deferred any more."""
    return _place(chain, placement, followed=False)[0]


def _place(chain: ChainValue, placement: PlacementValue, *, followed: bool) -> tuple[ChainValue, bool]:
    """The chain with norms and activations, and whether a weight layer stands in it or behind it."""
    items: list[Item] = []
    for item in reversed(chain.items):
        if not isinstance(item, OperatorCall):
            items.append(item)
            continue
        weighted = followed
        if holds_chains(item):
            arguments: list[Bound] = []
            for bound in item.arguments:
                if isinstance(bound.value, ChainValue):
                    inner, inner_weighted = _place(bound.value, placement, followed=followed)
                    arguments.append(replace(bound, value=inner))
                    weighted = weighted or inner_weighted
                else:
                    arguments.append(bound)
            item = replace(item, arguments=tuple(arguments))
        if item.signature.name in WEIGHT_LAYERS:
            items += reversed((placement.mid if weighted else placement.post).items)
            weighted = True
        followed = weighted
        items.append(item)
    return ChainValue(tuple(reversed(items))), followed
