"""Sizes at which all figures are computed in seconds."""

from __future__ import annotations

from resdsl.analysis.demystify.sizes import Sizes, Training

TRAINING = Training(3, (0.125, 0.25, 1e9))
"""With the last learning rate everything diverges."""
TINY = Sizes(
    initial_depths=(2, 4),
    initial_runs=2,
    linear=TRAINING,
    linear_depths=(2, 4),
    linear_runs=2,
    relu=TRAINING,
    relu_depths=(2, 4),
    relu_runs=1,
    watched=2,
    watched_depth=4,
    watched_runs=1,
    parted=TRAINING,
    parted_runs=1,
)
