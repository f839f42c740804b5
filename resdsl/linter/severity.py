"""How much is too much: the one table that decides between note, warning and error."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resdsl.diagnostics import Severity
from resdsl.theory.path_gain import Gain


@dataclass(frozen=True, slots=True)
class Threshold:
    """A measure of which less is better: a warning from `warning` on, an error from `error` on (None: never).

    measure: what is measured. limits: the two numbers in words. why: the figures that they come from.
    """

    name: str
    measure: str
    warning: float
    error: float | None
    limits: str
    why: str

    def severity(self, value: float) -> Severity:
        """Of a value."""
        if self.error is not None and value >= self.error:
            return Severity.ERROR
        return Severity.WARNING if value >= self.warning else Severity.NOTE


LOST = Threshold(
    "lost",
    "how much of the signal the direct path carries, in decades lost",
    warning=-math.log10(0.9) + 1e-9,
    error=2.0,
    limits="a warning below 90 % of the signal, an error below 1 %",
    why="He et al. 2016, Table 1, 54 units: gates with bias -7 carry 88 % (9.81 %, identity 6.61 %), with bias -6 70 % "
    "(8.70 and 6.91 %); shortcuts scaled by 0.5 and dropout of 0.5 carry 6e-17 (both fail to converge).",
)
MOMENT = Threshold(
    "moment",
    "growth or decay of the second moment of the signal, or of its gradient, in decades",
    warning=1.0,
    error=6.0,
    limits="a warning from a factor of 10 on, an error from a factor of a million on",
    why="54 convolutions with He initialisation and no norm make 1.8e16; He et al. 2016, Table 1: with convolutions on 54 "
    "shortcuts 12.22 % instead of 6.61 %. A factor of 10 is what three may make, as many as shapes change in such a network.",
)
CLOSED = Threshold(
    "closed",
    "1 / the chance that no ReLU behind an addition closes the path, C(2l, l) / 4^l over l units",
    warning=20.0,
    error=None,
    limits="a warning below a chance of 5 % (128 units), never an error",
    why="He et al. 2016, Tables 2, 3 and 5: against pre-activation 54 units lose little (7.7 %; 6.61 and 6.37 %), 66 some "
    "(6.9 %; ImageNet 21.8 and 20.7 %), 333 much (3.1 %; 7.61 and 4.92 %), and all of them train.",
)
EXPONENTIAL = Threshold(
    "exponential",
    "units whose effect on the path has no closed form and is exponential in their number",
    warning=10,
    error=None,
    limits="a warning from 10 units on, never an error",
    why="BN and ReLU behind the addition leave 4 to 12 % of the path after 10 units, 1 to 2 % after 18 and 3e-6 after three "
    "stages of 18 (root mean square over elements, at the start, measured on the network of He et al. 2016, Table 2 (b)). "
    "That has 8.17 % instead of 6.61 %.",
)
WEIGHTS = Threshold(
    "weights",
    "units with a weight layer on the shortcut where no shape changes",
    warning=4,
    error=None,
    limits="a warning from 4 units on; an error only by growth or decay",
    why="As many as shapes change in a network of three stages, which He et al. 2016, section 3, find harmless.",
)
ONE_SIGN = Threshold(
    "one-sign",
    "how far the mean of the signal grows through branches that never go below 0, in standard deviations of a branch",
    warning=4.0,
    error=None,
    limits="a warning from 4 on (11 units of 0.399 each), never an error",
    why="He et al. 2016, Table 2, 54 units, a mean of 21.5: 7.84 % instead of 6.61 %.",
)
PLAIN = Threshold(
    "plain",
    "units without a shortcut",
    warning=10,
    error=50,
    limits="a warning from 10 units on, an error from 50 on",
    why="A plain network of 27 units of two layers has a higher error than one of 9, in training too (He et al. 2015, "
    "Fig. 1); of 54 units it fails to converge (He et al. 2016, Table 1).",
)
SINGLE = Threshold(
    "single",
    "units whose branch has one weight layer",
    warning=10,
    error=None,
    limits="a warning from 10 units on, never an error",
    why="He et al. 2016, Table 3: ResNet-110 with shortcuts over one layer has 9.90 %, over two 6.61 %.",
)

THRESHOLDS = (LOST, MOMENT, CLOSED, EXPONENTIAL, WEIGHTS, ONE_SIGN, PLAIN, SINGLE)
"""All of them. Rules whose severity is always the same say so themselves."""


def drift(gain: Gain) -> float:
    """The decades by which a path's second moments, forward or backward, grow or decay: what MOMENT measures."""
    return max(abs(gain.forward), abs(gain.backward))


def worst(*severities: Severity) -> Severity:
    return max(severities, key=lambda severity: severity.rank)
