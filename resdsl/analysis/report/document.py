"""Signals for programs, as analysis.schema.json describes them. What is not finite is null."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from resdsl.analysis.quantities import Floats, Gains, Lengths, Moments, Signal
from resdsl.analysis.report.comparison_text import Papers
from resdsl.analysis.report.ends import ends
from resdsl.analysis.report.sentences import Named

if TYPE_CHECKING:
    from resdsl.train.reproduce.tables import Figure

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

FORM = 1
"""Goes up when a name goes away or means something else."""


def signal_document(signal: Signal) -> dict[str, Json]:
    return {"form": FORM, "kind": "signal", **_signal(signal)}


def comparison_document(named: Sequence[Named], papers: Papers) -> dict[str, Json]:
    networks: list[Json] = [
        {"name": name, "ends": _ends(signal), "paper_error": _paper(papers.get(name)), "signal": _signal(signal)}
        for name, signal in named
    ]
    return {"form": FORM, "kind": "comparison", "networks": networks}


def written(document: dict[str, Json]) -> str:
    """As text, two spaces for each level."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _signal(signal: Signal) -> dict[str, Json]:
    return {
        "network": signal.network,
        "input": signal.input,
        "samples": signal.samples,
        "seed": signal.seed,
        "weights": signal.weights,
        "precision": signal.precision,
        "units": [_unit(signal, i) for i in range(len(signal.units))],
        "lengths": None if signal.lengths is None else _lengths(signal.lengths),
        "remarks": list(signal.remarks),
    }


def _ends(signal: Signal) -> Json:
    end = asdict(ends(signal))
    return {key: _finite(value) if isinstance(value, float) else value for key, value in end.items()}


def _paper(figure: Figure | None) -> Json:
    return figure if figure is None or isinstance(figure, float) else figure.value


def _unit(signal: Signal, i: int) -> Json:
    return {
        "name": signal.units[i],
        "label": signal.labels[i],
        "stage": signal.stages[i],
        "stream": _moments(signal.stream, i),
        "branch": _moments(signal.branch, i),
        "output": _moments(signal.output, i),
        "variance_ratio": _at(signal.variance_ratio, i),
        "shortcut": _gains(signal.shortcut, i),
        "expected": _gains(signal.expected, i),
        "branch_backward": _at(signal.branch_backward, i),
        "log10_gradient": _at(signal.log10_gradient, i),
        "log10_direct": _at(signal.log10_direct, i),
        "log10_expected": _at(signal.log10_expected, i),
        "closed_form": not math.isnan(signal.log10_expected[i]),
        "cosine": _at(signal.cosine, i),
    }


def _moments(moments: Moments, i: int) -> Json:
    return {"mean_square": _at(moments.mean_square, i), "variance": _at(moments.variance, i)}


def _gains(gains: Gains, i: int) -> Json:
    return {"mean": _at(gains.mean, i), "forward": _at(gains.forward, i), "backward": _at(gains.backward, i)}


def _lengths(lengths: Lengths) -> Json:
    return {
        "measured": [_finite(float(share)) for share in lengths.measured],
        "predicted": [_finite(float(share)) for share in lengths.predicted],
        "rest": _finite(lengths.rest),
        "mean": _finite(lengths.mean),
        "predicted_mean": _finite(lengths.predicted_mean),
    }


def _at(values: Floats, i: int) -> float | None:
    return _finite(float(np.asarray(values)[i]))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
