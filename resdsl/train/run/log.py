"""A run's log: a line of JSON for each event, in order, written as it happens."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from resdsl.diagnostics import fail
from resdsl.train.run.events import Evaluated, Event, Logged
from resdsl.writing import write

NAME = "log.jsonl"
KINDS = {"train": Logged, "test": Evaluated}


def append(run: Path, event: Event) -> None:
    """Checkpoints are seen in their folder, and stand in no log. Raises SpecError if it cannot be written, and the line may be
    cut off.
    """
    if not isinstance(event, Logged | Evaluated):
        return
    try:
        with (run / NAME).open("a", encoding="utf-8") as stream:
            stream.write(_line(event))
    except OSError as error:
        message = f"{run / NAME} cannot be written: {error.strerror or error}"
        raise fail("unwritable", message, help="`--resume` goes on from the newest checkpoint") from None


def history(run: Path, until: int | None = None) -> list[Logged | Evaluated]:
    """What was logged, up to an iteration. A line that was cut off at the end, as by a kill, is left out. Raises SpecError for any
    other line that is none.
    """
    path = run / NAME
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise fail("unreadable", f"{path} cannot be read: {error.strerror or error}") from None
    found: list[Logged | Evaluated] = []
    for number, line in enumerate(lines[:-1], 1):  # what stands behind the last line break was cut off
        event = _event(line)
        if event is None and number < len(lines) - 1:
            raise fail("unreadable", f"{path} cannot be read: line {number} is none of a log")
        if event is not None and (until is None or event.iteration <= until):
            found.append(event)
    return found


def restart(run: Path, events: Sequence[Logged | Evaluated]) -> None:
    """The log holds these events and no more: a run that goes on from a checkpoint repeats what came after it. Raises SpecError."""
    text = "".join(map(_line, events)).encode()
    path = run / NAME
    if not path.is_file() or path.read_bytes() != text:
        write(text, str(path))


def _line(event: Logged | Evaluated) -> str:
    """JSON knows no numbers that are not finite; null stands for all of them."""
    name = next(name for name, kind in KINDS.items() if isinstance(event, kind))
    values = asdict(event)
    plain = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in values.items()}
    return json.dumps({"kind": name} | plain) + "\n"


def _event(line: str) -> Logged | Evaluated | None:
    try:
        values = json.loads(line)
        kind = KINDS[values.pop("kind")]
        return kind(**{field.name: math.nan if (v := values[field.name]) is None else v for field in fields(kind)})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
