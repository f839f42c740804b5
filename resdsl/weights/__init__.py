"""The weights of a network: initial, calibrated, or from a file that must fit exactly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.network.evaluate import calibrate
from resdsl.network.initial import Weights, initial_weights
from resdsl.network.network import Network
from resdsl.network.tensors import Constant, Tensor, network_tensors
from resdsl.weights.convert import COUNTER
from resdsl.weights.safetensors import read_safetensors
from resdsl.weights.torch_checkpoint import read_checkpoint

CALIBRATED = "random-calibrated"
INITIAL = "initial"
SHOWN_NAMES = 5
NEAR_ZERO = 0.01
WRAPPED = ("module.", "model.", "_orig_mod.")
"""What wrappers put before every name: DistributedDataParallel, training frameworks, torch.compile."""

Source: TypeAlias = str | Mapping[str, NDArray[np.generic]]


def network_weights(network: Network, source: Source | None = None, seed: int = 0) -> Weights:
    """Name -> float32 array for every tensor of the network.

    source: None or `initial` for the initial weights of `seed`; `random-calibrated` for these with BatchNorm statistics recorded
    from a few forwards of random inputs, and learned scales that start near 0 opened; a `.safetensors` file or a
    PyTorch checkpoint (which needs torch); or the arrays themselves by name. Raises SpecError if the file cannot be
    read, or if what it holds does not fit.
    """
    if seed < 0:
        raise fail("weights", f"the seed {seed} is negative", help="give a whole number from 0 on")
    if source is None or (isinstance(source, str) and source == INITIAL):
        return initial_weights(network, seed)
    if not isinstance(source, str):
        return fit_weights(network, {name: _array(name, value) for name, value in source.items()}, "the mapping given")
    if source == CALIBRATED:
        weights = initial_weights(network, seed)
        _open_branches(network, weights)
        calibrate(network, weights, seed=seed)
        return weights
    return fit_weights(network, read_weights(source, f", `{CALIBRATED}` or `{INITIAL}`"), source)


def _array(name: str, value: object) -> NDArray[np.generic]:
    """A value of a mapping that was given; tensors of PyTorch that lie on the CPU are arrays, too."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        help = "give arrays, or what `module.state_dict()` holds on the CPU"
        raise fail("weights", f"{name} is no array: {str(error).splitlines()[0]}", help=help) from None


def _open_branches(network: Network, weights: Weights) -> None:
    """Sets the n learned scales that start near 0 to 1 / sqrt(n): with 0, no output would depend on what they scale."""
    scales = [tensor for tensor in network_tensors(network) if tensor.is_scale and abs(_start(tensor)) < NEAR_ZERO]
    for tensor in scales:
        weights[tensor.name] = np.full(tensor.shape, len(scales) ** -0.5, np.float32)


def _start(scale: Tensor) -> float:
    assert isinstance(scale.fill, Constant), "a learned scale starts at its factor"
    return scale.fill.value


def read_weights(source: str, instead: str = "") -> dict[str, NDArray[np.generic]]:
    """Name -> array, as in a `.safetensors` file or a PyTorch checkpoint, without what wrappers put before all names.

    instead: what else could have been given, for the error. Raises SpecError if the file cannot be read.
    """
    path = Path(source)
    if path.is_dir():
        raise fail("weights", f"{source} is a folder, and no weights file", help="name the file in it")
    if not path.is_file():
        help = f"a .safetensors file, a PyTorch checkpoint{instead}"
        raise fail("weights", f"there is no weights file {source}", help=help)
    found = read_safetensors(path) if path.suffix == ".safetensors" else read_checkpoint(path)
    while prefix := next((p for p in WRAPPED if found and all(name.startswith(p) for name in found)), ""):
        found = {name.removeprefix(prefix): array for name, array in found.items()}
    return found


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
