"""Checkpoints: all that a run needs to go on, in one safetensors file, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from resdsl.diagnostics import fail
from resdsl.train.step import Meter
from resdsl.writing import write

FOLDER = "checkpoints"
SUFFIX = ".safetensors"
WEIGHT, MOMENTUM = "weight.", "momentum."
"""Before the names of the spec."""


@dataclass(frozen=True, slots=True)
class Best:
    """The least error on the test set, and after how many steps."""

    iteration: int
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A run after `iteration` steps. seconds: that they took. meter: of the steps since the last line of the log. best: None
    before the first evaluation. Batches and random numbers need no state: they follow from seed and iteration.
    """

    iteration: int
    seconds: float
    meter: Meter
    best: Best | None
    weights: Mapping[str, Tensor]
    momentum: Mapping[str, Tensor]


def save(state: State, run: Path, keep: int) -> Path:
    """Writes checkpoints/ITERATION.safetensors in a run's folder and removes all but the newest `keep`. Raises SpecError, and what
    stood before stands.
    """
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{state.iteration:08d}{SUFFIX}"
    tensors = {WEIGHT + name: tensor for name, tensor in state.weights.items()}
    tensors |= {MOMENTUM + name: tensor for name, tensor in state.momentum.items()}
    about = {
        "iteration": state.iteration,
        "seconds": state.seconds,
        "meter": asdict(state.meter),
        "best": None if state.best is None else asdict(state.best),
    }
    write(_bytes(tensors, {"resdsl.training": json.dumps(about)}), str(path))
    for old in checkpoints(run)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(run: Path) -> list[Path]:
    """Those of a run, the oldest first."""
    return sorted((run / FOLDER).glob(f"*{SUFFIX}"))


def read(path: Path) -> State:
    """Raises SpecError for what is no checkpoint."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["resdsl.training"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        best = about["best"]
        return State(
            about["iteration"],
            about["seconds"],
            Meter(**about["meter"]),
            None if best is None else Best(**best),
            _under(tensors, WEIGHT),
            _under(tensors, MOMENTUM),
        )
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise fail("unreadable", f"{path} cannot be read as a checkpoint: {error}") from None


def write_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Weights alone, as every command's `--weights` reads them."""
    write(_bytes(weights, {"format": "pt"}), str(path))


def _bytes(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    return safetensors.torch.save({name: _plain(tensor) for name, tensor in tensors.items()}, metadata)


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous(memory_format=torch.contiguous_format)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
