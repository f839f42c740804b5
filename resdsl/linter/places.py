"""Parts of units that were written in one place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from resdsl.linter.subject import Group, LintedNetwork, Site
from resdsl.source import Span

_T = TypeVar("_T")


def grouped_parts(network: LintedNetwork, parts: Iterable[tuple[Site, str, _T]]) -> list[tuple[Group, list[_T]]]:
    """The sites by where a part of theirs, given by its pointer, was written, and what was found at each.

    The pointer may be another in each site, as that of a branch's last operator.
    """
    places: dict[Span, list[tuple[Site, str, _T]]] = {}
    for part in parts:
        places.setdefault(network.spans(part[1])[0], []).append(part)
    return [
        (Group(network, members[0][1], tuple(site for site, _, _ in members)), [found for _, _, found in members])
        for members in places.values()
    ]
