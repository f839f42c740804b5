"""The samples that a squared loss is measured on: inputs and targets, finite and of the network's shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from resdsl.analysis.digits_pca import digits_images, digits_pca
from resdsl.diagnostics import fail
from resdsl.network.network import Network
from resdsl.network.shapes import chain_output
from resdsl.network.types import Image, Shape, Vector

DIGITS = "digits"
Data = str | tuple[ArrayLike, ArrayLike]
"""`digits`, or inputs (m, *input) and targets (m, *output)."""


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """inputs: (m, *input). targets: (m, *output). Both float64. name: `digits` or `arrays`."""

    name: str
    inputs: NDArray[np.float64]
    targets: NDArray[np.float64]


def regression(network: Network, data: Data) -> Regression:
    """Of scikit-learn's digits a network that reads 10 numbers gets ten whitened principal components, and one that reads 1x8x8
    the images; targets are one-hot. Raises SpecError for another network, another shape, and for what is not finite.
    """
    output = _output(network)
    if isinstance(data, str):
        if data != DIGITS:
            raise fail(
                "unknown-data", f"there are no data {data!r} here", help="`digits`, or arrays: inputs and targets"
            )
        return Regression(DIGITS, *_digits(network, output))
    inputs = _checked(data[0], network.input, "inputs", "reads")
    targets = _checked(data[1], output, "targets", "gives")
    if len(inputs) != len(targets):
        raise fail(
            "wrong-input",
            f"there are {len(inputs):,} inputs and {len(targets):,} targets",
            help="give one target an input",
        )
    return Regression("arrays", inputs, targets)


def extents(shape: Shape) -> tuple[int, ...]:
    match shape:
        case Image(channels, height, width):
            return channels, height, width
        case Vector(features):
            return (features,)


def _digits(network: Network, output: Shape) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if output == Vector(10):
        match network.input:
            case Vector(10):
                return digits_pca()
            case Image(1, 8, 8):
                return digits_images()
            case _:
                pass
    message = (
        f"{network.name} reads {network.input} and gives {output}; digits are 10 numbers or 1x8x8, with 10 classes"
    )
    raise fail("wrong-input", message, help="give arrays: inputs and targets")


def _output(network: Network) -> Shape:
    shape = network.input
    for _, chain in network.sections():
        shape = chain_output(chain, shape)
    return shape


def _checked(given: ArrayLike, shape: Shape, what: str, verb: str) -> NDArray[np.float64]:
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise fail("wrong-input", f"the {what} are no array: {str(error).splitlines()[0]}") from None
    expected = extents(shape)
    if values.ndim == 0 or values.shape[1:] != expected or not len(values):
        sizes = "x".join(map(str, values.shape)) or "a single number"
        wanted = "x".join(map(str, ("m", *expected)))
        raise fail("wrong-input", f"the {what} are {sizes}, not {wanted}: the network {verb} {shape}", help="the first axis counts samples, one or more")  # fmt: skip
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values).reshape(len(values), -1).all(axis=1)).sum())
        raise fail("not-finite", f"{count:,} of {len(values):,} samples have {what} that are NaN or infinite")
    return values
