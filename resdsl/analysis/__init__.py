"""What can be measured of a network before it is trained. Closed forms are in resdsl.theory.

    from resdsl.analysis import curvature, signal
    found = signal("std/resnet110", "scale_half")

The types of the results are here, too. Importing this loads neither torch nor numpy.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from resdsl.api import Spec, build
from resdsl.diagnostics import fail
from resdsl.spec import Options, Parameter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from resdsl.analysis.hessian.interior import Estimate, Interior
    from resdsl.analysis.hessian.regression import Data
    from resdsl.analysis.hessian.result import Curvature, Method, Prediction
    from resdsl.analysis.hessian.spectrum import Spectrum
    from resdsl.analysis.quantities import Gains, Lengths, Moments, Signal

PRECISIONS = ("fp32", "fp64")
RESULTS = {
    "Signal": "quantities",
    "Moments": "quantities",
    "Gains": "quantities",
    "Lengths": "quantities",
    "Curvature": "hessian.result",
    "Method": "hessian.result",
    "Prediction": "hessian.result",
    "Interior": "hessian.interior",
    "Estimate": "hessian.interior",
    "Spectrum": "hessian.spectrum",
}
"""The module of each type of a result."""


def signal(
    spec: Spec,
    network: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    *,
    weights: str | os.PathLike[str] | Mapping[str, NDArray[np.generic]] | None = None,
    seed: int = 0,
    inputs: NDArray[np.floating] | None = None,
    samples: int | None = None,
    precision: str = "fp32",
    lengths: bool = True,
    options: Options | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Signal:
    """What one forward and one backward pass do to the signals of a network, unit by unit. Needs `resdsl[torch]`.

    spec, network, parameters, options: as `resdsl.build` takes them. weights: a .safetensors file, a PyTorch checkpoint,
    `random-calibrated`, `initial`, or arrays by name; by default the spec's initialisation from `seed`. inputs: (n, *input), floating-point, of which
    `samples` at most are taken; by default `samples` standard normal ones from `seed`, 8 images or 256 vectors. precision: `fp32` or `fp64`, of all that is computed. lengths: whether the
    path lengths of the gradient are measured, which costs most of the time in deep networks. progress: called with the units that are done and
    how many there are to do.

    Raises SpecError for a spec that cannot be built, a network without units, inputs of another shape, batch norms that see one value of a channel, and NaN or infinity in weights,
    inputs or signals, with the unit where it begins.
    """
    built = build(spec, network, parameters, options=options)
    if precision not in PRECISIONS:
        raise fail("unsupported-option", f"there is no precision {precision!r} here", help="`fp32` or `fp64`")
    from resdsl.analysis.given import inputs_of, weights_of

    array = inputs_of(built, inputs, samples, seed)
    values, source = weights_of(built, weights, seed)
    try:
        from resdsl.analysis.propagation import measure
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise fail("missing-library", "signals are measured with PyTorch", help="pip install 'resdsl[torch]'") from None
    return measure(
        built, values, array, source=source, seed=seed, double=precision == "fp64", lengths=lengths, progress=progress
    )


def curvature(
    spec: Spec,
    data: Data = "digits",
    network: str | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    *,
    weights: str | os.PathLike[str] | Mapping[str, NDArray[np.generic]] | None = None,
    seed: int = 0,
    options: Options | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Curvature:
    """How the squared loss of a network curves at its weights: the spectrum of its Hessian, beside what Theorem 2 of Li et al. 2016 says.

    Needs `resdsl[train]`. All eigenvalues up to 5,000 parameters, both ends of the spectrum, and estimates of what lies between, beyond.
    spec, network, parameters, options, weights, seed: as `signal` takes them. data: `digits`, or inputs (m, *input) and targets (m, *output).
    progress: called with what is done, and of how much, None where that is not known.

    Raises SpecError for a spec that cannot be built, a network with dropout or without parameters, data of another shape, NaN or infinity in
    weights, data or loss, and libraries that are not installed.
    """
    built = build(spec, network, parameters, options=options)
    try:
        from resdsl.analysis.hessian.measure import measure_curvature
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "scipy", "sklearn"):
            raise
        message = f"curvature needs {error.name}, which is not installed"
        raise fail("missing-library", message, help="pip install 'resdsl[train]'") from None
    return measure_curvature(built, weights, data, seed=seed, progress=progress)


def __getattr__(name: str) -> object:
    if name not in RESULTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{RESULTS[name]}"), name)


__all__ = [
    "Curvature",
    "Estimate",
    "Gains",
    "Interior",
    "Lengths",
    "Method",
    "Moments",
    "Prediction",
    "Signal",
    "Spectrum",
    "curvature",
    "signal",
]
