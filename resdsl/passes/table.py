"""The passes by name, in the order in which they run, and the levels that choose them. What they do is in run.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resdsl.diagnostics import did_you_mean, fail


@dataclass(frozen=True, slots=True)
class Pass:
    """level: the first `-O` that runs it."""

    name: str
    level: int
    summary: str


PASSES: dict[str, Pass] = {
    each.name: each
    for each in (
        Pass("remove-identities", 1, "dropout, drop paths, factors of 1, a ReLU of a ReLU"),
        Pass("fold-standardised", 1, "standardised filters become plain ones"),
        Pass("fold-scales", 1, "factors go into the layer beside them"),
        Pass("fold-batchnorm", 1, "batch norms go into the layer before or behind them"),
        Pass("remove-dead", 1, "branches that add nothing are taken out"),
        Pass("fold-preactivation", 2, "norms of full pre-activation go into the stream"),
    )
}
LEVELS = range(3)
DEFAULT_LEVEL = 2


def passes_of(level: int) -> tuple[Pass, ...]:
    """Those that `-O level` runs. Raises SpecError for a level that there is not."""
    if level not in LEVELS:
        raise fail("unknown-pass", f"there is no level {level} of passes", help=f"{LEVELS[0]} to {LEVELS[-1]}")
    return tuple(each for each in PASSES.values() if each.level <= level)


def named_passes(names: Sequence[str]) -> tuple[Pass, ...]:
    """These passes, in the order of the table. Raises SpecError for a name that none has."""
    for name in names:
        if name not in PASSES:
            help = did_you_mean(name, PASSES) or "`resdsl compile --passes` lists them"
            raise fail("unknown-pass", f"there is no pass {name!r}", help=help)
    return tuple(each for each in PASSES.values() if each.name in names)
