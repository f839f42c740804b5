"""Placement: which norms and activations follow the weight layers of a path.

`mid` follows each conv or linear that another follows on the same path, `post` each that none follows, also inside
concat and partial. Units bring their own.
"""

from __future__ import annotations

from dataclasses import replace

from resdsl.semantics.values import Bound, ChainValue, Item, OperatorCall, PlacementValue

WEIGHT_LAYERS = ("conv", "linear")


def place(chain: ChainValue, placement: PlacementValue) -> ChainValue:
    """The chain with `mid` and `post` put in; items must not be Deferred any more."""
    return _place(chain, placement, followed=False)[0]


def _place(chain: ChainValue, placement: PlacementValue, *, followed: bool) -> tuple[ChainValue, bool]:
    """The chain with norms and activations, and whether a weight layer stands in it or behind it."""
    items: list[Item] = []
    for item in reversed(chain.items):
        if not isinstance(item, OperatorCall):
            items.insert(0, item)
            continue
        arguments: list[Bound] = []
        weighted = followed
        for bound in item.arguments:
            if item.signature.name in ("concat", "partial") and isinstance(bound.value, ChainValue):
                inner, inner_weighted = _place(bound.value, placement, followed=followed)
                arguments.append(replace(bound, value=inner))
                weighted = weighted or inner_weighted
            else:
                arguments.append(bound)
        followed = weighted
        items.insert(0, replace(item, arguments=tuple(arguments)))
        if item.signature.name in WEIGHT_LAYERS:
            items[1:1] = (placement.mid if followed else placement.post).items
            followed = True
    return ChainValue(tuple(items)), followed
