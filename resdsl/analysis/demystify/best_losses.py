"""Figures 8 and 9: the best final loss by depth, and the learning rate that gives it, linear and with ReLU in mid position."""

from __future__ import annotations

import math
from collections.abc import Sequence

from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Cell, Finding
from resdsl.analysis.demystify.nets import ORTHOGONAL, SHORTCUT1, SHORTCUT2, SHORTCUT3, SHORTCUT3_LARGER, XAVIER, Relu
from resdsl.analysis.demystify.panel import Level, Line, Panel, Scale
from resdsl.analysis.demystify.points import Point, Results
from resdsl.analysis.demystify.sizes import Sizes, Training
from resdsl.analysis.demystify.trained import Best, bests, trainings

LINEAR = (XAVIER, ORTHOGONAL, SHORTCUT1, SHORTCUT2, SHORTCUT3, SHORTCUT3_LARGER)
MID = (XAVIER, ORTHOGONAL, SHORTCUT2, SHORTCUT3, SHORTCUT3_LARGER)
"""1-shortcut networks have no mid position, and would be linear."""
LINEAR_TITLE = "Linear networks: deep ones from Xavier stay far above the least loss, residual ones reach it"
MID_TITLE = "ReLU in mid position: depth helps 2-shortcut networks and hurts plain ones"
COLUMNS = ("network", "depth", "layers", "best loss", "std. error", "learning rate")
DEPTH = "depth in layers"
FLOOR = 1e-7
"""The least difference of losses that is drawn: there, a training has arrived."""


def linear_points(sizes: Sizes) -> list[Point]:
    return list(trainings(LINEAR, Relu.NONE, sizes))


def mid_points(sizes: Sizes) -> list[Point]:
    return list(trainings(MID, Relu.MID, sizes))


def linear_found(sizes: Sizes, data: Data, results: Results) -> Finding:
    lines = [bests(net, Relu.NONE, sizes, results) for net in LINEAR]
    least = data.statistics.least
    remarks = (
        f"After {_said(sizes.linear)}. The least loss of any linear map is {least:.4f}; what is drawn is the loss above it, 1e-7 for less.",
        *_third_order(lines),
    )
    drawn = [_line(line, [max(best.loss.mean - least, FLOOR) for best in line]) for line in lines]
    up = "best final loss above the least"
    losses = Panel(drawn, DEPTH, up, Scale.LOG, Scale.LOG, ticks=sizes.linear_depths)
    return Finding(LINEAR_TITLE, COLUMNS, _cells(lines), remarks, (losses, _rates(lines, sizes.linear_depths)))


def mid_found(sizes: Sizes, data: Data, results: Results) -> Finding:
    lines = [bests(net, Relu.MID, sizes, results) for net in MID]
    least = data.statistics.least
    remarks = (
        f"After {_said(sizes.relu)}. The least loss of any linear map is {least:.4f}.",
        *_third_order(lines),
    )
    drawn = [_line(line, [best.loss.mean for best in line], [best.loss.error for best in line]) for line in lines]
    level = Level(least, "least of linear maps")
    losses = Panel(drawn, DEPTH, "best final loss", Scale.LOG, Scale.LOG, ticks=sizes.relu_depths, level=level)
    return Finding(MID_TITLE, COLUMNS, _cells(lines), remarks, (losses, _rates(lines, sizes.relu_depths)))


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


def _third_order(lines: Sequence[Sequence[Best]]) -> list[str]:
    """The 3-shortcut networks that start further from zero against the 2-shortcut ones, at the largest depth."""
    last = {line[0].net: line[-1] for line in lines}
    two, small, larger = last[SHORTCUT2], last[SHORTCUT3], last[SHORTCUT3_LARGER]
    ends = (
        f"At depth {two.depth} 3-shortcut networks end at {small.loss.mean:.4f} from 0.01 x Xavier and at {larger.loss.mean:.4f} from 0.3 x"
        f" Xavier, 2-shortcut ones at {two.loss.mean:.4f}."
    )
    if not larger.loss.mean < small.loss.mean:
        return [f"{ends} A larger start does not help here."]
    return [
        f"Does not follow: that three layers under a shortcut cannot train. {ends} Most of what holds them back is the flat start."
    ]
