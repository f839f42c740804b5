"""Which parts of a branch start at 0, and what that keeps from learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from resdsl.linter.main_path import Part, chain_parts
from resdsl.network import operators as op
from resdsl.network.types import Zero


@dataclass(frozen=True, slots=True)
class Zeros:
    """What a chain gives before training.

    part: the layer, or the learned scale, by which it gives zeros; None if it does not. everywhere: in all channels,
    not only in those of one chain of a `concat`.
    """

    part: Part | None = None
    everywhere: bool = True


@dataclass(frozen=True, slots=True)
class Dead:
    """No gradient ever reaches `part`, which starts at 0, because of `cause`: a ReLU, or another part at 0.

    The two are the same where one operator is both, as `se`.
    """

    part: Part
    cause: Part


Start: TypeAlias = Zeros | Dead


def start_of(parts: list[Part]) -> Start:
    """What parts in a row, which read no zeros, give before training; Dead for the first of them that never learns.

    Norms, biases and what else shifts a signal start without a shift, so what is 0 stays 0 until something is added.
    Units are not looked into. What stands before a `concat` or `partial` is forgotten there: another chain may bring it
    a gradient.
    """
    zeros = Zeros()
    for part in parts:
        found = _behind(zeros, part)
        if isinstance(found, Dead):
            return found
        zeros = found
    return zeros


def _behind(zeros: Zeros, part: Part) -> Start:
    match part.element:
        case op.Conv(init=Zero()) | op.Linear(init=Zero()):
            return Zeros(part) if zeros.part is None else Dead(zeros.part, part)
        case op.Scale(factor=factor, learn=True, per_channel=per_channel) if factor == 0:
            keeps = zeros.part is not None and (zeros.everywhere or per_channel)  # else other channels move it
            return Dead(zeros.part, part) if keeps and zeros.part is not None else Zeros(part)
        case op.SqueezeExcite(init=Zero()):  # two layers, with a ReLU between
            return Dead(part, part)
        case op.Relu():
            return zeros if zeros.part is None else Dead(zeros.part, part)
        case op.Conv() | op.Linear() | op.GroupNorm() | op.LayerNorm():  # these mix channels
            return zeros if zeros.everywhere else Zeros()
        case op.Sigmoid() | op.Run():  # 0.5 for 0; a sum
            return Zeros()
        case op.Concat(chains=chains):
            return _joined(
                [start_of(chain_parts(c, f"{part.pointer}/concat/chains/{n}")) for n, c in enumerate(chains)]
            )
        case op.Partial(chain=chain):
            return start_of(chain_parts(chain, f"{part.pointer}/partial/chain"))
        case _:
            return zeros


def _joined(starts: list[Start]) -> Start:
    """Of the chains of a `concat`."""
    zeros: list[Zeros] = []
    for start in starts:
        if isinstance(start, Dead):
            return start
        zeros.append(start)
    first = next((each for each in zeros if each.part is not None), Zeros())
    return Zeros(first.part, all(each.part is not None and each.everywhere for each in zeros) or first.part is None)
