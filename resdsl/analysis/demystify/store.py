"""What is computed already, in a folder: a file for each point, and in settings.json what all of them have in common."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import assert_never

from resdsl.analysis.demystify.compute import checkpoints
from resdsl.analysis.demystify.data import Data
from resdsl.analysis.demystify.decoded import value
from resdsl.analysis.demystify.nets import Relu
from resdsl.analysis.demystify.points import Course, Ends, Errors, Initial, Parted, Point, Trained, Value, Watched
from resdsl.analysis.demystify.sizes import Sizes, Training
from resdsl.analysis.hessian.spectrum import Spectrum
from resdsl.diagnostics import fail
from resdsl.train.run.difference import Plain, differences
from resdsl.writing import write

SETTINGS, POINTS = "settings.json", "points"


def begin(folder: Path, data: Data, sizes: Sizes) -> None:
    """Makes the folder, or goes on with one of the same settings. Raises SpecError with the difference for one of others, and for one
    that holds something else.
    """
    path = folder / SETTINGS
    now = _settings(data, sizes)
    if path.is_file():
        try:
            before = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise fail("unreadable", f"{path} cannot be read: {error}") from None
        if before != now:
            message = f"what is in {folder} was computed with other settings"
            raise fail("other-run", message, notes=differences(before, now), help="name another folder with `-o`")
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [found.name for found in folder.iterdir() if not found.name.startswith(".")]
    except OSError as error:
        raise fail("unwritable", f"{folder} cannot be used: {error.strerror or error}") from None
    if others:
        raise fail("run-exists", f"{folder} is not empty", help="name another folder with `-o`")
    write((json.dumps(now, indent=2) + "\n").encode(), str(path))


def stored(folder: Path, point: Point, sizes: Sizes) -> Value | None:
    """None where there is none yet. Raises SpecError for a file that is none, as one that was edited."""
    path = _path(folder, point)
    try:
        said = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    try:
        match point:
            case Initial():
                return value(Spectrum, said, 0)
            case Trained(relu=Relu.NONE):
                return value(Ends, said, len(sizes.linear.rates))
            case Trained():
                return value(Ends, said, len(sizes.relu.rates))
            case Watched():
                return value(Course, said, len(checkpoints(sizes.linear.epochs, sizes.watched)))
            case Parted():
                return value(Errors, said, len(sizes.parted.rates))
            case _:
                assert_never(point)
    except ValueError as error:
        raise _unreadable(path, error) from None


def store(folder: Path, point: Point, of: Value) -> None:
    """Whole or not at all. Raises SpecError."""
    path = _path(folder, point)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise fail("unwritable", f"{path.parent} cannot be made: {error.strerror or error}") from None
    write((json.dumps(asdict(of)) + "\n").encode(), str(path))


def _path(folder: Path, point: Point) -> Path:
    match point:
        case Initial():
            kind = "initial"
        case Trained(relu=relu):
            kind = f"trained-{relu.name.lower()}"
        case Watched():
            kind = "watched"
        case Parted():
            kind = "parted"
        case _:
            assert_never(point)
    net = point.net.name.lower().replace(", ", "-").replace(" ", "-")
    return folder / POINTS / kind / net / f"depth{point.depth}-seed{point.seed}.json"


def _settings(data: Data, sizes: Sizes) -> Plain:
    """What a point depends on besides itself. Depths and seeds may be more or fewer."""
    said: dict[str, Plain] = {
        "data": data.name,
        "sha256": data.fingerprint,
        "width": data.width,
        "hessians": sizes.watched,
    }
    trainings = {"linear": sizes.linear, "relu": sizes.relu, "parted": sizes.parted}
    return said | {name: _training(training) for name, training in trainings.items()}


def _training(training: Training) -> Plain:
    return {"epochs": training.epochs, "rates": list(training.rates)}


def _unreadable(path: Path, error: Exception) -> Exception:
    return fail("unreadable", f"{path} cannot be read: {error}", help="remove it, and it is computed again")
