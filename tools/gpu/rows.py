"""What tools/gpu_report.py does and finds out: tasks, the rows that they give, and the file that rows wait in for the report.

The processes that compute write each row at once, so that what ends one of them costs no row that it had written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from gpu.cases import Numbers
from gpu.ways import Family
from resdsl.diagnostics import SpecError

Document: TypeAlias = dict[str, Any]
T = TypeVar("T")


class Part(StrEnum):
    CHECKS = "checks"
    SPEED = "speed"
    TRAINING = "training"


@dataclass(frozen=True, slots=True)
class Task:
    """A network to be worked on by a part of the report, with the ways of a family and a batch size. way: the only one."""

    part: Part
    family: Family
    network: str
    batch: int
    way: str = ""

    @classmethod
    def read(cls, found: Document) -> Task:
        return cls(Part(found["part"]), Family(found["family"]), found["network"], found["batch"], found.get("way", ""))

    def __str__(self) -> str:
        return f"{self.network}: {self.way or self.family}, batch {self.batch}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a process is to do. has_torch: whether PyTorch computes on the device. until: when, by time.time(), no more work is
    begun. work: a folder for what is kept between processes. seconds, rounds: for each timed cell.
    """

    tasks: tuple[Task, ...]
    device: str
    has_torch: bool
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
        found["tasks"] = tuple(Task.read(task) for task in found["tasks"])
        found["work"] = Path(found["work"])
        return cls(**found)


@dataclass(frozen=True, slots=True)
class Check:
    """error: max|y - y64| / max|y64|; None where the output is not finite. tolerance: that of resdsl.verify."""

    network: str
    way: str
    numbers: Numbers
    error: float | None
    tolerance: float
    passed: bool


@dataclass(frozen=True, slots=True)
class Speed:
    """seconds: of a call, the median of the rounds. beside: the way and numbers, of the same process and batch, that it is held
    against, and speed: how many times as fast it is, the median over rounds; None where that did not run. opened_in: seconds to make
    it ready. peak_bytes: of a training step on a GPU, the most that PyTorch had allocated, without what lay there before.
    """

    network: str
    family: Family
    way: str
    numbers: Numbers
    batch: int
    seconds: float
    lower_quartile: float
    upper_quartile: float
    images_per_second: float
    beside: str | None
    speed: float | None
    opened_in: float
    peak_bytes: int | None
    rounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """Steps of training, in a process of their own. module: whose network it is, resdsl's or pytorchcv's. execution: what
    `resdsl train` chose; empty for others. seconds: of a step, the median of the rounds; the device is waited for after about
    0.2 s of them. first_seconds: from nothing to the end of the first step, with all that is compiled and captured for it; what
    an earlier way compiled for the same network is taken, and of another network nothing.
    peak_bytes, reserved_bytes: on a GPU the most that PyTorch had allocated, and had reserved, in the process; the latter counts
    what a CUDA graph holds.
    """

    network: str
    way: str
    module: str
    execution: str
    numbers: Numbers
    batch: int
    seconds: float
    lower_quartile: float
    upper_quartile: float
    images_per_second: float
    first_seconds: float
    peak_bytes: int | None
    reserved_bytes: int | None
    rounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not run, as was to be expected here."""

    part: Part
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """What was run and ended in an error."""

    part: Part
    what: str
    error: str


@dataclass(frozen=True, slots=True)
class Started:
    """No part of the report: if the process ends, it was with the last one started."""

    task: Task


Row: TypeAlias = Check | Speed | Trained | Skipped | Failed | Started
KINDS: dict[type[Row], str] = {
    Check: "checks",
    Speed: "speeds",
    Trained: "trainings",
    Skipped: "skipped",
    Failed: "failed",
    Started: "started",
}
"""What a row is called in the file, and its list in the report."""
ABSENT = ("missing-", "unsupported-option", "unsupported-capability", "old-driver")
"""How the codes of errors begin that say what is not here, and nothing about what is."""
NEEDED = ("lark", "safetensors")
"""Of resdsl's own libraries, those that training steps import; a bare checkout has none of them."""


class Rows:
    """A file with a row a line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def tell(self, row: Row) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"row": KINDS[type(row)], **asdict(row)}, allow_nan=False) + "\n")

    def read(self) -> list[Document]:
        """The rows that are whole."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def attempt(self, work: Callable[[], T], part: Part, what: str) -> T | None:
        """What `work` returns; None where it fails, and a row says why.

        Raises SystemExit after an error of CUDA's: nothing computes in a process after it.
        """
        try:
            return work()
        except SpecError as error:
            is_absent = error.diagnostics[0].code.startswith(ABSENT)
            self.tell((Skipped if is_absent else Failed)(part, what, _described(error)))
        except Exception as error:
            self.tell(Failed(part, what, _described(error)))
            if _is_lasting(error):
                raise SystemExit(f"{what}: CUDA does not go on after an error") from None
        return None


def _described(error: Exception) -> str:
    """In one line."""
    if isinstance(error, SpecError):
        found = error.diagnostics[0]
        return f"{found.message} ({found.help})" if found.help else found.message
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
    if isinstance(error, ModuleNotFoundError) and error.name in NEEDED:
        return f"{said} (training steps need {' and '.join(NEEDED)}: pip install resdsl)"
    return said


def _is_lasting(error: Exception) -> bool:
    """Whether CUDA is of no more use in this process. Running out of memory is no such error."""
    name, text = type(error).__name__, str(error)
    return name != "OutOfMemoryError" and (name == "AcceleratorError" or "CUDA error" in text)
