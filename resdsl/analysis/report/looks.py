"""How the lines of several networks look beside each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from resdsl.analysis.style import BLACK, BLUE, GREEN, MARKERS, ORANGE, PURPLE, SKY, VERMILLION, Look

COLOURS = (BLACK, BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
LINES = ("-", (0, (6, 2)), (0, (1, 1.5)), (0, (7, 2, 1.5, 2)), (0, (3, 1, 1, 1, 1, 1)))
WIDTHS = (1.8, 1.8, 2.4, 1.4, 1.4)
FIRST_WIDTH = 3.0
WORD = re.compile(r"[^\W\d_]+")


def looks(names: Sequence[str]) -> list[Look]:
    """A look for each network. Up to seven have a colour each; of more, those whose names begin with the same words share one, with another
    line, width and marker. The first is what the others are compared with: the thickest, and drawn over them.
    """
    found: list[Look] = []
    of_colour: Counter[int] = Counter()
    for index, colour in enumerate(_colours(names)):
        nth = of_colour[colour]
        of_colour[colour] += 1
        line, width = LINES[nth % len(LINES)], WIDTHS[nth % len(WIDTHS)]
        found.append(Look(COLOURS[colour], line, MARKERS[index % len(MARKERS)], width))
    return [replace(found[0], width=FIRST_WIDTH, above=1), *found[1:]]


def _colours(names: Sequence[str]) -> list[int]:
    """Indices of COLOURS."""
    if len(names) <= len(COLOURS):
        return list(range(len(names)))
    for length in (2, 1):
        words = [tuple(WORD.findall(name)[:length]) for name in names]
        kinds = list(dict.fromkeys(words))
        if len(kinds) <= len(COLOURS) and max(Counter(words).values()) <= len(LINES):
            return [kinds.index(each) for each in words]
    return [index % len(COLOURS) for index in range(len(names))]
