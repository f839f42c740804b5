"""Figures as files: matplotlib without a display and without its global figures, the same bytes for the same data."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from resdsl.diagnostics import fail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SALT = "resdsl"
"""Of the names inside an SVG, which are random otherwise."""
DOTS_PER_INCH = 144
METADATA = {"svg": {"Creator": None, "Date": None}, "png": {"Software": None}}


@contextmanager
def drawing() -> Generator[None]:
    """Around making and writing figures: matplotlib's own style, whatever the user's is. Raises SpecError without matplotlib."""
    try:
        from matplotlib import style
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        message = "figures are drawn with matplotlib, which is not installed"
        raise fail("missing-library", message, help="pip install 'resdsl[train]'") from None
    ours = {"svg.hashsalt": SALT, "svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3}
    with style.context(["default", ours]):
        yield


def as_svg(figure: Figure) -> bytes:
    """Texts are texts, in the reader's font."""
    return _as(figure, "svg")


def as_png(figure: Figure) -> bytes:
    return _as(figure, "png")


def _as(figure: Figure, form: str) -> bytes:
    stream = BytesIO()
    with warnings.catch_warnings():
        # A name in letters that matplotlib's font lacks: boxes in a PNG, the letters themselves in an SVG.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(stream, format=form, dpi=DOTS_PER_INCH, metadata=METADATA[form])  # pyright: ignore[reportUnknownMemberType]
    return stream.getvalue()
