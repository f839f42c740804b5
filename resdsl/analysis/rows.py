"""From what is measured of each unit to the arrays of a Signal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from resdsl.analysis.moments import Moments
from resdsl.analysis.parts import Cut
from resdsl.analysis.quantities import Floats, Gains, Lengths, Signal
from resdsl.analysis.quantities import Moments as ManyMoments
from resdsl.analysis.waves import Stack
from resdsl.network.network import Network
from resdsl.theory.path_gain import Gain
from resdsl.theory.path_lengths import Energies

UNLIKELY = 1e-12
"""Predicted lengths behind which there is less than this are not given."""


@dataclass(slots=True)
class Row:
    """What is measured of one unit, in the terms of resdsl.analysis.quantities.Signal."""

    cut: Cut
    stream: Moments = Moments()
    branch: Moments = Moments()
    output: Moments = Moments()
    shortcut_mean: float = math.nan
    shortcut_forward: float = math.nan
    shortcut_backward: float = math.nan
    branch_backward: float = math.nan
    expected: Gain | None = None
    gradient: float = math.nan
    direct: float = math.nan
    direct_expected: float = math.nan
    cosine: float = math.nan


def signal_of(
    rows: Sequence[Row],
    lengths: Lengths | None,
    remarks: tuple[str, ...],
    *,
    network: Network,
    samples: int,
    seed: int,
    weights: str,
    precision: str,
) -> Signal:
    def column(value: Callable[[Row], float]) -> Floats:
        return np.array([value(row) for row in rows], np.float64)

    def moments(value: Callable[[Row], Moments]) -> ManyMoments:
        return ManyMoments(column(lambda row: value(row).mean_square), column(lambda row: value(row).variance))

    def expected(value: Callable[[Gain], float]) -> Floats:
        return column(lambda row: math.nan if row.expected is None else 10 ** value(row.expected))

    return Signal(
        network=network.name,
        input=str(network.input),
        samples=samples,
        seed=seed,
        weights=weights,
        precision=precision,
        units=tuple(row.cut.name for row in rows),
        labels=tuple(row.cut.unit.label for row in rows),
        stages=tuple(row.cut.stage for row in rows),
        stream=moments(lambda row: row.stream),
        branch=moments(lambda row: row.branch),
        output=moments(lambda row: row.output),
        shortcut=Gains(
            column(lambda row: row.shortcut_mean),
            column(lambda row: row.shortcut_forward),
            column(lambda row: row.shortcut_backward),
        ),
        expected=Gains(
            expected(lambda gain: gain.mean), expected(lambda gain: gain.forward), expected(lambda gain: gain.backward)
        ),
        branch_backward=column(lambda row: row.branch_backward),
        log10_gradient=column(lambda row: row.gradient),
        log10_direct=column(lambda row: row.direct),
        log10_expected=column(lambda row: row.direct_expected),
        cosine=column(lambda row: row.cosine),
        lengths=lengths,
        remarks=remarks,
    )


def path_lengths(stack: Stack, predicted: Energies) -> Lengths:
    """Both distributions over the same lengths, as far as one of them reaches; NaN of a gradient of zero."""
    measured = stack.shares
    behind = np.cumsum(predicted.shares[::-1])[::-1]
    count = max(len(measured), int(np.count_nonzero(behind > UNLIKELY)), 1)
    both = np.zeros((2, count))
    for row, shares in zip(both, (measured, predicted.shares), strict=True):
        row[: min(count, len(shares))] = shares[:count]
        if not shares.any():
            row[:] = math.nan
    return Lengths(both[0], both[1], stack.rest)
