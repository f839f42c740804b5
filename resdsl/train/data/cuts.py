"""Where a network's input is cut from a picture of any size: the numbers alone, no pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from resdsl.train.recipe import Crop

SIZE = 224
"""What the papers' numbers are for; they are taken in proportion for a network that reads other sizes."""
SHORTER = (256, 480)
"""Of SCALE: from and to, both included."""
AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
TRIES = 10
"""Of ASPECT. It fails where a wide or tall picture has no room for what was drawn."""
EVALUATED = 256
"""The shorter side before the centre is cut out."""


@dataclass(frozen=True, slots=True)
class Extent:
    """In pixels."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a picture that is scaled to the network's input, in the picture's pixels, perhaps between two of them;
    flipped: mirrored afterwards, left and right.
    """

    top: float
    left: float
    height: float
    width: float
    flipped: bool = False


def drawn(picture: Extent, wanted: Extent, crop: Crop, *, flip: bool, draw: np.random.Generator) -> Cut:
    """A cut for training."""
    flipped = flip and bool(draw.integers(2))
    match crop:
        case Crop.SCALE:
            shorter = int(draw.integers(SHORTER[0], SHORTER[1] + 1))
            scaled = covering(picture, wanted, shorter)
            top = int(draw.integers(scaled.height - wanted.height + 1))
            left = int(draw.integers(scaled.width - wanted.width + 1))
            return _cut(picture, scaled, wanted, top, left, flipped)
        case Crop.ASPECT:
            return _of_aspect(picture, wanted, flipped, draw)


def centred(picture: Extent, wanted: Extent) -> Cut:
    """The cut for evaluation."""
    scaled = covering(picture, wanted, EVALUATED)
    top, left = (round((all - part) / 2) for all, part in zip(_sides(scaled), _sides(wanted), strict=True))
    return _cut(picture, scaled, wanted, top, left, False)


def covering(picture: Extent, wanted: Extent, shorter: int) -> Extent:
    """The picture's extent once it is scaled, in both directions alike, to cover `shorter` by `shorter` of SIZE, or the
    same part of what is wanted. Sides that are longer are rounded down, as torchvision does.
    """
    height, width = (max(side, round(side * shorter / SIZE)) for side in _sides(wanted))
    if picture.height * width >= picture.width * height:
        return Extent(max(height, width * picture.height // picture.width), width)
    return Extent(height, max(width, height * picture.width // picture.height))


def _of_aspect(picture: Extent, wanted: Extent, flipped: bool, draw: np.random.Generator) -> Cut:
    """Areas are drawn evenly, ratios evenly in their logarithm, so that 3:4 is as likely as 4:3."""
    own = wanted.width / wanted.height
    for _ in range(TRIES):
        area = draw.uniform(*AREA) * picture.height * picture.width
        ratio = own * math.exp(draw.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        height, width = max(1, round(math.sqrt(area / ratio))), max(1, round(math.sqrt(area * ratio)))
        if height <= picture.height and width <= picture.width:
            top = int(draw.integers(picture.height - height + 1))
            left = int(draw.integers(picture.width - width + 1))
            return Cut(top, left, height, width, flipped)
    height = min(picture.height, picture.width / own)
    width = height * own
    return Cut((picture.height - height) / 2, (picture.width - width) / 2, height, width, flipped)


def _cut(picture: Extent, scaled: Extent, wanted: Extent, top: int, left: int, flipped: bool) -> Cut:
    """A part of the scaled picture, in pixels of the picture as it is."""
    down, right = picture.height / scaled.height, picture.width / scaled.width
    return Cut(top * down, left * right, wanted.height * down, wanted.width * right, flipped)


def _sides(extent: Extent) -> tuple[int, int]:
    return extent.height, extent.width
