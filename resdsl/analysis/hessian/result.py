"""How a network's loss curves: what `resdsl.analysis.curvature` gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from resdsl.analysis.hessian.interior import Interior
from resdsl.analysis.hessian.spectrum import Spectrum
from resdsl.theory.theorem2 import AtZero


class Method(Enum):
    """EXACT: all eigenvalues of the whole Hessian. LANCZOS: the lowest and the highest, and estimates of what lies between, from
    Hessian-vector products.
    """

    EXACT = "exact"
    LANCZOS = "lanczos"


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Of Theorem 2 of Li et al. 2016, for zero weights.

    here: whether the measured weights are zero; elsewhere it stands beside a measurement at another point. spectrum: None for units of
    one layer with more parameters than eigenvalues are computed for.
    """

    at_zero: AtZero
    here: bool
    spectrum: Spectrum | None


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """The Hessian of 1/(2m) ||Y - f(X)||_F^2 over all p parameters of a network, in float64, without units of measure.

    network: its name. parameters: p. samples: m. data: `digits` or `arrays`. weights: where they come from, `initial`, a file or
    `arrays`. seed: of weights, and of the vectors that Lanczos starts from. loss, gradient_norm: there. eigenvalues: in ascending order; (p,)
    with EXACT, and the lowest and the highest, (2,), with LANCZOS. spectrum: only what is exact, with LANCZOS the largest. estimates:
    of the rest, with LANCZOS; None where nothing is left to estimate. prediction: None where the network is no n-shortcut network to
    which Theorem 2 applies. remarks: what a reader of the numbers should know, each a sentence.
    """

    network: str
    parameters: int
    samples: int
    data: str
    weights: str
    seed: int
    method: Method
    loss: float
    gradient_norm: float
    eigenvalues: NDArray[np.float64]
    spectrum: Spectrum
    estimates: Interior | None
    prediction: Prediction | None
    remarks: tuple[str, ...]
