"""Which sample is seen when, and how it is shifted: functions of seed and epoch alone, so that a run goes on anywhere."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stream(IntEnum):
    """What numbers are drawn for; streams of one seed are independent."""

    ORDER = 0
    AUGMENT = 1
    NETWORK = 2  # dropout and drop_path


def generator(seed: int, stream: Stream, *where: int) -> np.random.Generator:
    """Random numbers of their own for a place in the run: an epoch, or an epoch and a sample."""
    return np.random.default_rng([seed, stream, *where])


def epoch_order(samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """All samples, each once, in the order of an epoch (counted from 0): (samples,)."""
    return generator(seed, Stream.ORDER, epoch).permutation(samples)
