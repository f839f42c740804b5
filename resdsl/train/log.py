"""A run's log: a line of JSON for each event, in order, written as it happens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resdsl.train.events import Evaluated, Event, Logged

NAME = "log.jsonl"
KINDS = {"train": Logged, "test": Evaluated}


def append(run: Path, event: Event) -> None:
    """Checkpoints are seen in their folder, and stand in no log."""
    for name, kind in KINDS.items():
        if isinstance(event, kind):
            with (run / NAME).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"kind": name} | asdict(event)) + "\n")


def history(run: Path, until: int | None = None) -> list[Logged | Evaluated]:
    """What was logged, up to an iteration. A line that was cut off at the end, as by a kill, is left out."""
    path = run / NAME
    found: list[Logged | Evaluated] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            fields: dict[str, Any] = json.loads(line)
        except ValueError:
            break
        event = KINDS[fields.pop("kind")](**fields)
        if until is None or event.iteration <= until:
            found.append(event)
    return found


def restart(run: Path, events: Sequence[Logged | Evaluated]) -> None:
    """The log holds these events and no more: a run that goes on from a checkpoint repeats what came after it."""
    temporary = run / f".{NAME}"
    temporary.write_text("", encoding="utf-8")
    (run / NAME).unlink(missing_ok=True)
    temporary.replace(run / NAME)
    for event in events:
        append(run, event)
