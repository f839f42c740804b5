"""Networks beside each other in words and cells, from end to end: what the terminal and the page show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from resdsl.analysis.quantities import Signal
from resdsl.analysis.report.ends import ends
from resdsl.analysis.report.sentences import UNKNOWN, Named, factor, number
from resdsl.analysis.report.text import DASH, aligned
from resdsl.linter.words import counted, listed

if TYPE_CHECKING:
    from resdsl.train.reproduce.tables import Figure

Papers: TypeAlias = "Mapping[str, Figure]"
"""Test errors of the paper, by the names of the networks. Empty: no column of them."""

COLUMNS = (
    "network",
    "Var growth",
    "Var(F)/Var(x)",
    "gradient",
    "direct term",
    "closed form",
    "in a stage",
    "lengths",
    "predicted",
    "cosine",
)
PAPER = "paper, %"
REMARKS = (
    "Var growth: the stream's variance behind the last unit over that before the first. Var(F)/Var(x): mean over units.",
    "Gradient, direct term, closed form, cosine: at the first unit's input, norms over the gradient's behind the last unit.",
    "In a stage: the direct term's norm over the units of one stage that keep the shape, without its first; where farthest from 1.",
    "Lengths: branches the gradient passes on average, measured and predicted.",
)
PAPER_REMARK = "Paper: test error on CIFAR-10 after training, He et al. 2016; fail: above 20 %."


def heading(named: Sequence[Named]) -> str:
    """What is the same of all once, and of the rest which network has it."""
    about: tuple[Callable[[Signal], str], ...] = (
        lambda signal: f"weights {signal.weights}",
        lambda signal: f"{counted(signal.samples, 'sample')} of {signal.input}",
        lambda signal: f"seed {signal.seed}",
        lambda signal: signal.precision,
    )
    return ", ".join([counted(len(named), "network"), *(_together(named, words) for words in about)])


def _together(named: Sequence[Named], words: Callable[[Signal], str]) -> str:
    found = _by_words(named, lambda signal: (words(signal),))
    return " and ".join(word if len(found) == 1 else f"{word} ({listed(names)})" for word, names in found.items())


def _by_words(named: Sequence[Named], words: Callable[[Signal], Sequence[str]]) -> dict[str, list[str]]:
    """What is said, each once, and of which networks."""
    found: dict[str, list[str]] = {}
    for name, signal in named:
        for word in words(signal):
            found.setdefault(word, []).append(name)
    return found


def columns(papers: Papers) -> tuple[str, ...]:
    return (*COLUMNS, PAPER) if papers else COLUMNS


def cells(named: Sequence[Named], papers: Papers) -> list[tuple[str, ...]]:
    """A row for each network, under `columns`."""
    return [_cells(name, signal) + ((_paper(papers.get(name)),) if papers else ()) for name, signal in named]


def remarks(named: Sequence[Named], papers: Papers) -> list[str]:
    """What the columns are, and what else is to be known of some networks, a sentence each."""
    said = [*REMARKS, PAPER_REMARK] if papers else [*REMARKS]
    dash = [DASH] if any(UNKNOWN in row for row in cells(named, papers)) else []
    of_some = _by_words(named, lambda signal: signal.remarks)
    return [*said, *dash, *(f"{listed(names)}: {remark}" for remark, names in of_some.items())]


def plain(title: str, named: Sequence[Named], papers: Papers) -> str:
    """For what is no terminal."""
    lines = aligned(columns(papers), cells(named, papers))
    return "\n".join([title, "", *lines, "", *remarks(named, papers)]) + "\n"


def _cells(name: str, signal: Signal) -> tuple[str, ...]:
    end = ends(signal)
    return (
        name,
        factor(end.log10_growth),
        number(end.mean_ratio),
        factor(end.log10_gradient),
        factor(end.log10_direct),
        factor(end.log10_expected),
        factor(end.log10_direct_in_stage),
        number(end.mean_length),
        number(end.predicted_length),
        number(end.cosine),
    )


def _paper(figure: Figure | None) -> str:
    if figure is None:
        return UNKNOWN
    return f"{figure:.2f}" if isinstance(figure, float) else figure.value
