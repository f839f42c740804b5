"""Checkpoints: all that a run needs to go on, in one safetensors file, whole or not at all."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from resdsl.diagnostics import did_you_mean, fail
from resdsl.train.compute.step import Meter
from resdsl.train.run.clock import Lap
from resdsl.writing import write

FOLDER = "checkpoints"
SUFFIX = ".safetensors"
ASIDE = ".unreadable"
"""Behind the name of a file that is no checkpoint of the run, and was found where one should be."""
WEIGHT, MOMENTUM = "weight.", "momentum."
"""Before the names of the spec."""
KEY = "resdsl.training"
"""In the file's metadata."""


@dataclass(frozen=True, slots=True)
class Best:
    """The least error on the test set, and after how many steps."""

    iteration: int
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A run after `iteration` steps. seconds: that they took. meter, lap: of the steps since the last line of the log. first: of
    the run's first step. best: None before the first evaluation. is_due: an evaluation belongs here that has not been made.
    Batches and random numbers need no state: they follow from seed and iteration.
    """

    iteration: int
    seconds: float
    lap: Lap
    meter: Meter
    first: Meter
    best: Best | None
    is_due: bool
    weights: Mapping[str, Tensor]
    momentum: Mapping[str, Tensor]


def save(state: State, run: Path, keep: int) -> Path:
    """Writes checkpoints/ITERATION.safetensors in a run's folder and, once it lies on the disk, removes all but the newest `keep`.
    Raises SpecError, and what stood before stands.
    """
    path = run / FOLDER / f"{state.iteration:08d}{SUFFIX}"
    tensors = {WEIGHT + name: _plain(tensor) for name, tensor in state.weights.items()}
    tensors |= {MOMENTUM + name: _plain(tensor) for name, tensor in state.momentum.items()}
    about = {
        "iteration": state.iteration,
        "seconds": state.seconds,
        "lap": asdict(state.lap),
        "meter": asdict(state.meter),
        "first": asdict(state.first),
        "best": None if state.best is None else asdict(state.best),
        "is_due": state.is_due,
        "crc32": _checksum(tensors),
    }
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise fail("unwritable", f"{path.parent} cannot be made: {error.strerror or error}") from None
    write(safetensors.torch.save(tensors, {KEY: json.dumps(about)}), str(path))
    settle(path)
    thin(run, keep)
    return path


def thin(run: Path, keep: int) -> None:
    """Removes all checkpoints but the newest `keep`."""
    for old in checkpoints(run)[:-keep]:
        old.unlink(missing_ok=True)


def checkpoints(run: Path) -> list[Path]:
    """Those of a run, the oldest first. Other files in their folder are left alone."""
    found = (run / FOLDER).glob(f"*{SUFFIX}")
    return sorted((path for path in found if path.stem.isdecimal()), key=lambda path: int(path.stem))


def read(path: Path) -> State:
    """Raises SpecError for what is no checkpoint, and for one that is not as it was written."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if _checksum(tensors) != about["crc32"]:
            raise ValueError("its contents are not what was written")
        best = about["best"]
        return State(
            iteration=int(about["iteration"]),
            seconds=float(about["seconds"]),
            lap=Lap(**about["lap"]),
            meter=Meter(**about["meter"]),
            first=Meter(**about["first"]),
            best=None if best is None else Best(**best),
            is_due=bool(about["is_due"]),
            weights=_under(tensors, WEIGHT),
            momentum=_under(tensors, MOMENTUM),
        )
    except KeyError as error:
        raise fail("unreadable", f"{path} is no checkpoint of resdsl: it lacks {error}") from None
    except (safetensors.SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise fail("unreadable", f"{path} cannot be read as a checkpoint: {error}") from None


def require_fit(state: State, weights: Mapping[str, Tensor], momentum: Mapping[str, Tensor], path: Path) -> None:
    """Raises SpecError unless the checkpoint holds just these tensors. Their types may be others: they are converted."""
    for what, held, wanted in (("weight", state.weights, weights), ("momentum", state.momentum, momentum)):
        absent = [name for name in wanted if name not in held]
        foreign = [name for name in held if name not in wanted]
        if absent:
            hint = did_you_mean(absent[0], foreign)
            raise fail("wrong-checkpoint", f"{path} has no {what} {absent[0]}{_more(len(absent) - 1)}", help=hint)
        if foreign:
            message = f"{path} has a {what} {foreign[0]}{_more(len(foreign) - 1)}, which the network has not"
            raise fail("wrong-checkpoint", message)
        for name, tensor in wanted.items():
            if held[name].shape != tensor.shape:
                message = f"in {path} the {what} {name} is {_shape(held[name])}, and the network's is {_shape(tensor)}"
                raise fail("wrong-checkpoint", message)
            if not bool(held[name].isfinite().all()):
                raise fail("wrong-checkpoint", f"in {path} the {what} {name} is not finite")


def set_aside(path: Path) -> Path:
    """Gives the file a name that no checkpoint has, and that none has yet. Raises SpecError."""
    for number in range(1, 1000):
        other = path.with_name(path.name + ASIDE + (f".{number}" if number > 1 else ""))
        if not other.exists():
            try:
                return path.rename(other)
            except OSError as error:
                raise fail("unwritable", f"{path} cannot be renamed: {error.strerror or error}") from None
    raise fail("unwritable", f"{path} cannot be renamed: too many files are called like it")


def write_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Weights alone, as every command's `--weights` reads them. A file that holds them already stays as it is."""
    content = safetensors.torch.save({name: _plain(tensor) for name, tensor in weights.items()}, {"format": "pt"})
    if not path.is_file() or path.read_bytes() != content:
        write(content, str(path))
        settle(path)


def settle(path: Path) -> None:
    """The file, under its name, is on the disk: it is there after a loss of power. Raises SpecError."""
    try:
        for each in (path, path.parent):
            if each.is_dir() and os.name == "nt":  # a folder cannot be opened there
                continue
            handle = os.open(each, os.O_RDONLY if each.is_dir() else os.O_RDWR)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    except OSError as error:
        raise fail("unwritable", f"{path} cannot be written: {error.strerror or error}") from None


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    """Of all bytes in the order of the names. Of a file that is damaged, the tensors are still read as they are."""
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy(), value)
    return value


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu").contiguous(memory_format=torch.contiguous_format)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _more(count: int) -> str:
    return f" and {count} more" if count else ""
