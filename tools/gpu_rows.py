"""What tools/gpu_report.py finds out, a row each, and the file that rows wait in until the report is written.

The processes that compute write each row at once, so that what ends one of them costs no row that it had written.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A network to be worked on by a part of the report, with the ways of a family (see gpu_ways) and a batch size."""

    part: str
    family: str
    network: str
    batch: int

    def __str__(self) -> str:
        return f"{self.network}: {self.family}, batch {self.batch}"


@dataclass(frozen=True, slots=True)
class Check:
    """error: max|y - y64| / max|y64|; None where the output is not finite. tolerance: that of resdsl.verify."""

    network: str
    way: str
    numbers: str
    error: float | None
    tolerance: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Speed:
    """seconds: of a call, the median of the rounds. beside: numbers of the eager way of the same process and batch that it is held
    against, and speed: how many times as fast it is, the median over rounds. opened_in: seconds to make it ready.
    """

    network: str
    family: str
    way: str
    numbers: str
    batch: int
    seconds: float
    lower_quartile: float
    upper_quartile: float
    images_per_second: float
    beside: str
    speed: float
    opened_in: float
    rounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Training:
    """A step: forward, cross entropy, backward, SGD with momentum. beside: the style that speed is held against. loss: of the
    first step, None where it is not finite.

    peak_bytes: the most that PyTorch had allocated during a step, without what lay there before; None on a CPU.
    """

    network: str
    style: str
    batch: int
    seconds: float
    lower_quartile: float
    upper_quartile: float
    images_per_second: float
    beside: str
    speed: float
    peak_bytes: int | None
    loss: float | None
    rounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not run, as was to be expected here."""

    part: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """What was run and ended in an error."""

    part: str
    what: str
    error: str


@dataclass(frozen=True, slots=True)
class Started:
    """No part of the report: if the process ends, it was with the last one started."""

    task: Task


Row: TypeAlias = Check | Speed | Training | Skipped | Failed | Started
LISTS: dict[str, str] = {
    "Check": "checks",
    "Speed": "speeds",
    "Training": "trainings",
    "Skipped": "skipped",
    "Failed": "failed",
}
"""Kind of row -> its list in the report."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a process is to do. until: when, by time.time(), no more work is begun. work: a folder for what is kept between
    processes. seconds, rounds: for each timed cell.
    """

    tasks: tuple[Task, ...]
    device: str
    quick: bool
    until: float
    work: Path
    seconds: float
    rounds: int

    @property
    def is_over(self) -> bool:
        return self.left <= 0

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.time()

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "work": str(self.work)})

    @classmethod
    def from_json(cls, text: str) -> Plan:
        found: Document = json.loads(text)
        found["tasks"] = tuple(Task(**task) for task in found["tasks"])
        found["work"] = Path(found["work"])
        return cls(**found)


class Rows:
    """A file with a row a line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def tell(self, row: Row) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"row": type(row).__name__, **asdict(row)}, allow_nan=False) + "\n")

    def read(self) -> list[Document]:
        """The rows that are whole."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]  # fmt: skip
