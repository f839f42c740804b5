"""Running the tasks of tools/gpu_report.py in processes that may end, and keeping what they found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gpu_markdown import markdown
from gpu_rows import LISTS, Document, Failed, Plan, Row, Rows, Skipped, Task

WORKER = [sys.executable, str(Path(__file__).with_name("gpu_worker.py"))]
GRACE = 10
"""Seconds beyond its time after which a process is ended."""
LOOK = 2
"""Seconds between two looks at what a process has written."""


class Report:
    """The report as far as it is known, in its two files."""

    def __init__(self, head: Document, folder: Path, name: str, start: float) -> None:
        """head: what is known before anything runs. start: of all, by time.time()."""
        self.folder, self.name, self.start = folder, name, start
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


@dataclass(frozen=True, slots=True)
class Ended:
    """begun: the tasks that the process began, in order. error: why it ended before it was done."""

    begun: tuple[Task, ...]
    error: str | None = None
    is_stopped: bool = False


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
        ended = _process(replace(plan, tasks=tasks), report)
        what = str(ended.begun[-1]) if ended.begun else f"{family}: all"
        if ended.is_stopped:
            report.add(Skipped(part, what, "stopped: its time was over"))
        elif ended.error is not None:
            report.add(Failed(part, what, ended.error))
        report.write()
        if not ended.begun or (ended.error is None and not ended.is_stopped):
            return
        tasks = tasks[tasks.index(ended.begun[-1]) + 1 :]  # those before it were done, or left out for lack of time


def _process(plan: Plan, report: Report) -> Ended:
    """Runs the plan, and takes its rows into the report as they come."""
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
    if is_stopped or process.returncode == 0:
        return Ended(tuple(begun), is_stopped=is_stopped)
    last = ([*said.read_text(errors="replace").strip().splitlines()] or ["it said nothing"])[-1]
    return Ended(tuple(begun), error=f"the process ended with {process.returncode}: {last[:400]}")


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(LOOK)
    except subprocess.TimeoutExpired:
        return
