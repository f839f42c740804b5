"""Puts factors into the weights beside them.

    a * (W x + b)    =  (a W) x + a b           a layer or norm before the scale
    W (a * x) + b    =  (W a) x + b             a layer behind it
    a * branch(x)                               on a shortcut, what its scale gives the branch

through pooling, and through ReLU where a is not negative. A drop path that was not rescaled is the factor 1 - p. A
factor on an identity shortcut stays: there is no layer that could take it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from resdsl.network.names import kind_name
from resdsl.network.operators import DropPath, Scale
from resdsl.passes.absorb import scale_input, scale_output
from resdsl.passes.draft import Array, ChainDraft, Draft, UnitDraft
from resdsl.passes.tally import Kept, Tally


def fold_scales(draft: Draft) -> Tally:
    changed: list[str] = []
    kept: list[str] = []
    for unit in draft.units():
        changed += _fold_branch_factors(unit, draft)
    for chain in draft.chains():
        for index, element in enumerate(chain.elements):
            if isinstance(element, Scale) or (isinstance(element, DropPath) and not element.rescale):
                (changed if _fold(chain, index, element, draft) else kept).append(chain.names[index])
    reasons = (Kept("no layer beside it takes the factor", tuple(kept)),) if kept else ()
    return Tally(tuple(changed), reasons)


def _fold_branch_factors(unit: UnitDraft, draft: Draft) -> list[str]:
    if unit.shortcut is None:
        return []
    changed: list[str] = []
    for index, element in enumerate(unit.shortcut.elements):
        if isinstance(element, Scale) and element.branch != 1:
            factor = np.asarray(element.branch, np.float64)
            if scale_output(unit.branch, len(unit.branch.elements), factor, draft.weights):
                unit.shortcut.elements[index] = replace(element, branch=1.0)
                changed.append(unit.shortcut.names[index])
    return changed


def _fold(chain: ChainDraft, index: int, element: Scale | DropPath, draft: Draft) -> bool:
    name = chain.names[index]
    match element:
        case Scale(branch=1, learn=True):
            factor = draft.weights[name].astype(np.float64).reshape(-1)
        case Scale(branch=1, factor=number):
            factor = np.asarray(number, np.float64)
        case DropPath(p=p):
            factor = 1 - np.asarray(p, np.float64)
        case _:
            return False
    if not (_is_one(factor) or _absorb(chain, index, factor, draft)):
        return False
    chain.remove(index, kind_name(element))
    return True


def _absorb(chain: ChainDraft, index: int, factor: Array, draft: Draft) -> bool:
    return scale_output(chain, index, factor, draft.weights) or scale_input(chain, index + 1, factor, draft.weights)


def _is_one(factor: Array) -> bool:
    return bool((factor == 1).all())
