"""What went through a network before training, by unit: what `resdsl.analysis.signal` gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Of a signal at one place of each of n units, over the samples and positions of each channel, without units of measure.

    mean_square: (n,), the mean over channels of the squared channel mean. variance: (n,), the mean over channels of the channel's
    variance. Their sum is the second moment.
    """

    mean_square: Floats
    variance: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """What the shortcut of each of n units does to a signal, and what the closed form says of it, as factors.

    mean: (n,), the part of the input that comes through as it is, <s, x> / <x, x>; NaN where the shape changes. forward: (n,), of the
    second moment, <s, s> / <x, x>, each divided by its number of elements. backward: (n,), of the gradient's summed squares through
    the shortcut alone. What follows the addition is not in them.
    """

    mean: Floats
    forward: Floats
    backward: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """How many branches the gradient passed on its way from the end of the last unit to the input of the first.

    measured: (k,), the share of the gradient's energy, its summed squares, that passed 0, 1, … k - 1 branches; paths of all lengths
    count as orthogonal, so the shares add up to 1; NaN where no gradient is left. predicted: (k,), for independent units, each passed with the probability
    a / (s + a), a and s the energies that the unit's branch and shortcut hand back (a Poisson-binomial distribution). rest: the
    shares of the measured energy that were left out at either end, added up over units as they stood there; paths that add up
    in phase would have made some thousand times as much of them.
    """

    measured: Floats
    predicted: Floats
    rest: float

    @property
    def mean(self) -> float:
        """Branches passed, on average."""
        return float(self.measured @ np.arange(len(self.measured)))

    @property
    def predicted_mean(self) -> float:
        return float(self.predicted @ np.arange(len(self.predicted)))


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """A network's signals in one forward and one backward pass, by unit, n units that hold no unit in the order of the network.

    Training mode, but BatchNorm normalises with fixed statistics: those of the inputs, or of the weights where weights were given.
    The gradient is of the output's projection on one random direction, the same for all samples; where the head hands nothing back it
    starts in a random direction behind the last unit, and a remark says so.

    network: its name. input: its shape, without the batch. samples: how many. seed: of weights, inputs and direction. weights: where they
    come from, `initial` or a file. precision: `fp32` or `fp64`. units: names, `stage1.17`. labels: how each was called, `basic(16)`.
    stages: the section of each, `stage1`.

    stream: at the units' inputs. branch: at the branches' ends, before the addition. output: of the units, after what follows the
    addition. shortcut: measured; its prediction is `expected`, NaN where there is no closed form, and where weights were
    given: closed forms are of initial ones.
    branch_backward: (n,), of the gradient's energy through the branch alone, beside shortcut.backward.

    log10_gradient: (n,), the gradient's norm at the units' inputs, of that at the end of the last unit. log10_direct: (n,), likewise
    of the direct term, what comes through the shortcuts alone; -inf where nothing does. log10_expected: (n,), its closed form, the root
    of the units' backward gains multiplied; NaN where a unit on the way has none. cosine: (n,), the mean cosine between the gradients
    of two samples at the units' inputs; NaN for one sample. lengths: None if not asked for.
    remarks: what else is to be known of the numbers, a sentence each.
    """

    network: str
    input: str
    samples: int
    seed: int
    weights: str
    precision: str
    units: tuple[str, ...]
    labels: tuple[str, ...]
    stages: tuple[str, ...]
    stream: Moments
    branch: Moments
    output: Moments
    shortcut: Gains
    expected: Gains
    branch_backward: Floats
    log10_gradient: Floats
    log10_direct: Floats
    log10_expected: Floats
    cosine: Floats
    lengths: Lengths | None
    remarks: tuple[str, ...]

    @property
    def variance_ratio(self) -> Floats:
        """(n,), Var(F) / Var(x): the branch's variance over that of the unit's input."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.branch.variance / self.stream.variance
