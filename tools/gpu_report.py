"""What resdsl's targets compute on a GPU, and how fast, with whatever of PyTorch, ONNX Runtime and TensorRT is there.

    python tools/gpu_report.py [--out FOLDER] [--quick] [--device cuda|cpu] [--budget SECONDS]
    python tools/gpu_report.py --from REPORT.json

It writes GPU-DATE.json and a summary of it, GPU-DATE.md, whole, and again after every process, so that what it has found is there if it
is ended. `--from` writes the summary of a report again. It needs resdsl, torch and no network; all else that it misses is named. Parts:

- checks: each way's output against PyTorch's float64 on the GPU, which is itself held against resdsl.network.evaluate; tolerances
  are those of resdsl.verify. The exit status is 1 if one is beyond.
- speed: latency (batch 1) and throughput (8, 64, 256) of preact164, resnet50 and preact1001, in rounds over all ways of a process (see
  resdsl.bench.measure), each call waited for; ratios are to the eager way in the same numbers, in the same rounds.
- training: a step in several types and layouts, and the most memory that it took.
- compile: the ways that torch.compile prepares, with what time is left.

It takes --budget seconds, 420 by default, and no more than 20 above: parts have shares of it, what a part leaves is for the next ones, and
what no longer fits is skipped and said. Parts run in processes of their own (gpu_worker.py). One that ends is told with its last words,
and another does the rest. `--quick --device cpu` runs all of it on tiny networks in a minute: for tests.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gpu_cases import CASES
from gpu_environment import environment, families, has_provider
from gpu_markdown import markdown
from gpu_rows import LISTS, Document, Failed, Plan, Row, Rows, Skipped, Task
from gpu_ways import WAYS, Family

from resdsl.targets.onnx_provider import Provider

WORKER = [sys.executable, str(Path(__file__).with_name("gpu_worker.py"))]
BUDGET = 420
GRACE = 10
"""Seconds beyond its time after which a process is ended."""
LOOK = 2
"""Seconds between two looks at what a process has written."""
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


class Report:
    """The report as far as it is known, in its two files."""

    def __init__(self, head: Document, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.start = time.time()
        self.document: Document = {**head, "seconds": 0.0, "is_complete": False} | {each: [] for each in LISTS.values()}

    def add(self, row: Row) -> None:
        self.document[LISTS[type(row).__name__]].append(asdict(row))

    def add_document(self, row: Document) -> None:
        kind = row.pop("row")
        if kind in LISTS:
            self.document[LISTS[kind]].append(row)

    def write(self) -> None:
        self.document["seconds"] = time.time() - self.start
        write_whole(self.folder / f"{self.name}.json", json.dumps(self.document, indent=1, allow_nan=False) + "\n")
        write_whole(self.folder / f"{self.name}.md", markdown(self.document))


def write_whole(path: Path, text: str) -> None:
    """Replaces the file, whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def run(plan: Plan, report: Report) -> None:
    """Does the plan's tasks. Where the process ends before they are done, the one at work is told, and another process does the rest."""
    tasks = plan.tasks
    while tasks:
        part, family = tasks[0].part, tasks[0].family
        if plan.is_over:
            for task in tasks:
                report.add(Skipped(part, str(task), "no time was left"))
            return
        print(f"{part}: {family}, {plan.left:.0f} s …", file=sys.stderr, flush=True)
        begun, why = _process(replace(plan, tasks=tasks), report)
        report.write()
        if why is None:
            return
        report.add(Failed(part, str(begun[-1]) if begun else f"{family}: all", why))
        tasks = tasks[len(begun) :] if begun else ()


def _process(plan: Plan, report: Report) -> tuple[list[Task], str | None]:
    """The tasks that it began, and why it ended before it was done."""
    rows, asked = Rows(plan.work / "rows.jsonl"), plan.work / "plan.json"
    rows.path.unlink(missing_ok=True)
    asked.write_text(plan.to_json(), encoding="utf-8")
    variables = {"TORCHINDUCTOR_CACHE_DIR": str(plan.work / "inductor"), "TRITON_CACHE_DIR": str(plan.work / "triton")}
    if plan.device == "cpu":
        variables["OMP_WAIT_POLICY"] = "passive"  # threads that wait busily take the cores from what they wait for
    said = plan.work / "said.txt"
    with said.open("w") as stream:
        process = subprocess.Popen(
            [*WORKER, str(asked), str(rows.path)],
            stdout=stream,
            stderr=stream,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    taken, begun, is_stopped = 0, list[Task](), False
    try:
        while True:
            is_done = process.poll() is not None
            found = rows.read()
            for row in found[taken:]:
                if row["row"] == "Started":
                    begun.append(Task(**row["task"]))
                report.add_document(row)
            if len(found) > taken:
                report.write()
            taken = len(found)
            if is_done:
                break
            if plan.left < -GRACE and not is_stopped:
                is_stopped = True
                os.killpg(process.pid, signal.SIGKILL)  # with the compilers that it started
            _wait(process)
    except BaseException:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise
    if is_stopped:
        return begun, "stopped: its time was over"
    if process.returncode == 0:
        return begun, None
    last = ([*said.read_text(errors="replace").strip().splitlines()] or ["it said nothing"])[-1]
    return begun, f"the process ended with {process.returncode}: {last[:400]}"


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(LOOK)
    except subprocess.TimeoutExpired:
        return


def main(given: list[str] | None = None) -> int:
    options = arguments().parse_args(given)
    if options.summarise:
        write_whole(options.summarise.with_suffix(".md"), markdown(json.loads(options.summarise.read_text("utf-8"))))
        return 0
    start = time.time()
    found, missing = environment()
    if not families(found) or Family.TORCH not in families(found):
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
    report = Report(head, options.out, report_name(found, date, options))
    report.start = start
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
