"""Numbers that a chain takes into the weights that it has: factors and shifts, one a channel.

Each function finds the layer that can take them, by walking over operators that let them through unchanged, and says
whether there is one; without one nothing has changed. Two walks start behind an index and go back, two start at an
index and go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from resdsl.network.operators import (
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    DropPath,
    Flatten,
    Gate,
    GlobalAvgPool,
    GroupNorm,
    LayerNorm,
    Linear,
    MaxPool,
    Operator,
    Relu,
    Removed,
    Scale,
)
from resdsl.passes.draft import Array, ChainDraft, UnitDraft, Weights

Element: TypeAlias = Operator | list[UnitDraft]


def scale_output(chain: ChainDraft, end: int, factors: Array, weights: Weights) -> bool:
    """Multiplies what leaves elements[:end] by `factors`, (channels,) or one number."""
    positive = bool((factors >= 0).all())
    index = _find(reversed(_elements(chain, 0, end)), lambda element: _passes_factors(element, positive))
    if index is None:
        return False
    name, layer = chain.names[index], chain.elements[index]
    match layer:
        case Conv(standardise=False) | Linear():
            weight = weights[f"{name}.weight"]
            spread = np.broadcast_to(factors, weight.shape[:1]).reshape(-1, *(1,) * (weight.ndim - 1))
            weights[f"{name}.weight"] = _like(weight * spread, weight)
            parts = ("bias",) if layer.bias else ()
        case BatchNorm() | GroupNorm() | LayerNorm():
            parts = ("weight", "bias")
        case _:
            return False
    for part in parts:
        vector = weights[f"{name}.{part}"]
        weights[f"{name}.{part}"] = _like(vector * factors, vector)
    return True


def scale_input(
    chain: ChainDraft, start: int, factors: Array, weights: Weights, *, crosses_barrier: bool = False
) -> bool:
    """Makes elements[start:] compute for x what they computed for `factors` * x, (channels,) or one number.

    crosses_barrier: the caller sees to the shortcut that reads what stands between.
    """
    index = input_layer(chain, start, positive=bool((factors > 0).all()), crosses_barrier=crosses_barrier)
    if index is None:
        return False
    name, layer = chain.names[index], chain.elements[index]
    weight = weights[f"{name}.weight"]
    groups = layer.groups if isinstance(layer, Conv) else 1
    factors = _repeated(factors.reshape(-1), weight.shape[1] * groups)
    grouped = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    spread = factors.reshape(groups, 1, weight.shape[1], *(1,) * (weight.ndim - 2))
    weights[f"{name}.weight"] = _like((grouped * spread).reshape(weight.shape), weight)
    return True


def input_layer(chain: ChainDraft, start: int, *, positive: bool, crosses_barrier: bool = False) -> int | None:
    """Where the layer stands that takes factors of what elements[start:] read; None if there is none.

    What elements[start - 1] leaves changes by the factors, so a second reader behind it (the barrier) forbids it.
    """
    index = _find(_elements(chain, start), lambda element: _passes_factors(element, positive) or element == Flatten())
    if index is None or (chain.barrier > 0 and start <= chain.barrier <= index and not crosses_barrier):
        return None
    layer = chain.elements[index]
    return index if isinstance(layer, Linear) or (isinstance(layer, Conv) and not layer.standardise) else None


def shift_output(chain: ChainDraft, end: int, shift: Array, weights: Weights) -> bool:
    """Adds `shift`, (channels,), to what leaves elements[:end]."""
    index = shifted_layer(chain, end)
    if index is None:
        return False
    _add_bias(chain, index, shift, weights)
    return True


def shifted_layer(chain: ChainDraft, end: int) -> int | None:
    """Where the layer stands that takes a shift of what leaves elements[:end]; None if there is none.

    A second reader between the two (the barrier) would be shifted too, and forbids it.
    """
    index = _find(reversed(_elements(chain, 0, end)), passes_shifts)
    if index is None or index < chain.barrier <= end:
        return None
    return index if isinstance(chain.elements[index], Conv | Linear | BatchNorm | GroupNorm | LayerNorm) else None


def unshift_input(chain: ChainDraft, start: int, shift: Array, weights: Weights) -> bool:
    """Makes elements[start:] compute for x + shift, (channels,), what they computed for x."""
    index = unshifting_layer(chain, start)
    if index is None:
        return False
    name, layer = chain.names[index], chain.elements[index]
    if isinstance(layer, BatchNorm):
        mean = weights[f"{name}.running_mean"]
        weights[f"{name}.running_mean"] = _like(mean + _repeated(shift, mean.size), mean)
        return True
    weight = weights[f"{name}.weight"]
    groups = layer.groups if isinstance(layer, Conv) else 1
    filters = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1).sum(axis=3, dtype=np.float64)
    shifts = _repeated(shift, weight.shape[1] * groups).reshape(groups, -1)
    taken = np.einsum("goi,gi->go", filters, shifts).reshape(-1)
    _add_bias(chain, index, -taken, weights)
    return True


def unshifting_layer(chain: ChainDraft, start: int) -> int | None:
    """Where the layer stands that takes back a shift of what elements[start:] read; None if there is none.

    A convolution with padding is none: its zeros are not shifted.
    """
    index = _find(_elements(chain, start), lambda element: passes_shifts(element) or element == Flatten())
    match None if index is None else chain.elements[index]:
        case BatchNorm() | Linear() | Conv(padding=(0, 0), standardise=False):
            return index
        case _:
            return None


def passes_shifts(element: Element) -> bool:
    """Whether a number added a channel before it is the same number added behind it."""
    match element:
        case Removed() | Dropout() | DropPath(rescale=True) | GlobalAvgPool() | MaxPool():
            return True
        case AvgPool(padding=padding, count_padding=counts):
            return padding == (0, 0) or not counts
        case _:
            return False


def plain_sum(unit: UnitDraft) -> bool:
    """Whether nothing behind the addition, and nothing on the shortcut, keeps the branch from being simply added."""
    return all(map(passes_shifts, unit.after.elements)) and not any(
        scales_branch(element) for element in (unit.shortcut.elements if unit.shortcut else ())
    )


def scales_branch(element: Element) -> bool:
    """Whether an operator on a shortcut multiplies the branch too."""
    match element:
        case Gate(branch=branch):
            return branch
        case Scale(branch=factor):
            return factor != 1
        case _:
            return False


def _passes_factors(element: Element, positive: bool) -> bool:
    """Whether a factor a channel before it is the same factor behind it."""
    match element:
        case Removed() | Dropout() | DropPath() | Scale() | AvgPool() | GlobalAvgPool():
            return True
        case Relu() | MaxPool():
            return positive
        case _:
            return False


def _elements(chain: ChainDraft, start: int = 0, end: int | None = None) -> list[tuple[int, Element]]:
    return list(enumerate(chain.elements))[start:end]


def _find(elements: Iterable[tuple[int, Element]], passes: Callable[[Element], bool]) -> int | None:
    """The index of the first element that does not let it through."""
    return next((index for index, element in elements if not passes(element)), None)


def _add_bias(chain: ChainDraft, index: int, shift: Array, weights: Weights) -> None:
    name, layer = chain.names[index], chain.elements[index]
    if isinstance(layer, Conv | Linear) and not layer.bias:
        chain.elements[index] = replace(layer, bias=True)
        like = weights[f"{name}.weight"]
        weights[f"{name}.bias"] = _like(np.broadcast_to(shift, like.shape[:1]), like)
    else:
        bias = weights[f"{name}.bias"]
        weights[f"{name}.bias"] = _like(bias + shift, bias)


def _repeated(vector: Array, count: int) -> Array:
    """A number a channel for each of `count` features: flattening gives a channel's positions one after the other."""
    return np.repeat(vector, count // vector.size)


def _like(values: Array, array: Array) -> Array:
    """In the dtype of an array. What is too large for it becomes infinite, which run_passes refuses."""
    with np.errstate(over="ignore", under="ignore"):
        return np.ascontiguousarray(values, array.dtype)
