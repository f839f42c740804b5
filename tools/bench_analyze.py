"""How long `resdsl.analysis.signal` takes, and how much memory.

    python tools/bench_analyze.py [--networks preact1001,resnet110] [--samples 8] [--repeat 1] [--threads 2] [--json FILE]
    python tools/bench_analyze.py --table FILE

Each row is a network of the paper measured in a process of its own, from its name to the result: initial weights, one forward pass, one backward
pass that computes each unit again, in float32 with and without path lengths, and in float64 with them. Time is the call's, without PyTorch's
import; memory is the most that the process held (getrusage), PyTorch included. With --repeat the median of several processes. The goal
is preact1001 under 3 minutes and 6 GB on two cores. --table prints the table of a report that was written before. The published figures are
`--json benchmarks/analyze.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from resdsl.bench.machine import machine

SPECS = {"preact1001": "std/preact1001", "resnet1001": "std/resnet164", "resnet110": "std/resnet110"}
NETWORKS = ("resnet110", "preact1001")
WAYS = (("fp32", True), ("fp32", False), ("fp64", True))
"""Precision, and whether path lengths are measured."""
LIBRARIES = ("resdsl", "torch", "numpy")

Document: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A row."""

    network: str
    precision: str
    lengths: bool
    samples: int
    threads: int


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--networks", type=lambda text: tuple(text.split(",")), default=NETWORKS)
    options.add_argument("--samples", type=int, default=8)
    options.add_argument("--repeat", type=int, default=1)
    options.add_argument("--threads", type=int, default=os.cpu_count())
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


def measured(plan: argparse.Namespace) -> Document:
    """The whole report. Times in seconds, memory in bytes."""
    cases = [
        Case(network, precision, lengths, plan.samples, plan.threads)
        for network in plan.networks
        for precision, lengths in WAYS
    ]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": asdict(machine()),
        "versions": {name: metadata.version(name) for name in LIBRARIES},
        "load": os.getloadavg(),
        "repeat": plan.repeat,
        "rows": [row(case, [run(case) for _ in range(plan.repeat)]) for case in cases],
    }


def run(case: Case) -> Document:
    """What the process of a case measured."""
    print(f"{case.network}, {case.precision}{', path lengths' if case.lengths else ''} …", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--worker", json.dumps(asdict(case))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(case.threads)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def row(case: Case, rounds: list[Document]) -> Document:
    first = rounds[0]
    return {
        **asdict(case),
        **{name: median(each[name] for each in rounds) for name in ("seconds", "peak")},
        **{name: first[name] for name in ("units", "log10_gradient", "mean_length")},
        "rounds": rounds,
    }


def worked(case: Case) -> Document:
    """In a process of its own."""
    import resource

    import torch

    from resdsl.analysis import signal

    torch.set_num_threads(case.threads)
    start = time.perf_counter()
    found = signal(
        SPECS[case.network], case.network, samples=case.samples, precision=case.precision, lengths=case.lengths
    )
    return {
        "seconds": time.perf_counter() - start,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "units": len(found.units),
        "log10_gradient": float(found.log10_gradient[0]),
        "mean_length": found.lengths.mean if found.lengths else None,
    }


def table(report: Document) -> str:
    """As in docs/benchmarks.md."""
    lines = ["| network | units | precision | path lengths | time | peak memory |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {each['network']} | {each['units']} | {each['precision']} | {'yes' if each['lengths'] else 'no'} | "
        f"{each['seconds']:,.1f} s | {each['peak'] / 1e6:,.0f} MB |"
        for each in report["rows"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
