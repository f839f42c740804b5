"""Signals in words and cells: what the terminal and the page show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from resdsl.analysis.quantities import Signal
from resdsl.analysis.report.ends import ends
from resdsl.analysis.report.sentences import UNKNOWN, factor, number
from resdsl.linter.words import counted

COLUMNS = (
    "unit",
    "what",
    "mean²",
    "Var(x)",
    "Var(F)",
    "Var(F)/Var(x)",
    "gradient",
    "direct term",
    "closed form",
    "cosine",
)
LEFT = ("unit", "what", "network")
"""Columns of words; the others hold numbers."""
DASH = f"{UNKNOWN}: no closed form, not defined, or not measured."
FEW = 24
"""Units up to which each has a row."""
NEGLIGIBLE = 1e-3
"""Of the gradient's energy: less is not worth a word beside three digits."""
SHOWN = 7
"""Rows of a stage, of a network with more units."""


@dataclass(frozen=True, slots=True)
class Row:
    """cells: under COLUMNS. skipped: units between this row and the one before that have none."""

    cells: tuple[str, ...]
    skipped: int = 0


def heading(signal: Signal) -> str:
    where = f"{counted(signal.samples, 'sample')} of {signal.input}, seed {signal.seed}, {signal.precision}"
    return f"{signal.network}: {counted(len(signal.units), 'unit')}, weights {signal.weights}, {where}"


def rows(signal: Signal) -> list[Row]:
    """All units of a small network; of a deep one the first two and the last of each stage, and some between."""
    ratio = signal.variance_ratio
    found: list[Row] = []
    before = -1
    for i in shown(signal):
        cells = (
            signal.units[i],
            signal.labels[i] if not found or signal.labels[i] != signal.labels[before] else "",
            number(signal.stream.mean_square[i]),
            number(signal.stream.variance[i]),
            number(signal.branch.variance[i]),
            number(ratio[i]),
            factor(signal.log10_gradient[i]),
            factor(signal.log10_direct[i]),
            factor(signal.log10_expected[i]),
            number(signal.cosine[i]),
        )
        found.append(Row(cells, i - before - 1))
        before = i
    return found


def shown(signal: Signal) -> list[int]:
    """Which units have a row."""
    count = len(signal.units)
    if count <= FEW:
        return list(range(count))
    chosen: list[int] = []
    start = 0
    for end in range(1, count + 1):
        if end < count and signal.stages[end] == signal.stages[start]:
            continue
        length = end - start
        if length <= SHOWN:
            chosen += range(start, end)
        else:
            chosen += [start, *(start + 1 + round(k * (length - 2) / (SHOWN - 2)) for k in range(SHOWN - 1))]
        start = end
    return chosen


def remarks(signal: Signal) -> list[str]:
    """What the rows do not say, a sentence each."""
    end = ends(signal)
    output = signal.output
    said = [
        f"Behind the last unit: mean² {number(output.mean_square[-1])}, Var(x) {number(output.variance[-1])}, "
        f"{factor(end.log10_growth)} times the first unit's.",
    ]
    lengths = signal.lengths
    if lengths is not None and not math.isnan(lengths.mean):
        beyond = f"; shares of {number(lengths.rest)} in all were left out" if lengths.rest > NEGLIGIBLE else ""
        said.append(
            f"The gradient passes {number(lengths.mean)} branches on average, {number(lengths.predicted_mean)} if units were "
            f"independent{beyond}."
        )
    said.append(
        "Gradient, direct term and closed form: norms at the unit's input, over the gradient's behind the last unit."
    )
    if any(UNKNOWN in row.cells for row in rows(signal)):
        said.append(DASH)
    return [*said, *signal.remarks]


def left_out(signal: Signal) -> str:
    """Of the units without a row; empty if there are none."""
    rest = len(signal.units) - len(shown(signal))
    return f"{counted(rest, 'unit')} left out: `--json` has all." if rest else ""


def plain(signal: Signal) -> str:
    """For what is no terminal."""
    lines: list[tuple[str, ...]] = []
    for row in rows(signal):
        lines += [("…", f"{row.skipped:,} more")] if row.skipped else []
        lines.append(row.cells)
    said = [left_out(signal), *remarks(signal)]
    return "\n".join([heading(signal), "", *aligned(COLUMNS, lines), "", *filter(None, said)]) + "\n"


def aligned(columns: Sequence[str], lines: Sequence[Sequence[str]], left: Sequence[str] = LEFT) -> list[str]:
    """Words to the left, numbers to the right. A line may be shorter than the columns."""
    widths = [max(len(line[i]) for line in [columns, *lines] if i < len(line)) for i in range(len(columns))]
    return [
        "  ".join(
            cell.ljust(width) if name in left else cell.rjust(width)
            for name, cell, width in zip(columns, line, widths, strict=False)
        ).rstrip()
        for line in [columns, *lines]
    ]
