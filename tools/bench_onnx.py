"""How fast the ONNX target's models are, and how many nodes they have, beside other ways to the same network.

    python tools/bench_onnx.py [--networks preact164,…] [--ways resdsl,…] [--batches 1,8,64] [--threads 1,2] [--quick]
                               [--rounds N] [--seconds S] [--limit S] [--work FOLDER] [--json FILE] [--table FILE]

Networks: preact164, preact1001, wrn_16_4 on 32x32 images, resnet50 on 224x224, each with the parameters and the weights of
pytorchcv's model of it, so that all ways compute the same; how far each is from float64, max|y - y64| / max|y64|, is in the report. Ways (in
tools/onnx_ways.py):

- `resdsl`: the ONNX target, with its defaults; `resdsl_O0` without passes; `resdsl_int8` and `resdsl_O0_int8` in int8;
- `export`, `legacy`: torch.onnx.export of resdsl.load's module, dynamo=True and dynamo=False;
- `export_onnxslim`, `export_onnxsim`, `legacy_…`: these after onnxslim and onnxsim (`pip install onnxslim onnxsim`);
- `pytorchcv_export`, `pytorchcv_legacy`: pytorchcv's own module, exported likewise;
- `eager`, `compile`, and both with `_channels_last`: resdsl.load's module in PyTorch, torch.compile with static shapes.

Each way is prepared in a process of its own, which is stopped after 15 minutes (--limit): the report says so, and the way is not
measured. torch.compile is prepared for every batch and number of threads, one process each, with its cache in the folder; once
one is stopped, the later ones are not tried. What is prepared lies in --work and is not prepared again, but for `resdsl`; remove a
way's files to have it redone.

A process for each network then measures all ways with the same batch and threads in one go, by resdsl.bench: rounds over all of them, and
ratios within rounds. Sessions are closed before the next batch size, so that their memory does not add up. PyTorch and ONNX
Runtime share the process. --quick: 3 rounds, and neither dynamo exports nor torch.compile.

On two threads PyTorch wants an otherwise idle machine: its OpenMP threads wait busily for each other, and where another process
took a core it was 50 times slower, which OMP_WAIT_POLICY=passive mends. The report has this variable and the load. The published
figures are `--json benchmarks/onnx.json` of a full run.
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
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

from onnx_ways import CASES, ONNX_WAYS, TORCH_WAYS, WEIGHTS, reference, torch_call

from resdsl.bench.machine import machine
from resdsl.bench.measure import SECONDS, Cell, measure

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 15 * 60
LIBRARIES = ("resdsl", "onnxruntime", "onnx", "torch", "onnxscript", "onnxslim", "onnxsim", "pytorchcv", "numpy")
SLOW_WAYS = ("export", "export_onnxslim", "export_onnxsim", "pytorchcv_export", "compile", "compile_channels_last")
COMPARED = 2
"""Samples whose outputs are held against float64."""
FIRST = next(iter(ONNX_WAYS))

Document: TypeAlias = dict[str, Any]


# Preparing


def prepare(network: str, way: str, folder: Path, limit: float, *cell: int) -> Document:
    """Runs tools/onnx_ways.py unless that was done before: `seconds`, or why there is nothing: `stopped`, `failed`."""
    kept = folder / f"{'_'.join(map(str, (way, *cell)))}.json"
    made = folder / f"{way}.onnx" if way in ONNX_WAYS else kept
    if way != FIRST and kept.exists():
        found = json.loads(kept.read_text())
        if found.get("stopped", 0) >= limit or ("seconds" in found and made.exists()):
            return found
    print(f"{network}: {way} {' '.join(map(str, cell))} …", file=sys.stderr, flush=True)
    command = [sys.executable, str(ROOT / "tools" / "onnx_ways.py"), network, way, str(folder), *map(str, cell)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(folder),
        start_new_session=True,
    )
    try:
        written, said = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with the compilers that it started
        process.communicate()
        found: Document = {"stopped": limit}
    else:
        if process.returncode:
            found = {"failed": (said.strip().splitlines() or [str(process.returncode)])[-1]}
        else:
            found = {"seconds": float(written.splitlines()[-1])}
    kept.write_text(json.dumps(found))
    return found


def environment(folder: Path) -> dict[str, str]:
    """With Inductor's cache in the folder."""
    return {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}


def prepare_all(network: str, folder: Path, plan: argparse.Namespace) -> dict[str, Document]:
    """Way -> what `prepare` says; of torch.compile also `cells`, those that are ready."""
    folder.mkdir(parents=True, exist_ok=True)
    said: dict[str, Document] = {}
    weights = prepare(network, "weights", folder, plan.limit)
    if not (folder / WEIGHTS).exists():
        raise SystemExit(f"there are no weights for {network}: {weights}")
    for way in plan.ways:
        before = way.rpartition("_")[0] if way.endswith(("onnxslim", "onnxsim")) else None
        if before and "seconds" not in prepare(network, before, folder, plan.limit):
            said[way] = {"failed": f"there is no {before}"}
        elif way in ONNX_WAYS:
            said[way] = prepare(network, way, folder, plan.limit)
        elif TORCH_WAYS[way].compiled:
            said[way] = prepare_compiled(network, way, folder, plan)
        else:
            said[way] = {"seconds": 0.0}
    return said


def prepare_compiled(network: str, way: str, folder: Path, plan: argparse.Namespace) -> Document:
    spent, cells = 0.0, []
    for batch in plan.batches:
        for threads in plan.threads:
            found = prepare(network, way, folder, plan.limit, batch, threads)
            if "seconds" not in found:
                return {**found, "cells": cells}
            spent += found["seconds"]
            cells.append([batch, threads])
    return {"seconds": spent, "cells": cells}


# Measuring, in a process for each network


def measure_network(network: str, folder: Path, said: dict[str, Document], plan: argparse.Namespace) -> Document:
    rows: list[Document] = []
    for batch in plan.batches:
        for threads in plan.threads:
            rows += measure_group(network, folder, said, batch, threads, plan)
    nodes = {way: count_nodes(folder, way) for way in said if way in ONNX_WAYS and "seconds" in said[way]}
    return {"ways": {way: {**said[way], **nodes.get(way, {})} for way in said}, "rows": rows}


def measure_group(
    network: str, folder: Path, said: dict[str, Document], batch: int, threads: int, plan: argparse.Namespace
) -> list[Document]:
    """All ways with one batch and number of threads."""
    import numpy as np
    import torch

    from resdsl.targets.onnx_session import open_model

    torch.compiler.reset()
    case = CASES[network]
    x = np.random.default_rng(0).standard_normal((batch, *case.image), np.float32)
    cells: list[Cell] = []
    outputs: list[Any] = []
    for way, found in said.items():
        if way in ONNX_WAYS and "seconds" in found:
            session = open_model(folder / f"{way}.onnx", threads=threads)
            outputs.append(next(iter(session.run(x).values())))
            cells.append(Cell(way, batch, session.call(x)))
        elif way in TORCH_WAYS and ("seconds" in found or [batch, threads] in found.get("cells", [])):
            print(f"{network}: {way}, batch {batch}, threads {threads} …", file=sys.stderr, flush=True)
            call = torch_call(TORCH_WAYS[way], case, folder, torch.from_numpy(x), threads)
            outputs.append(call().numpy())
            cells.append(Cell(way, batch, call))
    expected = reference(case, folder, torch.from_numpy(x[:COMPARED])).numpy()
    timings = measure(cells, plan.rounds, seconds=plan.seconds)
    rows: list[Document] = []
    for timing, y in zip(timings, outputs, strict=True):
        lower, upper = timing.quartiles
        rows.append(
            {
                "way": timing.cell.name,
                "batch": batch,
                "threads": threads,
                "seconds": timing.seconds,
                "lower_quartile": lower,
                "upper_quartile": upper,
                "images_per_second": timing.samples_per_second,
                "speed": timing.speed_beside(timings[0]),
                "error": float(np.abs(y[:COMPARED] - expected).max() / np.abs(expected).max()),
                "rounds": list(timing.rounds),
            }
        )
    return rows


def count_nodes(folder: Path, way: str) -> Document:
    """Nodes of the model, and of what ONNX Runtime makes of it; constants, which are no computation, apart."""
    import onnx
    import onnxruntime

    path = folder / f"{way}.onnx"
    with tempfile.TemporaryDirectory() as name:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(name) / "optimised.onnx")
        options.log_severity_level = 3  # it warns that this model is for this machine
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        graphs = onnx.load(path).graph, onnx.load(options.optimized_model_filepath).graph
    kinds = [[node.op_type for node in graph.node] for graph in graphs]
    constants = kinds[0].count("Constant")
    return {
        "bytes": path.stat().st_size,
        "nodes": len(kinds[0]) - constants,
        "constants": constants,
        "nodes_in_onnxruntime": len(kinds[1]),
        "kinds_in_onnxruntime": {kind: kinds[1].count(kind) for kind in sorted(set(kinds[1]))},
    }


# Reporting


def report(network: str, found: Document) -> str:
    lines = [f"\n## {network}\n", "| way | prepared in | nodes | in ONNX Runtime |", "|---|---|---|---|"]
    for way, said in found["ways"].items():
        if "seconds" in said:
            spent = f"{said['seconds']:.1f} s" if said["seconds"] else ""
        else:
            spent = f"stopped after {said['stopped']:.0f} s" if "stopped" in said else f"failed: {said['failed']}"
        lines.append(f"| `{way}` | {spent} | {said.get('nodes', '')} | {said.get('nodes_in_onnxruntime', '')} |")
    lines += ["", f"| way | batch | threads | ms | quartiles | images/s | × {FIRST} | error |", "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in found["rows"]:
        low, middle, high = (1e3 * row[key] for key in ("lower_quartile", "seconds", "upper_quartile"))
        lines.append(
            f"| `{row['way']}` | {row['batch']} | {row['threads']} | {middle:.2f} | {low:.2f}–{high:.2f} | "
            f"{row['images_per_second']:.1f} | {row['speed']:.2f} | {row['error']:.1e} |"
        )
    return "\n".join(lines)


def summary(found: Document) -> str:
    """A table for docs/benchmarks.md: nodes, and images a second as multiples of resdsl's, by batch and threads."""
    cells = {(row["way"], row["batch"], row["threads"]): row for row in found["rows"]}
    groups = sorted({key[1:] for key in cells}, key=lambda group: group[::-1])
    titles = [f"batch {batch}, {threads} thread{'s' * (threads > 1)}" for batch, threads in groups]
    lines = [f"| way | nodes | in ONNX Runtime | {' | '.join(titles)} |", "|" + "---|" * (len(groups) + 3)]
    for way, said in found["ways"].items():
        if "seconds" not in said and not said.get("cells"):
            reason = f"stopped after {said['stopped']:.0f} s" if "stopped" in said else f"failed: {said['failed']}"
            lines.append(f"| `{way}` | {reason} |" + " |" * (len(groups) + 1))
            continue
        row = [f"`{way}`", str(said.get("nodes", "")), str(said.get("nodes_in_onnxruntime", ""))]
        for group in groups:
            cell = cells.get((way, *group))
            if cell is None:
                row.append("")
            else:
                row.append(f"{1e3 * cell['seconds']:.1f} ms" if way == FIRST else f"{cell['speed']:.2f}")
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def versions() -> dict[str, str | None]:
    installed = {distribution.name: distribution.version for distribution in metadata.distributions()}
    return {name: installed.get(name) for name in LIBRARIES}


def main() -> None:
    plan = arguments()
    if plan.table:
        for network, found in json.loads(plan.table.read_text())["networks"].items():
            print(f"**{network}**\n\n{summary(found)}\n")
        return
    if plan.worker:
        said = json.loads(plan.worker.read_text())
        plan.worker.write_text(json.dumps(measure_network(plan.networks[0], plan.work, said, plan)))
        return
    here: Document = {"date": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(machine()), **versions()}
    here["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY")
    print("# ONNX benchmark\n\n| what | value |\n|---|---|")
    print("\n".join(f"| {name} | {value} |" for name, value in here.items()), flush=True)
    result: Document = {"machine": here, "limit": plan.limit, "networks": {}}
    for network in plan.networks:
        folder = plan.work / network
        said = prepare_all(network, folder, plan)
        exchange = folder / "measured.json"
        exchange.write_text(json.dumps(said))
        load = os.getloadavg()
        start = time.perf_counter()
        subprocess.run(worker_command(network, exchange, folder, plan), check=True, env=environment(folder))
        found = json.loads(exchange.read_text())
        result["networks"][network] = {**found, "load_before": load, "measured_in": time.perf_counter() - start}
        print(report(network, found), flush=True)
        if plan.json:
            plan.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def worker_command(network: str, exchange: Path, folder: Path, plan: argparse.Namespace) -> list[str]:
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", str(exchange), "--networks", network]
    command += ["--work", str(folder), "--seconds", str(plan.seconds)]
    command += ["--batches", ",".join(map(str, plan.batches)), "--threads", ",".join(map(str, plan.threads))]
    return command + (["--rounds", str(plan.rounds)] if plan.rounds else [])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How fast ONNX models are beside others; see the head of this file.")
    every = [*ONNX_WAYS, *TORCH_WAYS]
    parser.add_argument("--networks", type=chosen(list(CASES)), default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--ways", type=chosen(every), help=f"{', '.join(every)}; {FIRST} is always one")
    parser.add_argument("--batches", type=counts, default=[1, 8, 64])
    parser.add_argument("--threads", type=counts, default=[1, 2])
    parser.add_argument("--rounds", type=int, help="by default 5 to 25, as --seconds allow")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each line of the report")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for preparing a way")
    parser.add_argument("--quick", action="store_true", help="3 rounds, no dynamo exports, no torch.compile")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench_onnx", help="where what is prepared lies")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements there")
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="print the tables of an earlier run's JSON, and measure nothing"
    )
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    plan = parser.parse_args()
    ways = plan.ways or [way for way in every if not (plan.quick and way in SLOW_WAYS)]
    plan.ways = [FIRST, *(way for way in ways if way != FIRST)]
    plan.rounds = plan.rounds or (3 if plan.quick else None)
    plan.seconds = min(plan.seconds, 0.5) if plan.quick else plan.seconds
    return plan


def chosen(known: Sequence[str]) -> Any:
    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: one of {', '.join(known)}")
        return found

    return names


def counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
