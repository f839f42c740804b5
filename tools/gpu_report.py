"""What resdsl's targets compute on a GPU, and how fast, with whatever of PyTorch, ONNX Runtime and TensorRT is there.

    python tools/gpu_report.py [--out FOLDER] [--quick] [--device cuda|cpu] [--budget SECONDS] [--parts training,checks,speed]
    python tools/gpu_report.py --from REPORT.json

It writes GPU-DATE.json and a summary of it, GPU-DATE.md, whole, and again as rows come in, so that what it has found is there if it is
ended. `--from` writes the summary of a report again. It needs resdsl, no network, and PyTorch or ONNX Runtime; all that it misses is named. Of resdsl's own libraries, specs are
read with lark, and steps of `resdsl train` import safetensors: `pip install resdsl` brings both, a bare checkout has neither.
Parts:

- training: steps of preact110, preact164 and preact1001 at batch 128, those of `resdsl train` beside plain loops in PyTorch on pytorchcv's
  networks, eager and with torch.compile on the whole; how long the first step takes, and the most memory. It comes first.
- checks: each way's output against resdsl.network.evaluate in float64; tolerances are those of resdsl.verify. The exit status is 1 if one
  is beyond.
- speed: latency (batch 1) and throughput (8, 64, 256) of preact164, resnet50 and preact1001, in rounds over all ways of a process (see
  resdsl.bench.measure), each call waited for; ratios are to PyTorch's eager way in the same numbers, in the same rounds. Then training steps in
  several types and layouts, and the most memory that they took; and last what torch.compile prepares, in the time that is left.

It takes --budget seconds, 480 by default, and no more than 20 above: stages have shares of it, what a stage leaves is for the next ones, and
what no longer fits is skipped and said. `--parts` leaves the others' shares to those that it names. The work is done in processes (gpu/processes.py). One that ends is told with its last words,
and another does the rest. `--quick --device cpu` runs all of it on tiny networks in a minute: for tests.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

from gpu.cases import CASES
from gpu.environment import environment, families, has_torch, missing
from gpu.processes import run
from gpu.report import Report, markdown, write_whole
from gpu.rows import Document, Part, Plan, Task
from gpu.training import tasks as training_tasks
from gpu.ways import WAYS, Family

BUDGET = 480
SECONDS, ROUNDS = 0.4, 5
QUICK_SECONDS, QUICK_ROUNDS = 0.01, 2
CHECKED_BATCH = 8
BATCHES, COMPILED_BATCHES, QUICK_BATCH = (1, 64, 8, 256), (1, 64), 2
"""In the order in which they are done. torch.compile prepares each by itself."""
KEPT = 6.0
"""Seconds that a process of a training stage leaves to each one behind it: some of them compile for a minute, others need little."""


@dataclass(frozen=True, slots=True)
class Stage:
    """share: of the budget, beside those of the others."""

    part: Part
    families: tuple[Family, ...]
    share: float

    def tasks(self, found: Document, device: str, *, quick: bool) -> list[tuple[Task, ...]]:
        """Those of each process."""
        there = [each for each in families(found, device) if each in self.families]
        if self.part is Part.TRAINING:
            return [(task,) for task in training_tasks(tuple(there), device, QUICK_BATCH if quick else None)]
        there = [each for each in there if self._has_ways(each, device)]
        return [tuple(self._tasks(family, quick)) for family in there]

    def _has_ways(self, family: Family, device: str) -> bool:
        ways = [way for way in WAYS if way.family is family]
        return any(way.checks(device) if self.part is Part.CHECKS else way.timings(device) for way in ways)

    def _tasks(self, family: Family, quick: bool) -> Iterator[Task]:
        """By batch and then by network: where time ends, every network has something."""
        sizes: dict[str, tuple[int, ...]] = {}
        for case in CASES.values():
            if self.part is Part.CHECKS:
                sizes[case.network] = (CHECKED_BATCH,)
            elif case.is_timed and family is Family.TRAINING:
                sizes[case.network] = case.training
            elif case.is_timed:
                sizes[case.network] = COMPILED_BATCHES if family in COMPILED else BATCHES
        for index in range(max(map(len, sizes.values()))):
            for network, batches in sizes.items():
                if index < len(batches) and not (quick and index):
                    yield Task(self.part, family, network, QUICK_BATCH if quick else batches[index])


COMPILED = (Family.UNITS, Family.WHOLE)
STEPS = (Family.STEP_OURS, Family.STEP_EAGER, Family.STEP_WHOLE)
RUN = tuple(each for each in Family if each not in (*COMPILED, *STEPS, Family.TRAINING))
STAGES = (
    Stage(Part.TRAINING, (Family.STEP_OURS, Family.STEP_EAGER), 0.50),
    Stage(Part.TRAINING, (Family.STEP_WHOLE,), 0.20),
    Stage(Part.CHECKS, tuple(Family), 0.12),
    Stage(Part.SPEED, RUN, 0.06),
    Stage(Part.SPEED, (Family.TRAINING,), 0.045),
    Stage(Part.SPEED, COMPILED, 0.075),
)


def main(given: list[str] | None = None) -> int:
    options = arguments().parse_args(given)
    if options.summarise:
        write_whole(options.summarise.with_suffix(".md"), markdown(json.loads(options.summarise.read_text("utf-8"))))
        return 0
    start = time.time()
    found = environment()
    absent = missing(found, options.device)
    require(found, absent, options.device)
    options.out.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC)
    head: Document = {
        "format": 1,
        "date": date.isoformat(timespec="seconds"),
        "device": options.device,
        "quick": options.quick,
        "parts": [str(part) for part in options.parts],
        "budget": options.budget,
        "environment": found,
        "missing": absent,
    }
    report = Report(head, options.out, report_name(found, date, options), start)
    report.write()
    with tempfile.TemporaryDirectory(prefix="gpu_report.") as folder:
        for stage, end in ends([each for each in STAGES if each.part in options.parts]):
            run_stage(stage, report, start + end * options.budget, Path(folder), options)
    report.document["is_complete"] = True
    report.write()
    print(options.out / f"{report.name}.md")
    return 0 if all(check["passed"] for check in report.document["checks"]) else 1


def require(found: Document, absent: list[Document], device: str) -> None:
    """Raises SystemExit if nothing could be timed on the device."""
    if device == "cuda" and found["gpu"] is None:
        raise SystemExit(
            "no GPU is found; `nvidia-smi` shows those there are, and `--device cpu --quick` tries the report"
        )
    if not any(stage.tasks(found, device, quick=True) for stage in STAGES if stage.part is Part.SPEED):
        listed = "".join(f"\n- {each['what']}: {each['why']}" for each in absent)
        raise SystemExit(f"neither PyTorch nor ONNX Runtime computes on {device} here{listed}")


def ends(stages: Sequence[Stage]) -> list[tuple[Stage, float]]:
    """Each with the part of the budget that is spent by its end."""
    total = sum(stage.share for stage in stages)
    return list(zip(stages, accumulate(stage.share / total for stage in stages), strict=True))


def run_stage(stage: Stage, report: Report, end: float, work: Path, options: argparse.Namespace) -> None:
    """Every process gets an equal part of the time that those before it left; in a training stage, what others do not need."""
    found = report.document["environment"]
    torch, processes = has_torch(found, options.device), stage.tasks(found, options.device, quick=options.quick)
    for index, tasks in enumerate(processes):
        left, waiting = end - time.time(), len(processes) - index
        part = left / waiting
        if stage.part is Part.TRAINING:
            part = max(part, left - KEPT * (waiting - 1))
        until = time.time() + part
        timing = (QUICK_SECONDS, QUICK_ROUNDS) if options.quick else (SECONDS, ROUNDS)
        run(Plan(tasks, options.device, torch, options.quick, until, work, *timing), report)


def report_name(found: Document, date: datetime, options: argparse.Namespace) -> str:
    """Of the device, the day, and the parts if they are not all."""
    name = found["gpu"]["name"] if options.device == "cuda" else found["cpu"]
    parts = [] if set(options.parts) == set(Part) else options.parts
    words = [
        *re.findall(r"[a-z0-9]+", name.lower()), f"{date:%Y-%m-%d}", *parts, *(["quick"] if options.quick else [])
    ]  # fmt: skip
    return "-".join(words)


def parts_named(text: str) -> tuple[Part, ...]:
    return tuple(Part(name) for name in dict.fromkeys(text.split(",")))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="What resdsl computes on a GPU, and how fast; see the head of this file."
    )
    parser.add_argument("--out", type=Path, default=Path(), help="the folder for the report; this one by default")
    parser.add_argument("--quick", action="store_true", help="tiny networks and few rounds, to try the report itself")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds that it may take")
    parser.add_argument(
        "--parts", type=parts_named, default=tuple(Part), help="some of training,checks,speed; all by default"
    )
    parser.add_argument("--from", dest="summarise", type=Path, metavar="REPORT.json", help="write its summary again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
