"""Figures 8 and 9: the best final loss by depth, and the learning rate that gives it, linear and with ReLU in mid position."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Finding
from resdsl.analysis.demystify.nets import ORTHOGONAL, SHORTCUT1, SHORTCUT2, SHORTCUT3, SHORTCUT3_LARGER, XAVIER, Relu
from resdsl.analysis.demystify.panel import Line, depths_across, draw_lines, legend_right
from resdsl.analysis.demystify.points import Point, Results
from resdsl.analysis.demystify.sizes import Sizes
from resdsl.analysis.demystify.trained import Best, bests, trainings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINEAR = (XAVIER, ORTHOGONAL, SHORTCUT1, SHORTCUT2, SHORTCUT3, SHORTCUT3_LARGER)
MID = (XAVIER, ORTHOGONAL, SHORTCUT2, SHORTCUT3, SHORTCUT3_LARGER)
"""1-shortcut networks have no mid position, and would be linear."""
LINEAR_TITLE = "Linear networks: with 2-shortcuts, deeper ones end as low, at the same learning rates"
MID_TITLE = "ReLU in mid position: depth helps 2-shortcut networks and hurts plain ones"
COLUMNS = ("network", "depth", "layers", "best loss", "std. error", "learning rate")


def linear_points(sizes: Sizes) -> list[Point]:
    return list(trainings(LINEAR, Relu.NONE, sizes))


def mid_points(sizes: Sizes) -> list[Point]:
    return list(trainings(MID, Relu.MID, sizes))


def linear_found(sizes: Sizes, data: Data, results: Results) -> Finding:
    lines = [bests(net, Relu.NONE, sizes, results) for net in LINEAR]
    least = data.statistics.least
    remarks = (
        f"The least loss of any linear map is {least:.4f}; after {sizes.linear.epochs:,} epochs.",
        *_third_order(lines),
    )
    return _finding(LINEAR_TITLE, lines, remarks, sizes.linear_depths, least)


def mid_found(sizes: Sizes, data: Data, results: Results) -> Finding:
    lines = [bests(net, Relu.MID, sizes, results) for net in MID]
    remarks = (
        f"After {sizes.relu.epochs:,} epochs. The least loss of any linear map is {data.statistics.least:.4f}.",
        *_third_order(lines),
    )
    return _finding(MID_TITLE, lines, remarks, sizes.relu_depths, data.statistics.least)


def _finding(
    title: str, lines: list[list[Best]], remarks: tuple[str, ...], depths: tuple[int, ...], least: float
) -> Finding:
    cells = tuple(
        (best.net.name, best.depth, best.layers, best.loss.mean, best.loss.error, best.rate)
        for line in lines
        for best in line
    )

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        losses = [
            Line(
                line[0].net,
                [best.depth for best in line],
                [best.loss.mean for best in line],
                [best.loss.error for best in line],
            )
            for line in lines
        ]
        rates = [
            Line(line[0].net, [best.depth for best in line], [best.rate or float("nan") for best in line])
            for line in lines
        ]
        draw_lines(left, losses, across="depth in layers", up="best final loss")
        draw_lines(right, rates, across="depth in layers", up="learning rate that gives it")
        left.axhline(least, color="black", linewidth=0.8, linestyle=":")
        left.set_yscale("log")
        right.set_yscale("log", base=2)
        for axes in (left, right):
            depths_across(axes, depths)
        legend_right(figure, left)

    return Finding(title, COLUMNS, cells, remarks, draw)


def _third_order(lines: list[list[Best]]) -> list[str]:
    """The 3-shortcut networks that start further from zero against the 2-shortcut ones, at the largest depth."""
    last = {line[0].net: line[-1] for line in lines}
    two, small, larger = last[SHORTCUT2], last[SHORTCUT3], last[SHORTCUT3_LARGER]
    text = (
        f"At depth {two.depth} 3-shortcut networks end at {small.loss.mean:.4f} from 0.01 x Xavier and at {larger.loss.mean:.4f} from 0.3 x"
        f" Xavier, 2-shortcut ones at {two.loss.mean:.4f}: what is hard is to leave the flat start, not to train behind it."
        if larger.loss.mean < small.loss.mean
        else f"At depth {two.depth} a larger start does not help 3-shortcut networks: {small.loss.mean:.4f} from 0.01 x Xavier,"
        f" {larger.loss.mean:.4f} from 0.3 x Xavier."
    )
    return [text]
