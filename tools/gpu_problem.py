"""What a way is asked, and what it answers; see gpu_ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from gpu_cases import Numbers
from numpy.typing import NDArray

from resdsl.network.initial import Weights
from resdsl.network.network import Network

Array: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Problem:
    """What a way is to compute. x: (batch, *input). device: PyTorch's name of it. work: a folder for what is kept."""

    network: Network
    weights: Weights
    x: NDArray[np.float32]
    numbers: Numbers
    device: str
    work: Path


@dataclass(frozen=True, slots=True)
class Opened:
    """call: computes the output to its end, to be timed. output: computes it, as float64."""

    call: Callable[[], object]
    output: Callable[[], Array]
