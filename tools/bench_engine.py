"""How long engines take to build with TensorRT for RTX, on a machine without a GPU: the command as a whole, and its parts.

    python tools/bench_engine.py [--repeat N] [--json FILE] [--table FILE]

Each row is `resdsl compile --target trt --no-verify` of a network with random-calibrated weights, in a process of its own: wall time and peak
memory; the same command with `--target onnx` beside it, in turn, which is what the front end, the weights, the passes and the graph take. The
engine's size, and the layers that the parser made. Medians over --repeat rounds (3). --table prints the tables of a report that was written before.
The published figures are `--json benchmarks/engine.json`, on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from resdsl.bench.machine import machine

CASES = [
    ("std/resnet164", "preact164", "fp32", 2),
    ("std/resnet164", "preact164", "fp16", 2),
    ("std/resnet164", "preact164", "fp16", 0),
    ("std/resnet164", "preact164", "int8", 2),
    ("std/resnet164", "preact1001", "fp32", 2),
    ("std/resnet164", "preact1001", "fp16", 2),
    ("std/resnet164", "preact1001", "fp16", 0),
    ("std/resnet164", "preact1001", "int8", 2),
    ("std/imagenet", "resnet50", "fp32", 2),
    ("std/imagenet", "resnet50", "fp16", 2),
]
CALIBRATION = 8
"""Samples that int8 measures ranges on."""
LIBRARIES = ("resdsl", "tensorrt_rtx", "onnx", "numpy")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--json", type=Path)
    options.add_argument("--table", type=Path)
    given = options.parse_args()
    report = json.loads(given.table.read_text()) if given.table else measured(given.repeat)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))


def measured(repeat: int) -> dict[str, Any]:
    """The whole report."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(Path(folder), *case, repeat) for case in CASES]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": asdict(machine()),
        "versions": {name: metadata.version(name) for name in LIBRARIES},
        "load": os.getloadavg(),
        "repeat": repeat,
        "rows": rows,
    }


def row(folder: Path, spec: str, network: str, precision: str, level: int, repeat: int) -> dict[str, Any]:
    """One case; times in seconds, memory and sizes in bytes."""
    print(f"{network} {precision} -O{level} …", file=sys.stderr, flush=True)
    base = [
        spec,
        "--network",
        network,
        "--precision",
        precision,
        f"-O{level}",
        "--no-verify",
        "--weights",
        "random-calibrated",
    ]
    if precision == "int8":
        base += ["--calibration", str(samples(folder, network))]
    rounds = [
        {
            "trt": timed([*base, "-t", "trt", "--builder", "rtx", "-o", str(folder / "m.engine")]),
            "onnx": timed([*base, "-t", "onnx", "-o", str(folder / "m.onnx")]),
        }
        for _ in range(repeat)
    ]
    sidecar = json.loads((folder / "m.engine.json").read_text())
    return {
        "network": network,
        "precision": precision,
        "level": level,
        "seconds": median(each["trt"][0] for each in rounds),
        "onnx_seconds": median(each["onnx"][0] for each in rounds),
        "ratio": median(each["trt"][0] / each["onnx"][0] for each in rounds),
        "peak": median(each["trt"][1] for each in rounds),
        "engine": sidecar["size"],
        "onnx": (folder / "m.onnx").stat().st_size,
        "rounds": rounds,
    }


def samples(folder: Path, network: str) -> Path:
    import numpy as np

    path = folder / f"{network}.npy"
    np.save(path, np.random.default_rng(0).standard_normal((CALIBRATION, 3, 32, 32), np.float32))
    return path


def timed(arguments: list[str]) -> tuple[float, int]:
    """Wall time in seconds and peak memory in bytes of a command."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "resdsl", "compile", *arguments], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"resdsl compile {' '.join(arguments)} failed")
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def table(report: dict[str, Any]) -> str:
    """As in docs/benchmarks.md."""
    lines = [
        "| network | precision | passes | wall time | less `--target onnx` | times `--target onnx` | peak memory | engine | ONNX |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in report["rows"]:
        builder = median(round["trt"][0] - round["onnx"][0] for round in each["rounds"])
        sizes = " | ".join(f"{each[name] / 1e6:,.1f} MB" for name in ("engine", "onnx"))
        lines.append(
            f"| {each['network']} | {each['precision']} | `-O{each['level']}` | {each['seconds']:.1f} s | {builder:.1f} s | {each['ratio']:.1f} | "
            f"{each['peak'] / 1e6:,.0f} MB | {sizes} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
