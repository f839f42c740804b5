"""Points that no training gave, for what figures say of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from resdsl.analysis.demystify import best_losses, course, figure2, figure3, figure4
from resdsl.analysis.demystify.nets import Net
from resdsl.analysis.demystify.points import Course, Ends, Errors, Results
from resdsl.analysis.demystify.sizes import Sizes, Training
from resdsl.analysis.hessian.spectrum import Spectrum

TRAINING = Training(100, (0.5,))
SIZES = Sizes(
    initial_depths=(2, 4),
    initial_runs=2,
    linear=TRAINING,
    linear_depths=(4, 8),
    linear_runs=2,
    relu=TRAINING,
    relu_depths=(4, 8),
    relu_runs=2,
    watched=3,
    watched_depth=4,
    watched_runs=2,
    parted=TRAINING,
    parted_runs=2,
)
"""One learning rate, two depths and two runs, so a mean has an error."""
SPREAD = 0.01
"""The runs of one mean are this part apart."""
ByDepth: TypeAlias = tuple[float, float]


def trained(
    losses: Mapping[Net, ByDepth], *, norms: Mapping[Net, ByDepth] | None = None, spread: float = SPREAD
) -> Results:
    """For figures 2, 8 and 9, linear and with ReLU alike. A network that is not named has a loss of 1, and norms of 1."""
    results = Results()
    wanted = [*figure2.points(SIZES), *best_losses.linear_points(SIZES), *best_losses.mid_points(SIZES)]
    for point in dict.fromkeys(wanted):
        number = SIZES.linear_depths.index(point.depth)
        loss, norm = losses.get(point.net, (1.0, 1.0))[number], (norms or {}).get(point.net, (1.0, 1.0))[number]
        results.add(point, Ends((loss * (1 + spread * point.seed),), (norm,)))
    return results


def parted(errors: Mapping[Net, float | None], *, spread: float = SPREAD) -> Results:
    """For figure 3: shares of wrong answers; None where training diverges. 0.9 for a network that is not named."""
    results = Results()
    for point in figure3.points(SIZES):
        share = errors.get(point.net, 0.9)
        wrong = None if share is None else share * (1 + spread * point.seed)
        results.add(point, Errors((wrong,), (wrong,), (wrong,)))
    return results


def initial(conditions: Mapping[Net, tuple[float | None, float | None]]) -> Results:
    """For figure 4. 10 for a network that is not named."""
    results = Results()
    for point in figure4.points(SIZES):
        condition = conditions.get(point.net, (10.0, 10.0))[SIZES.initial_depths.index(point.depth)]
        results.add(point, Spectrum(1.0, None, None, condition, None, 0.5, 0))
    return results


def watched(courses: Mapping[Net, Course], others: Course) -> Results:
    """For figures 5 to 7."""
    results = Results()
    for point in course.points(SIZES):
        results.add(point, courses.get(point.net, others))
    return results
