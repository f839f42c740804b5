"""A figure as a table for people and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.finding import Cell, Finding, Plan
from resdsl.analysis.demystify.panel import Panel

ABSENT = "–"


def heading(number: int, plan: Plan, data: Data) -> str:
    return f"Figure {number} of Li et al. 2016, Demystifying ResNet: {plan.subject}; {data.name}"


def cell(value: Cell) -> str:
    """Four digits of numbers, and a dash for what does not exist."""
    match value:
        case None:
            return ABSENT
        case float() if math.isnan(value):
            return ABSENT
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)


def plain(number: int, plan: Plan, data: Data, found: Finding) -> str:
    rows = [found.columns, *(tuple(map(cell, row)) for row in found.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = [isinstance(value, str) for value in found.rows[0]]
    lines = [_aligned(row, widths, left) for row in rows]
    return "\n".join([heading(number, plan, data), found.title, "", *lines, "", *found.remarks, ""])


def document(number: int, plan: Plan, data: Data, found: Finding) -> str:
    """null for what does not exist, is infinite or is not known."""
    said = {
        "figure": number,
        "paper": "arXiv 1611.01186",
        "subject": plan.subject,
        "title": found.title,
        "data": data.name,
        "sha256": data.fingerprint,
        "columns": list(found.columns),
        "rows": [[_finite(value) for value in row] for row in found.rows],
        "remarks": list(found.remarks),
        "panels": [_panel(panel) for panel in found.panels],
    }
    return json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _panel(panel: Panel) -> dict[str, Any]:
    lines = [
        {
            "name": line.name,
            "at": [_finite(value) for value in line.at],
            "values": [_finite(value) for value in line.values],
            "errors": [_finite(value) for value in line.errors],
        }
        for line in panel.lines
    ]
    return {"across": panel.across, "up": panel.up, "lines": lines}


def _finite(value: Cell) -> Cell:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _aligned(row: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    """Words to the left, numbers to the right."""
    parts = [
        text.ljust(width) if words else text.rjust(width) for text, width, words in zip(row, widths, left, strict=True)
    ]
    return "  ".join(parts).rstrip()
