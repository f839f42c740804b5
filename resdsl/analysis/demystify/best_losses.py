"""Figures 8 and 9: the best final loss by depth, and the learning rate that gives it, linear and with ReLU in mid position."""

from __future__ import annotations

import math
from collections.abc import Sequence

from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Cell, Finding
from resdsl.analysis.demystify.nets import (
    ORTHOGONAL,
    SHORTCUT1,
    SHORTCUT2,
    SHORTCUT3,
    SHORTCUT3_LARGER,
    XAVIER,
    Net,
    Relu,
)
from resdsl.analysis.demystify.panel import Level, Line, Panel, Scale
from resdsl.analysis.demystify.points import Point, Results
from resdsl.analysis.demystify.sizes import Sizes, Training
from resdsl.analysis.demystify.trained import Best, bests, trainings
from resdsl.analysis.demystify.verdict import ERRORS, NEAR, clearly_below, listed, near, number, spoken

LINEAR = (XAVIER, ORTHOGONAL, SHORTCUT1, SHORTCUT2, SHORTCUT3, SHORTCUT3_LARGER)
MID = (XAVIER, ORTHOGONAL, SHORTCUT2, SHORTCUT3, SHORTCUT3_LARGER)
"""1-shortcut networks have no mid position, and would be linear."""
COLUMNS = ("network", "depth", "layers", "best loss", "std. error", "learning rate")
DEPTH = "depth in layers"
FLOOR = 1e-7
"""The least difference of losses that is drawn: there, a training has arrived."""
REACHED = 0.001
"""Part of the least loss: a training that ends no further above it is said to have reached it."""


def linear_points(sizes: Sizes) -> list[Point]:
    return list(trainings(LINEAR, Relu.NONE, sizes))


def mid_points(sizes: Sizes) -> list[Point]:
    return list(trainings(MID, Relu.MID, sizes))


def linear_found(sizes: Sizes, data: Data, results: Results) -> Finding:
    lines = [bests(net, Relu.NONE, sizes, results) for net in LINEAR]
    least = data.statistics.least
    remarks = (
        f"After {_said(sizes.linear)}. The least loss of any linear map is {least:.4f}; what is drawn is the loss above it, 1e-7 for less.",
        _third_order(lines, least),
    )
    drawn = [_line(line, [max(best.loss.mean - least, FLOOR) for best in line]) for line in lines]
    up = "best final loss above the least"
    losses = Panel(drawn, DEPTH, up, Scale.LOG, Scale.LOG, ticks=sizes.linear_depths)
    return Finding(
        _reached(lines, least), COLUMNS, _cells(lines), remarks, (losses, _rates(lines, sizes.linear_depths))
    )


def mid_found(sizes: Sizes, data: Data, results: Results) -> Finding:
    lines = [bests(net, Relu.MID, sizes, results) for net in MID]
    least = data.statistics.least
    remarks = (
        f"After {_said(sizes.relu)}. The least loss of any linear map is {least:.4f}.",
        *_undecided(lines),
        _third_order(lines, least),
    )
    drawn = [_line(line, [best.loss.mean for best in line], [best.loss.error for best in line]) for line in lines]
    level = Level(least, "least of linear maps")
    losses = Panel(drawn, DEPTH, "best final loss", Scale.LOG, Scale.LOG, ticks=sizes.relu_depths, level=level)
    return Finding(_with_depth(lines), COLUMNS, _cells(lines), remarks, (losses, _rates(lines, sizes.relu_depths)))


def _said(training: Training) -> str:
    rates = training.rates
    return f"{training.epochs:,} epochs with each of {len(rates)} learning rates from {rates[0]:.2g} to {rates[-1]:.2g}"


def _cells(lines: Sequence[Sequence[Best]]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (best.net.name, best.depth, best.layers, best.loss.mean, best.loss.error, best.rate)
        for line in lines
        for best in line
    )


def _rates(lines: Sequence[Sequence[Best]], depths: Sequence[int]) -> Panel:
    drawn = [_line(line, [math.nan if best.rate is None else best.rate for best in line]) for line in lines]
    return Panel(drawn, DEPTH, "learning rate that gives it", Scale.LOG, Scale.LOG, ticks=depths)


def _line(line: Sequence[Best], values: Sequence[float], errors: Sequence[float] = ()) -> Line:
    return Line(line[0].net, [best.depth for best in line], values, errors)


def _reached(lines: Sequence[Sequence[Best]], least: float) -> str:
    """By networks of the largest depth."""
    ends = [line[-1] for line in lines]
    there = [end.net for end in ends if end.loss.mean <= (1 + REACHED) * least]
    within = f"within {100 * REACHED:g} % of the least loss, {least:.4f}"
    of = f"Linear networks at depth {ends[0].depth}:"
    if not there:
        return f"{of} none ends {within}"
    if len(there) == len(ends):
        return f"{of} all end {within}"
    said = f"{of} {listed(map(spoken, there))} end {within}"
    worst = max((end for end in ends if end.rate is not None), key=lambda end: end.loss.mean)
    return f"{said}, {spoken(worst.net)} at {worst.loss.mean:.4f}"


def _with_depth(lines: Sequence[Sequence[Best]]) -> str:
    """Of whom the best loss at the largest depth is another than at the least one."""
    lower, higher = _changes(lines)
    first, last = lines[0][0].depth, lines[0][-1].depth
    of = f"ReLU in mid position, depth {first} to {last}: losses"
    if not lower and not higher:
        return f"{of} do not change by more than {ERRORS} standard errors"
    parts = [f"{verb} for {listed(map(spoken, nets))}" for verb, nets in (("fall", lower), ("rise", higher)) if nets]
    return f"{of} {', '.join(parts)}"


def _undecided(lines: Sequence[Sequence[Best]]) -> list[str]:
    lower, higher = _changes(lines)
    names = [spoken(line[0].net) for line in lines if line[0].net not in (*lower, *higher)]
    return [f"Least and largest depth differ by less than {ERRORS} standard errors, or it is not known by how much: {listed(names)}."] if names else []  # fmt: skip


def _changes(lines: Sequence[Sequence[Best]]) -> tuple[list[Net], list[Net]]:
    """The networks whose loss falls from the least depth to the largest, and those whose loss rises."""
    lower = [line[0].net for line in lines if clearly_below(line[-1].loss, line[0].loss)]
    return lower, [line[0].net for line in lines if clearly_below(line[0].loss, line[-1].loss)]


def _third_order(lines: Sequence[Sequence[Best]], least: float) -> str:
    """The 3-shortcut networks that start further from zero against the 2-shortcut ones, at the largest depth."""
    last = {line[0].net: line[-1] for line in lines}
    two, small, larger = last[SHORTCUT2], last[SHORTCUT3], last[SHORTCUT3_LARGER]
    ends = (
        f"At depth {two.depth} 3-shortcut networks end at {number(small.loss.mean, '.4f')} from 0.01 x Xavier and at"
        f" {number(larger.loss.mean, '.4f')} from 0.3 x Xavier, 2-shortcut ones at {number(two.loss.mean, '.4f')}."
    )
    helps = clearly_below(larger.loss, small.loss)
    by_start = [near(end.loss.mean, least) for end in (small, larger)]
    if any(by_start):
        ends = f"Does not follow: that three layers under a shortcut cannot train. {ends}"
    match by_start, helps:
        case [True, True], _:
            return f"{ends} From both starts that is at most {100 * NEAR:g} % above the least loss of linear maps."
        case [False, True], True:
            return f"{ends} What holds those from 0.01 x Xavier back is their start."
        case _, True:
            return f"{ends} A larger start helps, and does not bring them near the least loss of linear maps."
        case _:
            return f"{ends} That a larger start helps does not show."
