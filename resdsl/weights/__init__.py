"""The weights of a network: initial, calibrated, or from a file that must fit exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import Diagnostic, SpecError, fail
from resdsl.network.evaluate import calibrate
from resdsl.network.initial import Weights, initial_weights
from resdsl.network.network import Network
from resdsl.network.tensors import Constant, network_tensors
from resdsl.weights.conventions import Convention
from resdsl.weights.convert import COUNTER, Unmatched, convert
from resdsl.weights.safetensors import read_safetensors
from resdsl.weights.torch_checkpoint import read_checkpoint

CALIBRATED = "random-calibrated"
SHOWN_NAMES = 5
NEAR_ZERO = 0.01
TENSOR_PARTS = ("weight", "bias", "gain", "running_mean", "running_var")
"""How the names of tensors end, but for learned scales, which have the name of their operator."""


def network_weights(network: Network, source: str | None = None, seed: int = 0) -> Weights:
    """Name -> float32 array for every tensor of the network.

    source: None for the initial weights of `seed`; `random-calibrated` for these with BatchNorm statistics recorded
    from a few forwards of random inputs, and learned scales that start near 0 opened; otherwise a `.safetensors` file or a PyTorch checkpoint (which needs torch).
    Raises SpecError if the file cannot be read or does not fit.
    """
    if source is None:
        return initial_weights(network, seed)
    if source == CALIBRATED:
        weights = initial_weights(network, seed)
        _open_branches(network, weights)
        calibrate(network, weights, seed=seed)
        return weights
    return fit_weights(network, read_weights(source), source)


def _open_branches(network: Network, weights: Weights) -> None:
    """Sets the n learned scales that start near 0 to 1 / sqrt(n): with 0, no output would depend on what they scale."""
    scales = [
        tensor
        for tensor in network_tensors(network)
        if tensor.name.rpartition(".")[2] not in TENSOR_PARTS
        and isinstance(tensor.fill, Constant)
        and abs(tensor.fill.value) < NEAR_ZERO
    ]
    for tensor in scales:
        weights[tensor.name] = np.full(tensor.shape, len(scales) ** -0.5, np.float32)


def read_weights(source: str) -> dict[str, NDArray[np.generic]]:
    """Name -> array, as in a `.safetensors` file or a PyTorch checkpoint. Raises SpecError if it cannot be read."""
    path = Path(source)
    if not path.is_file():
        help = f"a .safetensors file, a PyTorch checkpoint, or `{CALIBRATED}`"
        raise fail("weights", f"there is no weights file {source}", help=help)
    return read_safetensors(path) if path.suffix == ".safetensors" else read_checkpoint(path)


def convert_weights(network: Network, source: str, library: str) -> tuple[Weights, Convention]:
    """A library's weights file as the network's own tensors, and by which of its names they were found.

    library: pytorchcv, timm or torchvision. Raises SpecError, with all that did not match, unless every tensor of the
    network is in the file and every tensor of the file is in the network.
    """
    conversion = convert(network, read_weights(source), library)
    name = conversion.convention.name
    diagnostics = [
        Diagnostic("weights", message, notes=_by_layer(unmatched))
        for unmatched, message in (
            (
                conversion.missing,
                f"{source} lacks {len(conversion.missing)} tensors of {network.name}, named as {name}",
            ),
            (
                conversion.misshapen,
                f"{source} holds {len(conversion.misshapen)} tensors of {network.name} in another shape",
            ),
            (
                conversion.unused,
                f"{source} holds {len(conversion.unused)} tensors that {network.name} has no place for",
            ),
        )
        if unmatched
    ]
    if diagnostics:
        diagnostics[-1] = replace(diagnostics[-1], help=_differences(conversion.convention))
        raise SpecError(diagnostics)
    return fit_weights(network, conversion.arrays, source), conversion.convention


def _differences(convention: Convention) -> str:
    """What to try where tensors do not match."""
    known = "; ".join(convention.notes)
    return f"is it this network? {known}" if known else "is it this network, with these parameters?"


def _by_layer(unmatched: Sequence[Unmatched]) -> tuple[str, ...]:
    """One line a layer: `stage1.0.bn1: weight, bias (looked for: layer1.0.bn1)`."""
    layers: dict[tuple[str, str], list[str]] = {}
    for tensor in unmatched:
        layer, _, part = tensor.name.rpartition(".")
        layers.setdefault((layer, tensor.why.removesuffix(f".{part}")), []).append(part)
    return tuple(f"{layer}: {', '.join(parts)}{f' ({why})' if why else ''}" for (layer, why), parts in layers.items())


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
