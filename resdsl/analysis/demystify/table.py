"""The figures of Li et al. 2016, by number: by subject, as we read the paper."""

from __future__ import annotations

from types import MappingProxyType

from resdsl.analysis.demystify import (
    best_losses,
    course,
    figure2,
    figure3,
    figure4,
    figure5,
    figure6,
    figure7,
)
from resdsl.analysis.demystify.finding import Plan

FIGURES = MappingProxyType(
    {
        2: Plan("weight norms by depth", figure2.points, figure2.found),
        3: Plan("shortcut depth against error", figure3.points, figure3.found),
        4: Plan("condition numbers at the start by depth", figure4.points, figure4.found),
        5: Plan("extreme eigenvalues against loss", course.points, figure5.found),
        6: Plan("index against loss", course.points, figure6.found),
        7: Plan("index and gradient over time", course.points, figure7.found),
        8: Plan("best final losses by depth, linear", best_losses.linear_points, best_losses.linear_found),
        9: Plan("best final losses by depth, with ReLU", best_losses.mid_points, best_losses.mid_found),
    }
)
