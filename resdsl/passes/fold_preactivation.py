"""Puts the norms of full pre-activation into the stream.

    s = gamma / sqrt(var + eps),  c = (beta - s * mean) / s      a channel, of the norm at the head of a unit's branch
    relu(bn(x)) = s * relu(x + c)                                where s > 0

The stream is kept shifted: each unit reads x + c of its own, so its norm is gone and its ReLU reads the stream. s goes
into the input channels of the layer behind it (and of a projection that reads `activated`), and the last layer of the
unit before takes c - c_before as a bias, or c where a projection or layer stands in the shortcut's place. The head's
norm goes the same way, s through the pooling into the classifier.

Only an identity shortcut carries a shift, so only clean paths fold. A norm stays, reading the shifted stream, where a
channel has gamma <= 0 (its ReLU would turn round; without a ReLU any gamma but 0 will do); where |c| is over the limit
times the root mean square that the norm and its neighbours have recorded, since x + c would round x away; and where no layer before it can
take the shift, or none behind it the factor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from resdsl.network.operators import BatchNorm
from resdsl.passes.absorb import input_layer, scale_input
from resdsl.passes.draft import Array, ChainDraft, Draft, UnitDraft
from resdsl.passes.fold_batchnorm import affine
from resdsl.passes.stream import (
    Item,
    Plain,
    carried,
    carries,
    entrance,
    entrance_norm,
    reads_shifted,
    streams,
    take,
    take_beside,
    takes_any,
    write,
    writes,
)
from resdsl.passes.tally import Kept, Tally

LIMIT = 32.0
"""Five of float32's 24 bits, at most, in the channel where it is reached."""


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """The norm at the entrance of an item: s, c of the stream, and the root mean square of what it reads, as it recorded
    it. reason: why it stays, if it must.
    """

    index: int
    factor: Array
    shift: Array
    size: Array
    reason: str = ""


NEIGHBOUR = 16.0
"""How many times larger than beside it the stream is taken to be at most."""


class Exact:
    """What an item wants that can only read the stream as it is."""


EXACT = Exact()
Wish: TypeAlias = Array | Exact | None
"""The shift that a position should have: this one, none, or any."""


def fold_preactivation(draft: Draft) -> Tally:
    folded: list[str] = []
    kept: dict[str, list[str]] = {}
    shifts: dict[str, Array] = {}
    branches = {id(unit.branch) for unit in draft.units()}
    for items in streams(draft):
        norms = [None if _is_head(item, branches) else _entrance_norm(item, draft) for item in items]
        norms = [_bounded(index, items, norms, draft.limit) for index in range(len(items))]
        shift: Array | None = None
        for item, norm, wish in zip(items, norms, _wishes(items, norms)[1:], strict=True):
            handed = carried(item, shift) if shift is not None and carries(item) else None
            reason = _read(item, norm, shift, draft)
            if norm is not None and reason:
                kept.setdefault(reason, []).append(item.path)
            elif norm is not None:
                folded.append(item.path)
            shift = _write(item, handed, wish, draft)
            if shift is not None and isinstance(item, UnitDraft):
                shifts[item.path] = shift
    reasons = tuple(Kept(reason, tuple(places)) for reason, places in kept.items())
    return Tally(tuple(folded), reasons, shifts)


def _is_head(item: Item, branches: set[int]) -> bool:
    """Whether the item is the head of a unit's branch: its norm is that of the unit, in the stream around it."""
    return isinstance(item, Plain) and item.start == 0 and id(item.chain) in branches


def _read(item: Item, norm: Norm | None, shift: Array | None, draft: Draft) -> str:
    """Makes the item read its position, shifted by this (None: not at all); why a norm stays, if it does."""
    if norm is not None and not norm.reason and shift is norm.shift:
        _fold(item, norm, draft)
        return ""
    if shift is not None:
        take(item, shift, draft.weights)
    return (norm.reason or "no layer before it takes the shift") if norm is not None else ""


def _write(item: Item, handed: Array | None, wish: Wish, draft: Draft) -> Array | None:
    """Makes the item write its position as it is wished, if it can; what that is shifted by then."""
    if wish is None or not writes(item):
        return handed
    shift = None if isinstance(wish, Exact) else wish
    if shift is not handed:
        write(item, _difference(shift, handed), draft.weights)
    return shift


def _bounded(index: int, items: list[Item], norms: list[Norm | None], limit: float) -> Norm | None:
    """The norm at this item; with a reason, where its shift is too large for what the stream holds.

    That is the root mean square that the norm has recorded, and at most NEIGHBOUR times that of the norms before and
    behind it that read the same stream: statistics that do not fit the network would shift x away.
    """
    norm = norms[index]
    if norm is None or norm.reason:
        return norm
    size = norm.size
    for edge, other in ((index - 1, index - 1), (index, index + 1)):
        neighbour = norms[other] if edge >= 0 and other < len(norms) and carries(items[edge]) else None
        if neighbour is not None:
            shared = min(size.size, neighbour.size.size)  # option A appends channels
            bound = np.full(size.size, np.inf)
            bound[:shared] = NEIGHBOUR * neighbour.size[:shared]
            size = np.fmin(size, bound)  # a neighbour that recorded NaN bounds nothing
    if (np.abs(norm.shift) <= limit * size).all():
        return norm
    return replace(norm, reason=f"a shift of over {limit:g} times what the channel holds")


def _wishes(items: list[Item], norms: list[Norm | None]) -> list[Wish]:
    """For each position. Items that carry and cannot write tie the positions on both sides together."""
    wishes: list[Wish] = [EXACT]  # what leaves the stream is what it was
    for item, norm in zip(reversed(items), reversed(norms), strict=True):
        behind = wishes[-1]
        tied = carries(item) and not writes(item)
        if ((norm is None or norm.reason) and not takes_any(item)) or (tied and isinstance(behind, Exact)):
            wishes.append(EXACT)
        elif norm is not None and not norm.reason:
            wishes.append(norm.shift)
        else:
            wishes.append(behind if tied else None)
    return wishes[::-1]


def _entrance_norm(item: Item, draft: Draft) -> Norm | None:
    """The norm that reads the position first, if one does."""
    chain, _ = entrance(item)
    index = entrance_norm(item)
    norm = None if index is None else chain.elements[index]
    return _norm(item, chain, index, norm, draft) if index is not None and isinstance(norm, BatchNorm) else None


def _norm(item: Item, chain: ChainDraft, index: int, norm: BatchNorm, draft: Draft) -> Norm:
    name = chain.names[index]
    factor, offset = affine(name, norm, draft)
    mean, variance = (draft.weights[f"{name}.{part}"].astype(np.float64) for part in ("running_mean", "running_var"))
    with np.errstate(all="ignore"):
        shift = offset / factor
        size = np.sqrt(mean**2 + variance + norm.eps)
    reason = ""
    if not _shortcut_follows(item):
        reason = "its shortcut reads what the norm leaves" if _reads_activated(item) else "its shortcut is not clean"
    elif input_layer(chain, index + 1, positive=True, crosses_barrier=True) is None:
        reason = "no layer behind it takes the factor"
    elif (factor <= 0).any() and not _may_have_sign(item, index, factor):
        reason = "gamma is not positive in every channel"
    elif not np.isfinite(shift).all():
        reason = "gamma or the statistics of a channel are out of range"
    return Norm(index, factor, shift, size, reason)


def _may_have_sign(item: Item, index: int, factor: Array) -> bool:
    """Whether every layer that takes the factor can take it with this sign."""
    chain, _ = entrance(item)
    beside = item.shortcut if isinstance(item, UnitDraft) and item.reads_activated else None
    positive = bool((factor > 0).all())
    return (
        bool(factor.all())
        and input_layer(chain, index + 1, positive=positive, crosses_barrier=True) is not None
        and (beside is None or input_layer(beside, 0, positive=positive) is not None)
    )


def _reads_activated(item: Item) -> bool:
    return isinstance(item, UnitDraft) and item.reads_activated


def _shortcut_follows(item: Item) -> bool:
    """Whether the shortcut can read what the fold leaves."""
    if isinstance(item, Plain) or item.shortcut is None:
        return True
    if item.reads_activated:
        return input_layer(item.shortcut, 0, positive=True) is not None
    return reads_shifted(item)


def _fold(item: Item, norm: Norm, draft: Draft) -> None:
    chain, _ = entrance(item)
    chain.remove(norm.index, "bn")
    scale_input(chain, norm.index + 1, norm.factor, draft.weights, crosses_barrier=True)
    if isinstance(item, UnitDraft) and item.shortcut is not None and item.reads_activated:
        scale_input(item.shortcut, 0, norm.factor, draft.weights)
    else:
        take_beside(item, norm.shift, draft.weights)


def _difference(shift: Array | None, handed: Array | None) -> Array:
    if shift is None:
        assert handed is not None
        return -handed
    return shift if handed is None else shift - handed
