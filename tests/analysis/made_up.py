"""Signals that no network has, for what draws and writes them."""

from __future__ import annotations

import numpy as np

from resdsl.analysis.quantities import Gains, Lengths, Moments, Signal


def made_up(
    network: str = "made_up",
    stages: tuple[int, ...] = (4, 3, 3),
    factor: float = 0.5,
    *,
    lengths: bool = True,
    remarks: tuple[str, ...] = (),
) -> Signal:
    """Units whose shortcut is scale(factor): the direct term is its power; 0 cuts the path, a negative one has no closed form."""
    n = sum(stages)
    unit = np.arange(n)
    left = (n - unit).astype(float)
    with np.errstate(divide="ignore"):
        direct = left * np.log10(abs(factor))
    moments = Moments(0.1 * np.ones(n), 1.0 + unit)
    gains = Gains(np.full(n, factor), np.full(n, factor**2), np.full(n, factor**2))
    unknown = np.full(n, np.nan)
    shares = np.array([0.25, 0.5, 0.25])
    return Signal(
        network=network,
        input="3x8x8",
        samples=4,
        seed=0,
        weights="initial",
        precision="fp64",
        units=tuple(f"stage{s}.{i}" for s, count in enumerate(stages, 1) for i in range(count)),
        labels=tuple(f"block({8 * 2**s})" for s, count in enumerate(stages) for _ in range(count)),
        stages=tuple(f"stage{s}" for s, count in enumerate(stages, 1) for _ in range(count)),
        stream=moments,
        branch=Moments(np.zeros(n), np.ones(n)),
        output=Moments(0.1 * np.ones(n), 2.0 + unit),
        shortcut=gains,
        expected=gains if factor >= 0 else Gains(unknown, unknown, unknown),
        branch_backward=np.full(n, 0.25),
        log10_gradient=0.01 * left,
        log10_direct=direct,
        log10_expected=direct if factor >= 0 else unknown,
        cosine=np.linspace(0.9, 0.1, n),
        lengths=Lengths(shares, shares[::-1].copy(), 0.0) if lengths else None,
        remarks=remarks,
    )
