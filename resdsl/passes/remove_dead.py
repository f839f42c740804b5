"""Takes out branches that add nothing, and says where a gate is a constant.

    x + 0 = x        the branch's last layer has weights and bias 0, or its last norm gamma and beta 0, and what stands
                     behind it leaves 0 as it is

Only beside an identity shortcut: with any other the unit is left, and named. A gate whose filters are all 0 is
sigmoid(bias) whatever it reads; it is named too.
"""

from __future__ import annotations

from resdsl.network.names import kind_name
from resdsl.network.operators import (
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    DropPath,
    Gate,
    GlobalAvgPool,
    GroupNorm,
    LayerNorm,
    Linear,
    MaxPool,
    Relu,
    Removed,
    Scale,
)
from resdsl.passes.draft import ChainDraft, Draft, Weights
from resdsl.passes.tally import Kept, Tally


def remove_dead(draft: Draft) -> Tally:
    changed: list[str] = []
    beside: list[str] = []
    for unit in draft.units():
        if unit.shortcut is None or not _is_zero(unit.branch, draft.weights):
            continue
        if not unit.is_identity:
            beside.append(unit.path)
            continue
        unit.shortcut = None
        for index, element in enumerate(unit.branch.elements):
            unit.branch.remove(index, "units" if isinstance(element, list) else kind_name(element))
            unit.branch.inner[index] = ()
        changed.append(unit.path)
    gates = [name for chain in draft.chains() for name in _constant_gates(chain, draft.weights)]
    kept = (
        Kept("adds nothing to a shortcut that is no identity", tuple(beside)),
        Kept("a gate that is constant", tuple(gates)),
    )
    return Tally(tuple(changed), tuple(each for each in kept if each.places))


def _is_zero(branch: ChainDraft, weights: Weights) -> bool:
    for name, element in zip(reversed(branch.names), reversed(branch.elements), strict=True):
        match element:
            case Removed() | Dropout() | DropPath() | Relu() | Scale() | MaxPool() | AvgPool() | GlobalAvgPool():
                continue
            case Conv(bias=bias, standardise=False) | Linear(bias=bias):
                parts = ("weight", "bias") if bias else ("weight",)
            case BatchNorm() | GroupNorm() | LayerNorm():
                parts = ("weight", "bias")
            case _:
                return False
        return not any(weights[f"{name}.{part}"].any() for part in parts)
    return False


def _constant_gates(chain: ChainDraft, weights: Weights) -> list[str]:
    return [
        name
        for name, element in zip(chain.names, chain.elements, strict=True)
        if isinstance(element, Gate) and not weights[f"{name}.weight"].any()
    ]
