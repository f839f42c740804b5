"""A measured table beside the paper's: in cells, as plain text, as Markdown, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from resdsl.train.reproduce.measured import Line, Measurement, title
from resdsl.train.reproduce.outcome import Diverged, Measured, Outcome, percent
from resdsl.train.reproduce.tables import FAIL, Failed, Figure, fails_above

NOT_YET, DIVERGED = "–", "diverged"
SAME = "This is the paper's setting."
ALMOST = "Otherwise this is the paper's setting."
OTHERWISE = "So these figures do not stand against the paper's: what is measured here neither confirms nor refutes what it found."


def heading(measured: Measurement) -> str:
    table, limit = measured.plan.table, fails_above(measured.data)
    fail = f", fail is above {limit:g}" if math.isfinite(limit) else ""
    return f"{table.title} of He et al. 2016, Identity Mappings: {table.subject}; test error in %{fail}"


def columns(measured: Measurement) -> tuple[str, ...]:
    papers = " and ".join(sorted({title(row.variant.data) for row in measured.plan.rows}))
    ours = title(measured.data)
    seeds = measured.plan.seeds
    more = ("least to most", f"seeds {', '.join(map(str, seeds))}") if len(seeds) > 1 else ()
    return ("variant", "network", f"paper, {papers}", f"here, {ours}", *more)


def cells(measured: Measurement) -> list[tuple[str, ...]]:
    """A row for each line, under `columns`."""
    return [_cells(line, fails_above(measured.data)) for line in measured.lines]


def remarks(measured: Measurement) -> list[str]:
    """What is to be known of the figures, a sentence each."""
    said = ["The figures here are medians of the seeds."] if len(measured.plan.seeds) > 1 else []
    if measured.missing:
        count = len(measured.plan.trials)
        said.append(f"{measured.missing} of {count} runs are not at their end; the same command goes on with them.")
    said += [f"{text}." for line in measured.lines for text in _diverged(line)]
    if measured.is_papers:
        return [*said, *measured.differences, ALMOST if measured.differences else SAME]
    return [*said, *measured.differences, OTHERWISE]


def plain(measured: Measurement) -> str:
    rows = [columns(measured), *cells(measured)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [heading(measured), "", *(_aligned(row, widths) for row in rows), "", *remarks(measured)]
    return "\n".join(lines) + "\n"


def markdown(measured: Measurement, figure: str | None) -> str:
    """figure: of the training curves, beside the file."""
    head = columns(measured)
    lines = [f"# {heading(measured)}", "", _row(head), _row(["---", "---", *["--:"] * (len(head) - 2)])]
    lines += [_row(row) for row in cells(measured)]
    if figure is not None:
        lines += ["", f"![Training curves]({figure})"]
    return "\n".join([*lines, "", "\n".join(remarks(measured)), ""])


def document(measured: Measurement) -> str:
    """Errors in %; those of the paper that are `fail`, and medians of runs that diverged, as words."""
    plan = measured.plan
    said = {
        "table": plan.table.name,
        "data": measured.data,
        "recipe": measured.recipe.name,
        "length": measured.recipe.length,
        "unit": measured.recipe.unit.value,
        "seeds": list(plan.seeds),
        "missing": measured.missing,
        "rows": [_line(line, fails_above(measured.data)) for line in measured.lines],
        "differences": list(measured.differences),
    }
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def shown(figure: Figure | None) -> str:
    match figure:
        case None:
            return NOT_YET
        case Failed():
            return figure.value
        case _:
            return f"{figure:.2f}"


def _cells(line: Line, limit: float) -> tuple[str, ...]:
    variant = line.row.variant
    figures = (variant.label, f"{variant.name}, {line.row.layers} layers", shown(variant.figure), _here(line, limit))
    if len(line.outcomes) == 1:
        return figures
    return (*figures, _spread(line.errors), " ".join(_error(outcome) for outcome in line.outcomes.values()))


def _here(line: Line, limit: float) -> str:
    """What failed says by how much, which the paper does not."""
    if line.median is None or not _fails(line.median, limit):
        return shown(line.median)
    return f"{FAIL.value} ({shown(line.median) if math.isfinite(line.median) else DIVERGED})"


def _fails(median: float, limit: float) -> bool:
    """What diverged fails on any data."""
    return median > limit or median == math.inf


def _spread(errors: Sequence[float]) -> str:
    finite = [error for error in errors if math.isfinite(error)]
    words = [f"{min(finite):.2f}–{max(finite):.2f}"] if finite else []
    words += [DIVERGED] * (len(finite) < len(errors))
    return ", ".join(words) or NOT_YET


def _error(outcome: Outcome | None) -> str:
    match outcome:
        case None:
            return NOT_YET
        case Diverged():
            return DIVERGED
        case Measured():
            return f"{percent(outcome):.2f}"


def _diverged(line: Line) -> list[str]:
    return [
        f"{line.row.variant.name} with seed {seed}: {outcome.reason}"
        for seed, outcome in line.outcomes.items()
        if isinstance(outcome, Diverged)
    ]


def _line(line: Line, limit: float) -> dict[str, Any]:
    variant = line.row.variant
    median = line.median
    return {
        "variant": variant.name,
        "label": variant.label,
        "spec": variant.spec,
        "network": variant.network,
        "n": line.row.n,
        "layers": line.row.layers,
        "paper": {
            "error": variant.figure.value if isinstance(variant.figure, Failed) else variant.figure,
            "layers": variant.layers,
            "data": variant.data,
        },
        "median": DIVERGED if median == math.inf else median,
        "failed": None if median is None else _fails(median, limit),
        "runs": [_run(seed, outcome) for seed, outcome in line.outcomes.items()],
    }


def _run(seed: int, outcome: Outcome | None) -> dict[str, Any]:
    match outcome:
        case None:
            return {"seed": seed, "state": "missing"}
        case Diverged(reason=reason):
            return {"seed": seed, "state": "diverged", "reason": reason}
        case Measured(iteration=iteration, best=best):
            return {
                "seed": seed,
                "state": "measured",
                "iteration": iteration,
                "error": percent(outcome),
                "best": best * 100,
            }


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, figures to the right."""
    parts = [text.ljust(width) if index < 2 else text.rjust(width) for index, (text, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
    return "  ".join(parts).rstrip()


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"
