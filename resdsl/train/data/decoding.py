"""A part of an image file, scaled to the size that a network reads, in red, green and blue."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import SpecError, fail
from resdsl.train.data.cuts import Cut, Extent

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SPARE = 2
"""A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, much faster. It is where the part is still this many times as
large as what it is scaled to, so that the last scaling is ours; then no pixel differs by more than a few levels of 255.
"""
ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held."""
ON_ITS_SIDE = (5, 6, 7, 8)


def require_pillow() -> None:
    """Raises SpecError if it is not installed."""
    try:
        import PIL.Image  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        message = "images are read with pillow, which is not installed"
        raise fail("missing-library", message, help="pip install 'resdsl[train]'") from None


def decoded(path: str, wanted: Extent, cut: Callable[[Extent], Cut]) -> NDArray[np.uint8]:
    """(height, width, 3) of what is wanted; `cut` says which part, given the picture's extent as it is seen, upright.

    Scaling is bilinear, over all pixels that fall on one. Grey becomes colour, transparency is left out. Raises SpecError
    for what is no image, is cut short, or has more than 8 bits.
    """
    from PIL import Image as pillow  # noqa: N813

    try:
        with warnings.catch_warnings(action="ignore"), pillow.open(path) as opened:  # of odd EXIF, which ImageNet has
            if opened.mode.startswith(("I", "F")):  # pillow would cut these off at 255
                raise fail("wrong-data", f"{path} holds pixels of more than 8 bits", help="save it with 8 bits")
            full_width = opened.width
            lies = opened.getexif().get(ORIENTATION) in ON_ITS_SIDE
            full = Extent(*opened.size) if lies else Extent(*reversed(opened.size))
            part = cut(full)
            shrunk = min(part.height / wanted.height, part.width / wanted.width) / SPARE
            drafted = (
                opened.draft(None, (int(opened.width / shrunk), int(opened.height / shrunk))) if shrunk > 1 else None
            )
            reduced = drafted[1][2] / full_width if drafted else 1.0
            return _scaled(_upright(opened), part, reduced, wanted)
    except SpecError:
        raise
    except Exception as error:  # in a damaged file, pillow's parsers raise all sorts
        raise fail("unreadable", f"{path} cannot be read as an image: {error}") from None


def _upright(opened: Picture) -> Picture:
    """In RGB, turned as EXIF says."""
    from PIL import ImageOps

    turned = ImageOps.exif_transpose(opened)
    return (turned.convert("RGBA") if "transparency" in turned.info else turned).convert("RGB")


def _scaled(picture: Picture, part: Cut, reduced: float, wanted: Extent) -> NDArray[np.uint8]:
    """The part, in pixels of the full picture, of one that was decoded at `reduced` of its size: exactly that, while the
    sides are rounded up to whole pixels.
    """
    from PIL import Image as pillow  # noqa: N813

    box = (
        part.left * reduced,
        part.top * reduced,
        min(picture.width, (part.left + part.width) * reduced),
        min(picture.height, (part.top + part.height) * reduced),
    )
    result = np.asarray(picture.resize((wanted.width, wanted.height), pillow.Resampling.BILINEAR, box=box))
    return np.ascontiguousarray(result[:, ::-1] if part.flipped else result)
