"""Folders of runs that nobody trained: the files that a report is made of, with numbers that are known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from resdsl import spec
from resdsl.network.document import to_json
from resdsl.train.compute.score import Score
from resdsl.train.run import log
from resdsl.train.run.events import Evaluated, Logged
from resdsl.train.run.folder import NAME, NETWORK

BATCH = 64
SPEC = "resnet 1\nnetwork small(classes = 10) { input 1x8x8 stem conv(3x3, 4) -> bn -> relu head avgpool -> linear(classes) }\n"
TRAINED = (
    Logged(20, 0, 0.01, 2.5, 0.75, 640.0),
    Logged(40, 1, 0.1, 1.0, 0.5, 1280.0),
    Logged(60, 2, 0.1, 0.25, 0.125, 1280.0),
)
TESTED = (
    Evaluated(20, 0, 2.0, 0.5, True),
    Evaluated(40, 1, 1.0, 0.0625, True),
    Evaluated(60, 2, 0.5, 0.09375, False),
)


def run_folder(folder: Path, events: Iterable[Logged | Evaluated] = (*TRAINED, *TESTED), classes: int = 10) -> Path:
    """`folder` as a run leaves it, as far as a report reads it."""
    folder.mkdir()
    network = spec.build(SPEC, parameters={"classes": classes})
    about = {
        "resdsl": "0",
        "network": "small",
        "recipe": {
            "name": "digits", "source": "", "batch": BATCH, "unit": "iterations", "length": 60, "steps": [30, 45],
            "rate": 0.1, "factor": 0.1, "warmup": 20, "warmup_rate": 0.01, "momentum": 0.9, "nesterov": False,
            "weight_decay": 1e-4, "decay": "all", "normalise": "channel", "pad": 1, "flip": False, "crop": "scale",
        },
        "data": {"name": "digits", "classes": [f"c{label}" for label in range(classes)], "sha256": "0" * 64},
        "seed": 7,
        "execution": {"compile": "none", "graph": False, "precision": "fp32", "channels_last": True, "backend": "inductor"},
        "processes": 2,
        "environment": {
            "started": "2026-01-02T03:04:05+00:00", "command": [], "resdsl": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6",
            "cuda": "", "cudnn": "", "device": "cpu",
            "machine": {"cpu": "A CPU", "cores": 2, "platform": "Linux", "python": "3.11.7"},
        },
        "resumed": [],
    }  # fmt: skip
    (folder / NAME).write_text(json.dumps(about), encoding="utf-8")
    (folder / NETWORK).write_text(to_json(network), encoding="utf-8")
    for event in events:
        log.append(folder, event)
    return folder


def score(classes: int = 10, wrong: Sequence[tuple[int, int, int]] = ((3, 9, 4), (0, 1, 2), (9, 3, 2))) -> Score:
    """10 samples of each class, of which `times` of class `actual` are called `called`."""
    confusion = torch.eye(classes, dtype=torch.int64) * 10
    for actual, called, times in wrong:
        confusion[actual, actual] -= times
        confusion[actual, called] += times
    return Score(0.5, confusion)
