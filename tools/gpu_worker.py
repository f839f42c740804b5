"""A process of tools/gpu_report.py: does the tasks of a plan one after another, and writes a row for all that it finds.

    python tools/gpu_worker.py PLAN.json ROWS.jsonl

What goes wrong in a task is a row, and the next one is begun; what ends the process is told by the one that started it.
"""

from __future__ import annotations

import gc
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from gpu_checks import PART, check
from gpu_open import described, is_lasting
from gpu_rows import Failed, Plan, Rows, Skipped, Started, Task
from gpu_speed import time_ways
from gpu_training import time_steps

PARTS: dict[str, Callable[[Task, Plan, Rows], None]] = {PART: check, "speed": time_ways, "training": time_steps}


def work(plan: Plan, rows: Rows) -> None:
    """A task is begun if there is as much time as the last one of its network took."""
    took: dict[str, float] = {}
    for task in plan.tasks:
        if plan.left <= took.get(task.network, 0):
            rows.tell(Skipped(task.part, str(task), "no time was left"))
            continue
        start = time.perf_counter()
        rows.tell(Started(task))
        try:
            PARTS[task.part](task, plan, rows)
        except Exception as error:
            rows.tell(Failed(task.part, str(task), described(error)))
            if is_lasting(error):
                raise SystemExit(f"{task}: CUDA does not go on after an error") from None
        release()
        took[task.network] = time.perf_counter() - start


def release() -> None:
    """Gives the GPU's memory back, that of tasks does not add up."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def main() -> None:
    plan, rows = Plan.from_json(Path(sys.argv[1]).read_text(encoding="utf-8")), Rows(Path(sys.argv[2]))
    warnings.simplefilter("ignore")
    # What is timed may choose its kernels by trying them; some of those round more coarsely than what checks allow for.
    torch.backends.cudnn.benchmark = plan.tasks[0].part != PART
    work(plan, rows)


if __name__ == "__main__":
    main()
