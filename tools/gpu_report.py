"""What resdsl's targets compute on a GPU, and how fast, with whatever of PyTorch, ONNX Runtime and TensorRT is there.

    python tools/gpu_report.py [--out FOLDER] [--quick] [--device cuda|cpu] [--budget SECONDS]
    python tools/gpu_report.py --from REPORT.json

It writes GPU-DATE.json and a summary of it, GPU-DATE.md, whole, and again as rows come in, so that what it has found is there if it is
ended. `--from` writes the summary of a report again. It needs resdsl, torch and no network; all else that it misses is named. Parts:

- checks: each way's output against PyTorch's float64 on the GPU, which is itself held against resdsl.network.evaluate; tolerances
  are those of resdsl.verify. The exit status is 1 if one is beyond.
- speed: latency (batch 1) and throughput (8, 64, 256) of preact164, resnet50 and preact1001, in rounds over all ways of a process (see
  resdsl.bench.measure), each call waited for; ratios are to the eager way in the same numbers, in the same rounds.
- training: a step in several types and layouts, and the most memory that it took.
- last, the speed of what torch.compile prepares, in the time that is left.

It takes --budget seconds, 420 by default, and no more than 20 above: parts have shares of it, what a part leaves is for the next ones, and
what no longer fits is skipped and said. Parts run in processes of their own (gpu_worker.py). One that ends is told with its last words,
and another does the rest. `--quick --device cpu` runs all of it on tiny networks in a minute: for tests.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gpu_cases import CASES
from gpu_environment import environment, families, has_provider
from gpu_markdown import markdown
from gpu_processes import Report, run, write_whole
from gpu_rows import Document, Plan, Task
from gpu_ways import WAYS, Family

from resdsl.targets.onnx_provider import Provider

BUDGET = 420
SECONDS, ROUNDS = 0.4, 5
QUICK_SECONDS, QUICK_ROUNDS = 0.01, 2
CHECKED_BATCH = 8
BATCHES, COMPILED_BATCHES, QUICK_BATCH = (1, 64, 8, 256), (1, 64), 2
"""In the order in which they are done. torch.compile prepares each by itself."""


@dataclass(frozen=True, slots=True)
class Stage:
    """part: of the report. until: the share of the budget that is spent by its end. compiles: of speed, which ways."""

    part: str
    until: float
    compiles: bool = False

    def tasks(self, found: Document, device: str, *, quick: bool) -> list[tuple[Task, ...]]:
        """Those of each process."""
        there = [family for family in families(found) if self._has_ways(family, device)]
        if device == "cuda" and self.part == "speed" and not has_provider(found, Provider.CUDA):
            there = [family for family in there if family is not Family.ONNX_RUNTIME]
        return [tuple(self._tasks(family, quick)) for family in there]

    def _has_ways(self, family: Family, device: str) -> bool:
        ways = [way for way in WAYS if way.family is family]
        match self.part:
            case "checks":
                return any(way.checks(device) for way in ways)
            case "speed":
                return family.compiles is self.compiles and any(way.timings(device) for way in ways)
            case _:
                return family is Family.TORCH

    def _tasks(self, family: Family, quick: bool) -> Iterator[Task]:
        """By batch and then by network: where time ends, every network has something."""
        sizes: dict[str, tuple[int, ...]] = {}
        for case in CASES.values():
            if self.part == "checks":
                sizes[case.network] = (CHECKED_BATCH,)
            elif case.is_timed and self.part == "training":
                sizes[case.network] = case.training
            elif case.is_timed:
                sizes[case.network] = COMPILED_BATCHES if family.compiles else BATCHES
        for index in range(max(map(len, sizes.values()))):
            for network, batches in sizes.items():
                if index < len(batches) and not (quick and index):
                    yield Task(self.part, family.value, network, QUICK_BATCH if quick else batches[index])


STAGES = (Stage("checks", 0.40), Stage("speed", 0.60), Stage("training", 0.75), Stage("speed", 1.0, compiles=True))


def main(given: list[str] | None = None) -> int:
    options = arguments().parse_args(given)
    if options.summarise:
        write_whole(options.summarise.with_suffix(".md"), markdown(json.loads(options.summarise.read_text("utf-8"))))
        return 0
    start = time.time()
    found, missing = environment()
    if Family.TORCH not in families(found):
        why = next(each["why"] for each in missing if each["what"] == "torch")
        raise SystemExit(f"every part of the report computes beside PyTorch, which is {why}")
    if options.device == "cuda" and found["gpu"] is None:
        raise SystemExit(
            "PyTorch finds no GPU; `nvidia-smi` shows those there are, and `--device cpu --quick` tries the report"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    date = datetime.now(UTC)
    head: Document = {
        "format": 1,
        "date": date.isoformat(timespec="seconds"),
        "device": options.device,
        "quick": options.quick,
        "budget": options.budget,
        "environment": found,
        "missing": missing,
    }
    report = Report(head, options.out, report_name(found, date, options), start)
    report.write()
    with tempfile.TemporaryDirectory(prefix="gpu_report.") as folder:
        for stage in STAGES:
            run_stage(stage, report, start, Path(folder), options)
    report.document["is_complete"] = True
    report.write()
    print(options.out / f"{report.name}.md")
    return 0 if all(check["passed"] for check in report.document["checks"]) else 1


def run_stage(stage: Stage, report: Report, start: float, work: Path, options: argparse.Namespace) -> None:
    """Every process gets an equal part of the time that those before it left."""
    end = start + stage.until * options.budget
    processes = stage.tasks(report.document["environment"], options.device, quick=options.quick)
    for index, tasks in enumerate(processes):
        until = time.time() + (end - time.time()) / (len(processes) - index)
        timing = (QUICK_SECONDS, QUICK_ROUNDS) if options.quick else (SECONDS, ROUNDS)
        run(Plan(tasks, options.device, options.quick, until, work, *timing), report)


def report_name(found: Document, date: datetime, options: argparse.Namespace) -> str:
    """Of the device and the day."""
    name = found["gpu"]["name"] if options.device == "cuda" else found["cpu"]
    words = [*re.findall(r"[a-z0-9]+", name.lower()), f"{date:%Y-%m-%d}", *(["quick"] if options.quick else [])]
    return "-".join(words)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="What resdsl computes on a GPU, and how fast; see the head of this file."
    )
    parser.add_argument("--out", type=Path, default=Path(), help="the folder for the report; this one by default")
    parser.add_argument("--quick", action="store_true", help="tiny networks and few rounds, to try the report itself")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds that it may take")
    parser.add_argument("--from", dest="summarise", type=Path, metavar="REPORT.json", help="write its summary again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
