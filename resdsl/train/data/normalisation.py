"""What is subtracted from inputs, and what they are divided by, before a network reads them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.recorded import PIXEL, Recorded
from resdsl.train.data.dataset import Dataset, Files, Split
from resdsl.train.recipe import Normalise

BLOCK = 4096
"""Inputs that are turned into float64 at once."""
CONSTANT = 1e-6
"""Of the mean: a smaller deviation is what rounding leaves of none."""
PUBLISHED = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""ImageNet's channels over its training set, as torchvision's and timm's weights have them."""


def normalisation(data: Dataset, kind: Normalise) -> Recorded:
    """As measured on the training set; of files, ImageNet's published one. mean, std: (channels, 1, 1) or (channels, height, width),
    or (features,). Raises SpecError for PIXEL of files.
    """
    if isinstance(data, Files):
        return _of_files(kind)
    axes = len(data.train.inputs.shape) - 1
    spread = (-1, *(1 for _ in range(axes - 1)))
    match kind:
        case Normalise.NONE:
            mean, std = np.zeros(1), np.ones(1)
        case Normalise.CHANNEL:
            mean, std = _moments(data.train)
            over = tuple(range(1, axes))
            std = np.sqrt(np.maximum((std**2 + mean**2).mean(over) - mean.mean(over) ** 2, 0.0))
            mean = mean.mean(over)
        case Normalise.PIXEL:
            mean, _ = _moments(data.train)
            return Recorded(mean.astype(np.float32), np.ones((1,) * axes, np.float32), _divisor(data))
    std = np.where(std > CONSTANT * np.abs(mean), std, 1.0)
    return Recorded(mean.astype(np.float32).reshape(spread), std.astype(np.float32).reshape(spread), _divisor(data))


def scaled(inputs: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    """uint8 as 0 to 1; floats as they are."""
    return inputs.astype(np.float32) / np.float32(PIXEL) if inputs.dtype == np.uint8 else inputs.astype(np.float32)


def _divisor(data: Dataset) -> int:
    """What `scaled` divides its inputs by."""
    return PIXEL if isinstance(data, Files) or data.train.inputs.dtype == np.uint8 else 1


def _moments(split: Split) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each element of the input, over the samples."""
    total = np.zeros(split.inputs.shape[1:])
    squares = np.zeros(split.inputs.shape[1:])
    for start in range(0, len(split), BLOCK):
        block = scaled(split.inputs[start : start + BLOCK]).astype(np.float64)
        total += block.sum(0)
        squares += (block**2).sum(0)
    mean = total / len(split)
    return mean, np.sqrt(np.maximum(squares / len(split) - mean**2, 0.0))


def _of_files(kind: Normalise) -> Recorded:
    match kind:
        case Normalise.CHANNEL:
            mean, std = (np.array(PUBLISHED[name], np.float32).reshape(3, 1, 1) for name in ("mean", "std"))
            return Recorded(mean, std, PIXEL)
        case Normalise.NONE:
            return Recorded(np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32), PIXEL)
        case Normalise.PIXEL:
            message = "the mean of each pixel is not for files: their pictures are cut anew each time"
            raise fail("wrong-recipe", message, help='normalise = "channel"')
