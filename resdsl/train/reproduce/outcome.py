"""What became of a run, remembered in its folder as result.json."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from resdsl.diagnostics import fail
from resdsl.writing import write

NAME = "result.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """After `iteration` steps, the last. error, best: shares of wrong answers on the test set, 0 to 1, at the end and the least of all
    evaluations.
    """

    iteration: int
    error: float
    best: float


@dataclass(frozen=True, slots=True)
class Diverged:
    """Its numbers were not finite any more. reason: a sentence, without its full stop."""

    reason: str


Outcome: TypeAlias = Measured | Diverged
KINDS = {"measured": Measured, "diverged": Diverged}


def percent(outcome: Outcome) -> float:
    """The error at the end in %, infinite for what diverged."""
    match outcome:
        case Measured(error=error):
            return error * 100
        case Diverged():
            return math.inf


def remember(run: Path, outcome: Outcome) -> None:
    """Raises SpecError if it cannot be written."""
    kind = next(name for name, each in KINDS.items() if isinstance(outcome, each))
    write((json.dumps({"outcome": kind} | asdict(outcome), indent=2) + "\n").encode(), str(run / NAME))


def remembered(run: Path) -> Outcome | None:
    """None where there is none. Raises SpecError for a file that is none."""
    path = run / NAME
    try:
        said = json.loads(path.read_text("utf-8"))
        return KINDS[said.pop("outcome")](**said)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        help = "remove it, and the run is looked at again"
        raise fail("unreadable", f"{path} cannot be read: {error}", help=help) from None
