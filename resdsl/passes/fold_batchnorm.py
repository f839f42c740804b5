"""Puts batch norms into the layer before them, or into the one behind where that is exact.

    s = gamma / sqrt(var + eps),  t = beta - s * mean           a channel; bn(x) = s x + t
    bn(W x + b)   =  (s W) x + s b + t                          a layer before: always
    W bn(x) + b   =  (W s) x + b + W t                          a layer behind, nothing but pooling between

The second does not hold for a convolution with padding, whose zeros are zeros behind the norm, unless t is 0; nor where
an activation stands between (see fold_preactivation). Nothing else may read what is folded away: the norm at the head
of a unit reads the stream together with the shortcut, and goes into the layer before only where it reads it alone.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from resdsl.network.operators import BatchNorm, Conv, Linear
from resdsl.passes.absorb import (
    input_layer,
    scale_input,
    scale_output,
    shift_output,
    shifted_layer,
    unshift_input,
    unshifting_layer,
)
from resdsl.passes.draft import Array, ChainDraft, Draft
from resdsl.passes.stream import Item, entrance, entrance_norm, layer_before, reads_alone, streams
from resdsl.passes.tally import Tally


def fold_batchnorm(draft: Draft) -> Tally:
    changed: list[str] = []
    for chain in draft.chains():
        places = range(len(chain.elements))
        for index in (*places, *reversed(places)):  # norms in a row fold from either end
            element = chain.elements[index]
            if isinstance(element, BatchNorm) and _fold(chain, index, element, draft):
                chain.remove(index, "bn")
                changed.append(chain.names[index])
    for items in streams(draft):
        for before, item in pairwise(items):
            while folded := _fold_across(before, item, draft):  # one norm may follow another
                changed += folded
    return Tally(tuple(changed))


def _fold_across(before: Item, item: Item, draft: Draft) -> list[str]:
    """A norm that alone reads what a layer of the chain before wrote."""
    chain, _ = entrance(item)
    index, source = entrance_norm(item), layer_before(before)
    if index is None or source is None or not reads_alone(item, index) or not _takes_before(*source):
        return []
    norm = chain.elements[index]
    assert isinstance(norm, BatchNorm)
    factor, shift = affine(chain.names[index], norm, draft)
    if not _is_finite(factor, shift) or not scale_output(*source, factor, draft.weights):
        return []
    shift_output(*source, shift, draft.weights)
    chain.remove(index, "bn")
    return [chain.names[index]]


def _fold(chain: ChainDraft, index: int, norm: BatchNorm, draft: Draft) -> bool:
    factor, shift = affine(chain.names[index], norm, draft)
    if not _is_finite(factor, shift):
        return False
    weights = draft.weights
    if _takes_before(chain, index) and scale_output(chain, index, factor, weights):
        return shift_output(chain, index, shift, weights)
    behind = input_layer(chain, index + 1, positive=bool((factor > 0).all()))
    if behind is None or (shift.any() and unshifting_layer(chain, index + 1) != behind):
        return False
    if shift.any():
        unshift_input(chain, index + 1, -shift, weights)
    return scale_input(chain, index + 1, factor, weights)


def _is_finite(factor: Array, shift: Array) -> bool:
    return bool(np.isfinite(factor).all() and np.isfinite(shift).all())


def _takes_before(chain: ChainDraft, index: int) -> bool:
    before = shifted_layer(chain, index)
    return before is not None and isinstance(chain.elements[before], Conv | Linear)


def affine(name: str, norm: BatchNorm, draft: Draft) -> tuple[Array, Array]:
    """s and t of a batch norm, (channels,), in float64."""
    gamma, beta, mean, variance = (
        draft.weights[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    with np.errstate(all="ignore"):
        factor = gamma / np.sqrt(variance + norm.eps)
        return factor, beta - factor * mean
