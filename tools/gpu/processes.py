"""Running tasks of tools/gpu_report.py in processes that may end, and keeping what they found.

    python -m gpu.processes PLAN.json ROWS.jsonl

is such a process. What goes wrong in a task of it is a row, and the next one is begun; what ends it is told by the one that started it.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gpu.checks import check
from gpu.report import Report
from gpu.rows import KINDS, Failed, Part, Plan, Rows, Skipped, Started, Task
from gpu.speed import time_ways
from gpu.training import train

TOOLS = Path(__file__).resolve().parents[1]
WORKER = [sys.executable, "-m", "gpu.processes"]
PARTS: dict[Part, Callable[[Task, Plan, Rows], None]] = {
    Part.CHECKS: check,
    Part.SPEED: time_ways,
    Part.TRAINING: train,
}
GRACE = 10
"""Seconds beyond its time after which a process is ended."""
LOOK = 2
"""Seconds between two looks at what a process has written."""
NO_TIME = "no time was left"


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
                report.add(Skipped(part, str(task), NO_TIME))
            return
        print(
            f"{part}: {tasks[0] if tasks[0].way else family}, at most {plan.left:.0f} s …", file=sys.stderr, flush=True
        )
        ended = _process(replace(plan, tasks=tasks), report)
        what = str(ended.begun[-1]) if ended.begun else str(tasks[0]) if tasks[0].way else f"{family}: all"
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
    first = plan.tasks[0]
    kept = plan.work / (
        first.network if first.part is Part.TRAINING else "all"
    )  # how long a network's compilation takes is told
    variables = {"TORCHINDUCTOR_CACHE_DIR": str(kept / "inductor"), "TRITON_CACHE_DIR": str(kept / "triton")}
    if plan.device == "cpu":
        variables["OMP_WAIT_POLICY"] = "passive"  # threads that wait busily take the cores from what they wait for
    said = plan.work / "said.txt"
    with said.open("w") as stream:
        process = subprocess.Popen(
            [*WORKER, str(asked), str(rows.path)],
            cwd=TOOLS,
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
                kind = row.pop("row")
                if kind == KINDS[Started]:
                    begun.append(Task.read(row["task"]))
                else:
                    report.document[kind].append(row)
            if len(found) > taken:
                report.write()
            taken = len(found)
            if is_done:
                break
            if plan.left < -GRACE and not is_stopped:
                is_stopped = True
                os.killpg(process.pid, signal.SIGKILL)  # with the compilers that it started
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK)
    except BaseException:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise
    if is_stopped or process.returncode == 0:
        return Ended(tuple(begun), is_stopped=is_stopped)
    last = (said.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
    return Ended(tuple(begun), error=f"the process ended with {process.returncode}: {last[:400]}")


def work(plan: Plan, rows: Rows) -> None:
    """In the process. A task is begun if there is as much time as the last one of its network took."""
    took: dict[str, float] = {}
    for task in plan.tasks:
        if plan.left <= took.get(task.network, 0):
            rows.tell(Skipped(task.part, str(task), NO_TIME))
            continue
        start = time.perf_counter()
        rows.tell(Started(task))
        rows.attempt(lambda task=task: PARTS[task.part](task, plan, rows), task.part, str(task))
        gc.collect()
        if plan.has_torch:
            import torch

            torch.cuda.empty_cache()  # what tasks hold of the GPU does not add up
        took[task.network] = time.perf_counter() - start


def main() -> None:
    plan, rows = Plan.from_json(Path(sys.argv[1]).read_text(encoding="utf-8")), Rows(Path(sys.argv[2]))
    warnings.simplefilter("ignore")
    if plan.has_torch:
        import torch

        # What is timed may choose its kernels by trying them; some of those round more coarsely than what checks allow for.
        torch.backends.cudnn.benchmark = plan.tasks[0].part is not Part.CHECKS
    work(plan, rows)


if __name__ == "__main__":
    main()
