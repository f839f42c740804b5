"""The weights of a network: initial, calibrated, or from a file that must fit exactly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.network.evaluate import calibrate
from resdsl.network.initial import Weights, initial_weights
from resdsl.network.network import Network
from resdsl.network.tensors import network_tensors
from resdsl.weights.safetensors import read_safetensors
from resdsl.weights.torch_checkpoint import read_checkpoint

CALIBRATED = "random-calibrated"
COUNTER = ".num_batches_tracked"
"""PyTorch's BatchNorm counts batches; no computation reads it."""
SHOWN_NAMES = 5


def network_weights(network: Network, source: str | None = None, seed: int = 0) -> Weights:
    """Name -> float32 array for every tensor of the network.

    source: None for the initial weights of `seed`; `random-calibrated` for these with BatchNorm statistics recorded
    from a few forwards of random inputs; otherwise a `.safetensors` file or a PyTorch checkpoint (which needs torch).
    Raises SpecError if the file cannot be read or does not fit.
    """
    if source is None:
        return initial_weights(network, seed)
    if source == CALIBRATED:
        weights = initial_weights(network, seed)
        calibrate(network, weights, seed=seed)
        return weights
    path = Path(source)
    if not path.is_file():
        help = f"a .safetensors file, a PyTorch checkpoint, or `{CALIBRATED}`"
        raise fail("weights", f"there is no weights file {source}", help=help)
    if path.suffix == ".safetensors":
        found = read_safetensors(path)
    else:
        found = read_checkpoint(path)
    return fit_weights(network, found, source)


def fit_weights(network: Network, found: Mapping[str, NDArray[np.generic]], source: str) -> Weights:
    """The arrays as float32, if they are exactly the network's tensors. Raises SpecError naming what does not fit."""
    expected = {tensor.name: tensor.shape for tensor in network_tensors(network)}
    found = {name: array for name, array in found.items() if not name.endswith(COUNTER)}
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    wrong = [
        f"{name} is {_shape(found[name].shape)}, must be {_shape(shape)}"
        for name, shape in expected.items()
        if name in found and found[name].shape != shape
    ]
    diagnostics: list[Diagnostic] = []
    count, name = len(expected), network.name
    for names, message in (
        (missing, f"{source} lacks {len(missing)} of the {count} tensors of {name}"),
        (extra, f"{source} holds {len(extra)} more than the {count} tensors of {name}"),
        (wrong, f"{source} holds {len(wrong)} of the {count} tensors of {name} in another shape"),
    ):
        if names:
            more = (f"and {len(names) - SHOWN_NAMES} more",) if len(names) > SHOWN_NAMES else ()
            diagnostics.append(Diagnostic("weights", message, notes=(*names[:SHOWN_NAMES], *more)))
    if diagnostics:
        raise SpecError(diagnostics)
    result: Weights = {}
    for name in expected:
        array = found[name]
        if not np.issubdtype(array.dtype, np.floating) and array.dtype.name != "bfloat16":
            raise fail("weights", f"{name} in {source} holds {array.dtype}, not floating-point numbers")
        with np.errstate(over="ignore"):
            result[name] = array.astype(np.float32)
        if not np.isfinite(result[name]).all():
            what = "numbers too large for float32" if np.isfinite(array).all() else "NaN or infinity"
            raise fail("weights", f"{name} in {source} holds {what}")
    return result


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
