"""A run's folder: what the run is stands in run.json, and a run that is resumed must be that one."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

from resdsl._version import __version__
from resdsl.diagnostics import SpecError, fail
from resdsl.network.document import to_document, to_json
from resdsl.recorded import normalisation_text
from resdsl.train.batches import Share
from resdsl.train.execution import Execution
from resdsl.train.setup import Setup
from resdsl.writing import write

NAME = "run.json"
NETWORK = "network.json"
NORMALISATION = "normalisation.json"
BEST, LAST = "best.safetensors", "last.safetensors"
SHOWN_LINES = 12


def begin(folder: Path, setup: Setup, execution: Execution, share: Share) -> None:
    """Makes the folder of a new run. Raises SpecError if there is one already."""
    if (folder / NAME).is_file():
        raise fail(
            "run-exists", f"{folder} holds a run", help="`--resume` goes on with it, or name another folder with `-o`"
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise fail("run-exists", f"{folder} is not empty", help="name another folder with `-o`")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise fail("unwritable", f"{folder} cannot be made: {error.strerror or error}") from None
    write(to_json(setup.network).encode(), str(folder / NETWORK))
    write(f"{normalisation_text(setup.by.mean, setup.by.std)}\n".encode(), str(folder / NORMALISATION))
    write(_text(identity(setup, share) | {"execution": _plain(asdict(execution))}), str(folder / NAME))


def require_same(folder: Path, setup: Setup, share: Share = Share()) -> None:
    """Raises SpecError, with the difference, if the run in the folder is not of this setup."""
    before, now = about(folder), identity(setup, share)
    if network_of(folder) != json.loads(json.dumps(to_document(setup.network))):
        raise _other(folder, "another network", (folder / NETWORK).read_text("utf-8"), to_json(setup.network))
    for name, value in now.items():
        if before.get(name) != value:
            what = "number of processes" if name == "processes" else name
            raise _other(folder, f"another {what}", _lines(before.get(name)), _lines(value))


def identity(setup: Setup, share: Share = Share()) -> dict[str, Any]:
    """What makes two runs the same, bit for bit on one machine. Norms see each process's part of a batch by itself."""
    recipe = _plain(asdict(setup.recipe))
    return {
        "network": setup.network.name,
        "recipe": recipe,
        "data": {"name": setup.data.name, "classes": list(setup.data.classes), "sha256": setup.data.fingerprint},
        "seed": setup.seed,
        "processes": share.world,
    }


def about(folder: Path) -> dict[str, Any]:
    """What run.json says. Raises SpecError if there is no run in the folder."""
    try:
        return json.loads((folder / NAME).read_text("utf-8"))
    except FileNotFoundError:
        raise fail("no-run", f"{folder} holds no run", help="name the folder that `resdsl train -o` made") from None
    except (OSError, ValueError) as error:
        raise fail("unreadable", f"{folder / NAME} cannot be read: {error}") from None


def network_of(folder: Path) -> object:
    try:
        return json.loads((folder / NETWORK).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise fail("unreadable", f"{folder / NETWORK} cannot be read: {error}") from None


def _other(folder: Path, what: str, before: str, now: str) -> SpecError:
    lines = list(difflib.unified_diff(before.splitlines(), now.splitlines(), "the run", "now", lineterm="", n=0))
    more = [f"… {len(lines) - SHOWN_LINES} more lines"] if len(lines) > SHOWN_LINES else []
    message = f"the run in {folder} has {what}"
    return fail(
        "other-run",
        message,
        notes=[*lines[:SHOWN_LINES], *more],
        help="resume it as it was, or name another folder with `-o`",
    )


def _lines(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _text(about: dict[str, Any]) -> bytes:
    return (_lines({"resdsl": __version__} | about) + "\n").encode()


def _plain(value: Any) -> Any:
    """As JSON has it: enums by their values, tuples as lists."""
    match value:
        case Enum():
            return value.value
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value
