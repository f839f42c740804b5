"""How soon a training run makes its first step, and how long a later one takes, on a CPU.

    python tools/bench_train.py [--depths 11,18,111] [--ways units,none,eager,whole] [--backends aot_eager,inductor] [--repeat N]
                                [--limit S] [--batch N] [--image 3x32x32] [--json FILE] [--table FILE]

Each row is preact164 of std/resnet164 with n units a stage (11: 101 layers, 18: 164, 111: 1001; six distinct units each), trained with the recipe
`cifar` on random images, in a process of its own, on one thread, with empty caches of Inductor and Triton:

- `units`: resdsl's trainer, each distinct unit compiled once; `none`: the same without compiling;
- `eager`: a plain loop over the same generated module, with PyTorch alone; `whole`: the same with torch.compile of the whole module.

First step: from weights in memory to the end of one update, that is making the module, torch.compile's own import, compiling, forward, backward,
SGD. Later steps: median of 5 after that. The batch is small, so that computing is not what is measured. Medians over --repeat processes (3), in turn; a
way that took over two minutes is run once, and one that is not through after 15 minutes (--limit) is stopped: the report says so, and more layers are
not tried. Backend aot_eager traces and differentiates, and generates no code: what torch.compile costs with any backend. Inductor is run at 164
layers alone. --table prints the tables of a report that was written before. The published figures are `--json benchmarks/train.json`, on an
otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from resdsl.bench.machine import machine

WAYS = ("units", "none", "eager", "whole")
COMPILED = ("units", "whole")
BACKENDS = ("aot_eager", "inductor")
DEPTHS = (11, 18, 111)
INDUCTOR_DEPTH = 18
LIMIT = 15 * 60
SLOW = 120.0
"""Seconds of a process above which it is not repeated."""
STEPS = 5
LIBRARIES = ("resdsl", "torch", "numpy")

Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A row. n: units a stage. backend: of torch.compile; "" where nothing is compiled."""

    way: str
    n: int
    backend: str
    batch: int
    image: str

    @property
    def layers(self) -> int:
        return 9 * self.n + 2


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--depths", type=_numbers, default=DEPTHS)
    options.add_argument("--ways", type=_words, default=WAYS)
    options.add_argument("--backends", type=_words, default=BACKENDS)
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--limit", type=float, default=LIMIT)
    options.add_argument("--batch", type=int, default=2)
    options.add_argument("--image", default="3x32x32")
    options.add_argument("--json", type=Path)
    options.add_argument("--table", type=Path)
    options.add_argument("--worker", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.worker:
        print("\n" + json.dumps(worked(Case(**json.loads(given.worker)))))
        return
    report = json.loads(given.table.read_text()) if given.table else measured(given)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))


# Measuring


def measured(plan: argparse.Namespace) -> Document:
    """The whole report."""
    rounds: dict[Case, list[Document]] = {case: [] for case in cases(plan)}
    for _ in range(plan.repeat):
        for case, done in rounds.items():
            if is_worth_it(case, rounds):
                done.append(run(case, plan.limit))
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": asdict(machine()),
        "versions": {name: metadata.version(name) for name in LIBRARIES},
        "load": os.getloadavg(),
        "repeat": plan.repeat,
        "limit": plan.limit,
        "rows": [row(case, done) for case, done in rounds.items() if done],
    }


def cases(plan: argparse.Namespace) -> list[Case]:
    """Cheap ones first."""
    return [
        Case(way, n, backend, plan.batch, plan.image)
        for n in sorted(plan.depths)
        for way in plan.ways
        for backend in (plan.backends if way in COMPILED else ("",))
        if backend != "inductor" or n == INDUCTOR_DEPTH
    ]


def is_worth_it(case: Case, rounds: dict[Case, list[Document]]) -> bool:
    """Not after a process that took long, or after one with fewer layers was stopped."""
    if any(each["wall"] > SLOW for each in rounds[case]):
        return False
    smaller = [
        done
        for other, done in rounds.items()
        if (other.way, other.backend) == (case.way, case.backend) and other.n < case.n
    ]
    return not any("stopped" in each for done in smaller for each in done)


def run(case: Case, limit: float) -> Document:
    """What the process of a case measured, or why there is nothing: `stopped`, `failed`. wall: seconds of the process."""
    print(f"{case.layers} layers, {case.way} {case.backend} …", file=sys.stderr, flush=True)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, __file__, "--worker", json.dumps(asdict(case))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(Path(folder)),
            start_new_session=True,
        )
        try:
            written, said = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            found: Document = {"stopped": limit}
        except BaseException:
            _end(process)
            raise
        else:
            last = (said.strip().splitlines() or [str(process.returncode)])[-1]
            found = json.loads(written.splitlines()[-1]) if process.returncode == 0 else {"failed": last}
        _end(process)
    return found | {"wall": time.perf_counter() - start}


def environment(folder: Path) -> dict[str, str]:
    """With empty caches, on one thread."""
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"), "TRITON_CACHE_DIR": str(folder / "triton")}
    return {**os.environ, **caches, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def row(case: Case, rounds: list[Document]) -> Document:
    """Times in seconds, memory in bytes."""
    ended = [each for each in rounds if "first" in each]
    found: Document = {"layers": case.layers, **asdict(case), "rounds": rounds}
    if ended:
        found |= {name: median(each[name] for each in ended) for name in ("first", "later", "peak")}
        found["graphs"] = ended[0]["graphs"]
    else:
        found |= {name: rounds[0][name] for name in ("stopped", "failed") if name in rounds[0]}
    return found


def _end(process: subprocess.Popen[str]) -> None:
    """With the compilers that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.communicate()


# In a process of its own


def worked(case: Case) -> Document:
    """Times of a case, the graphs that were compiled, and the process's peak memory."""
    import resource

    import torch

    from resdsl.network.initial import initial_weights
    from resdsl.spec import build

    torch.set_num_threads(1)
    network = build("std/resnet164", "preact164", {"n": case.n, "image": case.image})
    weights = initial_weights(network)
    draw = torch.Generator().manual_seed(0)
    shape = tuple(map(int, case.image.split("x")))
    inputs = torch.randn(case.batch, *shape, generator=draw)
    labels = torch.randint(10, (case.batch,), generator=draw)
    start = time.perf_counter()
    step = (ours if case.way in ("units", "none") else plain)(case, network, weights)
    step(inputs, labels)
    first = time.perf_counter() - start
    later: list[float] = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step(inputs, labels)
        later.append(time.perf_counter() - start)
    return {
        "first": first,
        "later": median(later),
        "graphs": torch._dynamo.utils.counters["stats"]["unique_graphs"] if case.backend else 0,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def ours(case: Case, network: Any, weights: Any) -> Callable[..., None]:
    import torch

    from resdsl.train.compute.execution import Compile, Execution, in_force
    from resdsl.train.compute.model import training_module
    from resdsl.train.compute.step import Step
    from resdsl.train.recipe import CIFAR

    device = torch.device("cpu")
    execution = Execution(compile=Compile(case.way), backend=case.backend or "inductor")
    in_force(execution, device).__enter__()  # to the end of the process
    step = Step(training_module(network, weights, execution, device), CIFAR, execution)
    step.rate.fill_(0.1)
    return step.update


def plain(case: Case, network: Any, weights: Any) -> Callable[..., None]:
    import torch
    from torch.nn import functional as F

    from resdsl.targets.torch_module import torch_module

    module = torch_module(network, weights)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, fused=True)
    forward = torch.compile(module, backend=case.backend, dynamic=False) if case.way == "whole" else module

    def step(inputs: torch.Tensor, labels: torch.Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(forward(inputs), labels).backward()
        optimiser.step()

    return step


# Tables


def table(report: Document) -> str:
    """As in docs/benchmarks.md."""
    rows: list[Document] = report["rows"]
    lines = [
        "| layers | way | backend | first step | times `units` | a later step | times `eager` | graphs | peak memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in rows:
        head = f"| {each['layers']:,} | `{each['way']}` | {each['backend'] or '–'} |"
        if "first" not in each:
            ended = (
                f"stopped after {each['stopped'] / 60:,.0f} minutes"
                if "stopped" in each
                else f"failed: {each['failed']}"
            )
            fellow = _like(rows, each, "units") if "stopped" in each else None
            over = f" over {each['stopped'] / fellow['first']:,.0f}" if fellow else ""
            lines.append(f"{head} {ended} |{over} | | | | |")
            continue
        lines.append(
            f"{head} {each['first']:,.1f} s | {_ratio(each, _like(rows, each, 'units'), 'first')} | {each['later'] * 1e3:,.0f} ms | "
            f"{_ratio(each, _like(rows, each, 'eager'), 'later')} | {each['graphs'] or '–'} | {each['peak'] / 1e6:,.0f} MB |"
        )
    return "\n".join([*lines, "", *growth(rows)]).rstrip()


def growth(rows: list[Document]) -> list[str]:
    """First steps with the most and with the fewest layers, of ways that were measured at both."""
    lines = ["| way | backend | layers | first step | layers | first step | ratio |", "|---|---|---|---|---|---|---|"]
    for way in WAYS:
        found = [each for each in rows if each["way"] == way and each["backend"] != "inductor" and "first" in each]
        if len(found) > 1:
            few, many = found[0], found[-1]
            cells = " | ".join(f"{each['layers']:,} | {each['first']:,.1f} s" for each in (few, many))
            lines.append(f"| `{way}` | {few['backend'] or '–'} | {cells} | {many['first'] / few['first']:.1f} |")
    return lines if len(lines) > 2 else []


def _like(rows: list[Document], row: Document, way: str) -> Document | None:
    """The row of another way with as many layers; what is compiled, with the same backend."""
    for each in rows:
        backend = each["backend"] in ("", row["backend"] or "aot_eager")
        if each["way"] == way and each["layers"] == row["layers"] and backend and "first" in each:
            return each
    return None


def _ratio(row: Document, other: Document | None, name: str) -> str:
    return f"{row[name] / other[name]:.2f}" if other else ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


if __name__ == "__main__":
    main()
