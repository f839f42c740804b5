"""How much is computed: minutes on two cores, or what the paper did."""

from __future__ import annotations

from dataclasses import dataclass

PARTED_LAYERS = 12
"""Of the networks that have equally many parameters and other shortcut depths: whole units of 1, 2, 3 and 4 layers."""


@dataclass(frozen=True, slots=True)
class Training:
    """Full-batch gradient descent. epochs: steps, as each sees all samples. rates: learning rates, each of them tried."""

    epochs: int
    rates: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """initial_depths, initial_runs: of figure 4. linear, relu: figures 2, 8 and 9. watched_runs, watched_depth, watched: networks of figures
    5 to 7, and Hessians of each. parted: figure 3. Depths are in layers, runs are seeds from 0.
    """

    initial_depths: tuple[int, ...]
    initial_runs: int
    linear: Training
    linear_depths: tuple[int, ...]
    linear_runs: int
    relu: Training
    relu_depths: tuple[int, ...]
    relu_runs: int
    watched: int
    watched_depth: int
    watched_runs: int
    parted: Training
    parted_runs: int


RATES = tuple(2.0**power for power in range(-9, 4))
QUICK = Sizes(
    initial_depths=(2, 4, 8, 16, 32),
    initial_runs=10,
    linear=Training(1000, RATES),
    linear_depths=(2, 4, 8, 16, 32),
    linear_runs=3,
    relu=Training(200, RATES[3:-2]),
    relu_depths=(2, 4, 8, 16),
    relu_runs=2,
    watched=20,
    watched_depth=16,
    watched_runs=2,
    parted=Training(500, RATES[3:-2]),
    parted_runs=3,
)
PAPER = Sizes(
    initial_depths=(2, 4, 8, 16, 32, 64),
    initial_runs=10,
    linear=Training(1000, RATES),
    linear_depths=(2, 4, 8, 16, 32, 64, 96),
    linear_runs=10,
    relu=Training(1000, RATES),
    relu_depths=(2, 4, 8, 16, 32, 64, 96),
    relu_runs=10,
    watched=60,
    watched_depth=16,
    watched_runs=10,
    parted=Training(1000, RATES),
    parted_runs=10,
)
