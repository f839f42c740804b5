"""Figures as files."""

from __future__ import annotations

import warnings

from resdsl.figures import as_png, as_svg, drawing


def test_letters_that_the_font_lacks_are_no_warning() -> None:
    """A network may be named by a file in any script; an SVG holds the letters, and a PNG boxes."""
    with drawing(), warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        from matplotlib.figure import Figure

        figure = Figure(layout="constrained")
        figure.add_subplot().set_title("ネット$x$.resnet", parse_math=False)
        svg, png = as_svg(figure), as_png(figure)
    assert found == []
    assert "ネット$x$" in svg.decode()
    assert png.startswith(b"\x89PNG")
