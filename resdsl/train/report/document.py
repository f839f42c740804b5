"""A run's report for programs: report.json. Its form is in docs/report.md."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from torch import Tensor

from resdsl.train.report.facts import Facts

FORM = 1
"""Goes up when a name of the document goes away or means something else."""
END = "\n}"


def document(facts: Facts) -> dict[str, Any]:
    """All but the confusion matrix. Errors are shares, 0 to 1; what is not finite is None."""
    last, best = (facts.trained[-1] if facts.trained else None), facts.best
    return {
        "form": FORM,
        "run": dict(facts.about),
        "network": {
            "layers": facts.network.costs.depth,
            "units": facts.network.units,
            "parameters": facts.network.costs.parameters,
            "macs": facts.network.costs.macs,
        },
        "iteration": facts.iteration,
        "seconds": _finite(facts.seconds),
        "samples_per_second": _finite(facts.samples_per_second),
        "training": last and {"iteration": last.iteration, "loss": _finite(last.loss), "error": _finite(last.error)},
        "final": facts.final and {name: _finite(value) for name, value in asdict(facts.final).items()},
        "best": best and {"iteration": best.iteration, "loss": _finite(best.loss), "error": _finite(best.error)},
    }


def to_text(facts: Facts) -> str:
    """report.json: two spaces for each level, a row of the confusion matrix a line."""
    text = json.dumps(document(facts), indent=2, ensure_ascii=False, allow_nan=False)
    confusion = "null" if facts.score is None else _matrix(facts.score.confusion)
    return f'{text.removesuffix(END)},\n  "confusion": {confusion}{END}\n'


def _matrix(confusion: Tensor) -> str:
    rows = ",\n".join(f"    {json.dumps(row, separators=(',', ':'))}" for row in confusion.tolist())
    return f"[\n{rows}\n  ]"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
