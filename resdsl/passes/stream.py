"""The stream: what operators and units in a row hand on, and what a shift of it, one number a channel, would mean.

Item i reads position i and writes position i + 1. An item that carries hands the shift of what it reads on (an identity
shortcut); one that writes can add a shift of its own (the bias of a branch's last layer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from resdsl.network.operators import BatchNorm, Dropout, Pad, Removed
from resdsl.passes.absorb import passes_shifts, plain_sum, shift_output, shifted_layer, unshift_input, unshifting_layer
from resdsl.passes.draft import Array, ChainDraft, Draft, UnitDraft, Weights


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """Operators in a row, up to the next unit or the end of the chain: elements[start:end]."""

    chain: ChainDraft
    start: int
    end: int

    @property
    def path(self) -> str:
        return self.chain.names[self.start]


Item: TypeAlias = Plain | UnitDraft


def items_of(chains: list[ChainDraft]) -> list[Item]:
    """The items of chains that follow each other."""
    result: list[Item] = []
    for chain in chains:
        start = 0
        for index, element in enumerate(chain.elements):
            if isinstance(element, list):
                if start < index:
                    result.append(Plain(chain, start, index))
                result += element
                start = index + 1
        if start < len(chain.elements):
            result.append(Plain(chain, start, len(chain.elements)))
    return result


def entrance(item: Item) -> tuple[ChainDraft, int]:
    """The chain that reads the position, and from which element on."""
    return (item.branch, 0) if isinstance(item, UnitDraft) else (item.chain, item.start)


def carries(item: Item) -> bool:
    """Whether a shift of what the item reads is one of what it writes."""
    if isinstance(item, Plain):
        return all(map(passes_shifts, item.chain.elements[item.start : item.end]))
    if not all(map(passes_shifts, item.after.elements)):
        return False
    if item.shortcut is None:
        return all(map(passes_shifts, item.branch.elements))
    pads = [element for element in item.shortcut.elements if isinstance(element, Pad)]
    others = [element for element in item.shortcut.elements if not isinstance(element, Pad)]
    return not item.reads_activated and all(map(passes_shifts, others)) and (not pads or writes(item))


def carried(item: Item, shift: Array) -> Array:
    """The shift of what the item writes, of an item that carries: new channels of option A hold 0, not shifted."""
    if isinstance(item, UnitDraft) and item.shortcut is not None:
        for element in item.shortcut.elements:
            if isinstance(element, Pad):
                shift = np.pad(shift, (0, element.channels - shift.size))
    return shift


def takes_any(item: Item) -> bool:
    """Whether the item can read a shifted position and compute what it did, but for what it carries."""
    chain, start = entrance(item)
    if carries(item) and isinstance(item, Plain):
        return True
    layer = unshifting_layer(chain, start)
    if isinstance(item, Plain) or item.shortcut is None:
        return layer is not None or carries(item)
    if item.reads_activated:
        return layer is not None and layer < chain.barrier
    return layer is not None and reads_shifted(item)


def layer_before(item: Item) -> tuple[ChainDraft, int] | None:
    """Where the item ends, if all it writes comes from one chain: elements[:end] of it."""
    match item:
        case Plain(chain=chain, end=end):
            return chain, end
        case UnitDraft(shortcut=None, branch=branch, after=after) if after.is_empty:
            return branch, len(branch.elements)
        case _:
            return None


def entrance_norm(item: Item) -> int | None:
    """Where in the chain the batch norm stands that reads the position first, if one does."""
    chain, start = entrance(item)
    end = item.end if isinstance(item, Plain) else len(chain.elements)
    for index in range(start, end):
        match chain.elements[index]:
            case Removed() | Dropout():
                continue
            case BatchNorm():
                return index
            case _:
                return None
    return None


def reads_alone(item: Item, index: int) -> bool:
    """Whether all that the item reads goes through the element at `index` of its entrance's chain."""
    return isinstance(item, Plain) or item.shortcut is None or (item.reads_activated and index < item.branch.barrier)


def streams(draft: Draft) -> list[list[Item]]:
    """The network's own, from stem to head, behind those inside of units."""
    inner = [
        items_of([chain])
        for chain in draft.chains()
        if chain not in draft.sections and any(isinstance(element, list) for element in chain.elements)
    ]
    return [*inner, items_of(draft.sections)]


def reads_shifted(unit: UnitDraft) -> bool:
    """Whether a shortcut that reads the unit's input can do so where that is shifted."""
    assert unit.shortcut is not None
    return carries(unit) or unshifting_layer(unit.shortcut, 0) is not None


def take(item: Item, shift: Array, weights: Weights) -> None:
    """Makes the branch, or the operators, read a position that is shifted. The item takes_any."""
    chain, start = entrance(item)
    if not (isinstance(item, Plain) and carries(item)):
        unshift_input(chain, start, shift, weights)
    take_beside(item, shift, weights)


def take_beside(item: Item, shift: Array, weights: Weights) -> None:
    """The same of a shortcut with layers that reads the unit's input; one without carries the shift."""
    if isinstance(item, UnitDraft) and item.shortcut is not None and not item.reads_activated and not carries(item):
        unshift_input(item.shortcut, 0, shift, weights)


def writes(item: Item) -> bool:
    """Whether the item can shift what it writes."""
    match item:
        case Plain(chain=chain, end=end):
            return shifted_layer(chain, end) is not None
        case UnitDraft():
            return plain_sum(item) and any(
                shifted_layer(chain, len(chain.elements)) is not None for chain in _summands(item)
            )


def write(item: Item, shift: Array, weights: Weights) -> None:
    """Shifts what the item writes, beyond what it carries. The item writes."""
    match item:
        case Plain(chain=chain, end=end):
            shift_output(chain, end, shift, weights)
        case UnitDraft():
            _ = any(shift_output(chain, len(chain.elements), shift, weights) for chain in _summands(item))


def _summands(unit: UnitDraft) -> list[ChainDraft]:
    """What is added: the first that can takes the shift."""
    return [unit.branch] if unit.shortcut is None else [unit.branch, unit.shortcut]
