"""How long compiling takes, beside what it could cost at least and beside PyTorch's exporters.

    python tools/bench_compile.py [--quick] [--only 164] [--skip-dynamo] [--json FILE]

One run measures, one after the other, and prints a markdown table for each:

1. Spec to ONNX bytes, in process, for preact164 and preact1001: `resdsl.compile(path, "onnx")`, that is reading,
   parsing, building, initial weights and serialising. A fresh process for each network, resdsl imported: the first
   call, then the median of 5 more. Beside it torch.onnx.export of the same network's module, TorchScript-based
   (dynamo=False) and dynamo=True. There the module exists before the clock starts, and only the export call is timed,
   to a buffer (dynamo=False) or a file (dynamo=True, which writes to no buffer), once, in a process of its own that
   has exported a small network before, so that the exporter's imports are not counted, and computes with one thread
   (more make it slower where other processes want the cores). Batch is dynamic, all else the exporter's defaults. An
   exporter's process is stopped after 15 minutes.
2. Cold: the process `resdsl compile specs/preact1001.resnet --target onnx -O0 -o FILE` beside `python tools/bare_onnx.py
   FILE`, the same file from onnx.helper alone. Wall time, CPU time and peak memory, interleaved, 7 pairs after one
   that is not counted. The two files must be equal but for the metadata, which the script does not write.
3. Growth of the front end: text to network (parse, names, build) for preact1001's text with 111 and with 1110 units a
   stage, which have the same distinct units; also parsing alone, and on to the JSON document. In process, interleaved, median
   of 21 after one round that is not counted.
4. Cold: `resdsl check` of a spec of 15 lines beside `python -c "import lark"`, interleaved, 11 pairs after one that is
   not counted.
5. Wall time and peak memory of the whole command for preact1001 and for a network with a GiB of weights: without passes, with
   passes, and with passes and the comparison in ONNX Runtime (--verify). Processes, median of 3, the large one once; beside them the size of the weights.

All processes find Python's bytecode ready, in a temporary folder that the uncounted pair fills, whatever
PYTHONDONTWRITEBYTECODE says. (Python keeps none of a script that it is given by path, bare_onnx.py.)

A ratio of two measurements is of their medians; the median of the pairs' ratios stands beside it where there are
pairs. --quick leaves out the exporters, --skip-dynamo that one, --only 164 takes preact164 alone in 1.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias, TypeVar

ROOT = Path(__file__).resolve().parents[1]
SPEC1001 = ROOT / "specs" / "preact1001.resnet"
NETWORKS = {"164": (ROOT / "specs" / "resnet164.resnet", "preact164"), "1001": (SPEC1001, "preact1001")}
"""What --only names -> spec and network."""
EXPORTERS = {"legacy": "torch.onnx.export(dynamo=False)", "dynamo": "torch.onnx.export(dynamo=True)"}
EXPORT_LIMIT = 15 * 60
"""Seconds."""
LIBRARIES = ("resdsl", "lark", "numpy", "onnx", "protobuf", "torch", "onnxscript", "onnxruntime")

BIG_SPEC = """resnet 1
unit wide(width) { placement pre branch conv(3x3, width) -> conv(3x3, width) shortcut identity }
network big {
    input 3x8x8
    stem  conv(3x3, 1024)
    stage 14 * wide(1024)
    head  norm -> act -> avgpool -> linear(10)
}
"""
"""1,009 MiB of weights."""

SMALL_SPEC = '''resnet 1
"""Six basic units."""
network small(n = 2, classes = 10) {
    input 3x32x32
    stem  conv(3x3, 16)
    stage n * basic(16)
    stage n * basic(32) first(stride = 2)
    head  bn -> relu -> avgpool -> linear(classes)
}
unit basic(width, stride = 1) {
    placement  pre
    branch     conv(3x3, width, stride) -> conv(3x3, width)
    shortcut   identity
    projection conv(1x1)
}
'''

Document: TypeAlias = dict[str, Any]
"""Measurements as they are written to --json."""
Row: TypeAlias = Sequence[str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Process:
    """One run of a command: seconds of wall clock, seconds of CPU (user and system), peak resident bytes.

    On Linux the peak is at least that of the process that started the command, here some 20 MB.
    """

    wall: float
    cpu: float
    peak: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two commands run in turn: `own` is resdsl's, `other` what it is held against."""

    own: list[Process]
    other: list[Process]

    def medians(self, field: str) -> tuple[float, float]:
        own, other = (median(getattr(run, field) for run in runs) for runs in (self.own, self.other))
        return own, other

    def ratio(self, field: str = "wall") -> float:
        own, other = self.medians(field)
        return own / other

    def ratio_of_pairs(self, field: str = "wall") -> float:
        pairs = zip(self.own, self.other, strict=True)
        return median(getattr(own, field) / getattr(other, field) for own, other in pairs)

    def document(self) -> Document:
        return {
            "own": [asdict(run) for run in self.own],
            "other": [asdict(run) for run in self.other],
            "ratio_of_medians": self.ratio(),
            "median_of_pair_ratios": self.ratio_of_pairs(),
            "cpu_ratio_of_medians": self.ratio("cpu"),
            "cpu_median_of_pair_ratios": self.ratio_of_pairs("cpu"),
        }


def environment(folder: Path) -> dict[str, str]:
    """This process's environment, Python's bytecode kept in `folder`, as an installed package's is beside it."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def run_process(command: Sequence[str], folder: Path) -> Process:
    """Runs a command to its end, silently, in `folder`."""
    variables = environment(folder)
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    with process.stderr as stream:
        said = stream.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} left with {process.returncode}:\n{said.decode(errors='replace')}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Process(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def run_pairs(own: Sequence[str], other: Sequence[str], folder: Path, count: int) -> Pairs:
    """Both commands in turn: one pair that is not counted, then `count`."""
    pairs = [(run_process(own, folder), run_process(other, folder)) for _ in range(count + 1)][1:]
    return Pairs([pair[0] for pair in pairs], [pair[1] for pair in pairs])


def resdsl_command() -> str:
    """The console script beside this Python."""
    command = Path(sys.executable).parent / "resdsl"
    if not command.exists():
        raise SystemExit(f"there is no {command}: install resdsl into this environment")
    return str(command)


def compile_command(out: Path) -> list[str]:
    return [resdsl_command(), "compile", str(SPEC1001), "--target", "onnx", "-O0", "-o", str(out)]


def table(head: Row, rows: Sequence[Row]) -> str:
    """A markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.1f} ms"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


# 1: in process, beside the exporters


def worker(what: str, path: Path, name: str) -> Document:
    """What a process of this script's own measures."""
    if what == "own":
        return worker_own(path, name)
    return worker_growth() if what == "growth" else worker_export(what, path, name)


def worker_own(path: Path, name: str) -> Document:
    """Times resdsl in this process: the first call, the median of 5 more, and the parts of the latter."""
    import resdsl

    def compiled() -> bytes:
        return resdsl.compile(path, "onnx", name, passes=0)

    first, first_cpu, data = timed(compiled)
    runs = [timed(compiled)[:2] for _ in range(5)]

    from resdsl.network.initial import initial_weights
    from resdsl.spec import origin
    from resdsl.targets.onnx import onnx_bytes
    from resdsl.targets.table import Request

    parts: dict[str, list[float]] = {"parse and build": [], "initial weights": [], "serialise": []}
    for _ in range(5):
        spent, _, network = timed(lambda: resdsl.build(path, name))
        parts["parse and build"].append(spent)
        spent, _, weights = timed(lambda network=network: initial_weights(network))
        parts["initial weights"].append(spent)
        spent, _, again = timed(
            lambda network=network, weights=weights: onnx_bytes(
                network, weights, metadata=Request(network, origin=origin(path)).metadata()
            )
        )
        parts["serialise"].append(spent)
        assert again == data, "the parts give other bytes than the whole"
    return {
        "first": first,
        "first_cpu": first_cpu,
        "times": [wall for wall, _ in runs],
        "median": median(wall for wall, _ in runs),
        "median_cpu": median(cpu for _, cpu in runs),
        "parts": {part: median(values) for part, values in parts.items()},
        "bytes": len(data),
    }


def worker_export(exporter: str, path: Path, name: str) -> Document:
    """Times one export of the network's module in this process, after that of a small network."""
    import warnings

    import torch
    from torch import nn

    import resdsl

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    image = torch.zeros(2, 3, 32, 32)
    small = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4096, 2))
    module = resdsl.load(path, name).eval()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model.onnx"

        def export(module: nn.Module) -> int:
            if exporter == "legacy":
                buffer = io.BytesIO()
                axes = {"input": {0: "batch"}, "output": {0: "batch"}}
                names = {"input_names": ["input"], "output_names": ["output"]}
                torch.onnx.export(module, (image,), buffer, dynamo=False, dynamic_axes=axes, **names)
                return buffer.getbuffer().nbytes
            shapes = ({0: torch.export.Dim("batch")},)
            torch.onnx.export(
                module, (image,), out, dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False
            )
            return out.stat().st_size

        export(small.eval())
        wall, cpu, size = timed(lambda: export(module))
    return {"seconds": wall, "cpu": cpu, "bytes": size}


def timed(call: Callable[[], T]) -> tuple[float, float, T]:
    """Seconds of wall clock, seconds of this process's CPU, and what the call gives."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - start, time.process_time() - start_cpu, result


def work(folder: Path, *arguments: str, limit: float | None = None) -> Document:
    """What a worker of this script measures in a process of its own; `stopped` or `failed` if it did not get there."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", *arguments]
    try:
        done = subprocess.run(
            command, check=False, timeout=limit, capture_output=True, text=True, env=environment(folder)
        )
    except subprocess.TimeoutExpired:
        return {"stopped": limit}
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        if arguments[0] not in EXPORTERS:
            raise SystemExit(f"{' '.join(command)} left with {done.returncode}")
        return {"failed": done.stderr.strip().splitlines()[-1:]}
    return json.loads(done.stdout.splitlines()[-1])


def bench_in_process(folder: Path, which: Sequence[str], exporters: Sequence[str]) -> Document:
    print("## 1. Spec to ONNX bytes, in process\n")
    run_process(compile_command(folder / "own.onnx"), folder)  # leaves bytecode behind
    rows: list[Row] = []
    result: Document = {}
    for key in which:
        name = NETWORKS[key][1]
        own = work(folder, "own", key)
        result[name] = {"resdsl": own}
        parts = ", ".join(f"{part} {seconds(spent)}" for part, spent in own["parts"].items())
        rows.append([name, f"resdsl, median of 5 ({parts})", seconds(own["median"]), seconds(own["median_cpu"]), "1"])
        again = f"{own['first'] / own['median']:.1f}"
        rows.append([name, "resdsl, first call", seconds(own["first"]), seconds(own["first_cpu"]), again])
        for exporter in exporters:
            print(f"{EXPORTERS[exporter]} of {name} …", file=sys.stderr, flush=True)
            peer = work(folder, exporter, key, limit=EXPORT_LIMIT)
            result[name][exporter] = peer
            if "stopped" in peer:
                spent, cpu = f"stopped at {EXPORT_LIMIT // 60} min", ""
                times = f"> {EXPORT_LIMIT / own['median']:.0f}"
            elif "failed" in peer:
                spent, cpu, times = "failed", "", ""
            else:
                peer["ratio"] = peer["seconds"] / own["median"]
                spent, cpu, times = seconds(peer["seconds"]), seconds(peer["cpu"]), f"{peer['ratio']:.1f}"
            rows.append([name, EXPORTERS[exporter], spent, cpu, times])
    print(table(["network", "what", "time", "CPU time", "times resdsl's median"], rows))
    print("\nresdsl starts from the spec's file; the exporters start from a module that exists.\n", flush=True)
    return result


# 2 and 4: cold, as processes


def bench_cold_compile(folder: Path, count: int = 7) -> Document:
    print("## 2. Cold `resdsl compile specs/preact1001.resnet --target onnx` beside `python tools/bare_onnx.py`\n")
    own, bare = folder / "own.onnx", folder / "bare.onnx"
    pairs = run_pairs(
        compile_command(own), [sys.executable, str(ROOT / "tools" / "bare_onnx.py"), str(bare)], folder, count
    )
    equal = without_metadata(own) == bare.read_bytes()
    print_pairs(pairs, "`resdsl compile`", "`bare_onnx.py`", ("wall", "cpu", "peak"))
    print(
        f"But for metadata the files are {'equal' if equal else 'NOT EQUAL'} ({own.stat().st_size:,} bytes).\n",
        flush=True,
    )
    return {**pairs.document(), "bytes": own.stat().st_size, "equal": equal}


def without_metadata(path: Path) -> bytes:
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    return model.SerializeToString(deterministic=True)


def bench_memory(folder: Path, count: int = 3) -> Document:
    import resdsl
    from resdsl.network.tensors import network_tensors
    from resdsl.weights import CALIBRATED, network_weights
    from resdsl.weights.safetensors import write_safetensors

    print("## 5. Time and peak memory of `resdsl compile --target onnx`\n")
    big = folder / "big.resnet"
    big.write_text(BIG_SPEC, encoding="utf-8")
    trained = folder / "calibrated.safetensors"  # with initial statistics its output overflows, and cannot be compared
    trained.write_bytes(write_safetensors(network_weights(resdsl.build(SPEC1001), CALIBRATED)))
    result: Document = {}
    rows: list[Row] = []
    for name, spec in (("preact-1001", SPEC1001), ("a GiB of weights", big)):
        weights = 4 * sum(tensor.size for tensor in network_tensors(resdsl.build(spec)))
        for options in (["-O0"], ["--no-verify"], ["--verify"]):
            command = [resdsl_command(), "compile", str(spec), "-t", "onnx", "-o", str(folder / "big.onnx"), *options]
            command += ["--weights", str(trained)] if spec == SPEC1001 else []
            runs = [run_process(command, folder) for _ in range(count if spec == SPEC1001 else 1)]
            wall, peak = median(run.wall for run in runs), median(run.peak for run in runs)
            result[f"{name} {options[0]}"] = {"weights": weights, "runs": [asdict(run) for run in runs]}
            rows.append([name, f"`{options[0]}`", seconds(wall), megabytes(peak), f"{peak / weights:.2f}"])
    print(table(["network", "", "wall time", "peak memory", "times its weights"], rows) + "\n", flush=True)
    return result


def bench_cold_check(folder: Path, count: int = 11) -> Document:
    print('## 4. Cold `resdsl check` of 15 lines beside `python -c "import lark"`\n')
    spec = folder / "small.resnet"
    spec.write_text(SMALL_SPEC, encoding="utf-8")
    command = [resdsl_command(), "check", str(spec)]
    pairs = run_pairs(command, [sys.executable, "-c", "import lark"], folder, count)
    print_pairs(pairs, "`resdsl check`", "`import lark`")
    return pairs.document()


def print_pairs(pairs: Pairs, own: str, other: str, fields: Sequence[str] = ("wall", "cpu")) -> None:
    rows: list[Row] = []
    titles = {"wall": ("wall time", seconds), "cpu": ("CPU time", seconds), "peak": ("peak memory", megabytes)}
    for field in fields:
        title, show = titles[field]
        mine, theirs = pairs.medians(field)
        rows.append(
            [title, show(mine), show(theirs), f"{pairs.ratio(field):.2f}", f"{pairs.ratio_of_pairs(field):.2f}"]
        )
    print(table([f"median of {len(pairs.own)}", own, other, "ratio of medians", "median of pair ratios"], rows) + "\n")
    sys.stdout.flush()


# 3: growth of the front end


def worker_growth(rounds: int = 21) -> Document:
    """Times the front end in this process: what -> units a stage -> seconds."""
    import resdsl
    from resdsl.network.document import to_json
    from resdsl.network.network import distinct_units

    text = SPEC1001.read_text(encoding="utf-8")
    texts = {111: text, 1110: text.replace("stage 111 *", "stage 1110 *")}
    assert texts[1110].count("1110 *") == 3
    assert distinct_units(resdsl.build(texts[111])) == distinct_units(resdsl.build(texts[1110]))
    calls: dict[str, Callable[[str], object]] = {
        "parse alone": resdsl.parse,
        "parse and build": resdsl.build,
        "parse, build, JSON document": lambda text: to_json(resdsl.build(text)),
    }
    times: dict[str, dict[int, list[float]]] = {what: {n: [] for n in texts} for what in calls}
    for counted in range(rounds + 1):
        for what, call in calls.items():
            for n, text in texts.items():
                spent, _, _ = timed(lambda call=call, text=text: call(text))
                if counted:
                    times[what][n].append(spent)
    return times


def bench_growth(folder: Path) -> Document:
    print("## 3. Growth of the front end: preact1001's text with 111 and with 1110 units a stage\n")
    rows: list[Row] = []
    result = work(folder, "growth", "1001")
    rounds = 0
    for what, times in result.items():
        small, large = median(times["111"]), median(times["1110"])
        times["ratio_of_medians"] = large / small
        rounds = len(times["111"])
        rows.append([what, seconds(small), seconds(large), f"{large / small:.2f}"])
    print(table([f"median of {rounds}", "111 units a stage", "1110 units a stage", "ratio"], rows) + "\n", flush=True)
    return result


def machine() -> Document:
    """What it ran on."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        cpu = models[0].partition(":")[2].strip() if models else cpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "cpu": cpu,
        "cores": cores,
        "load": list(os.getloadavg()),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description="How long compiling takes; see the head of this file.")
    parser.add_argument("--quick", action="store_true", help="without the exporters")
    parser.add_argument("--skip-dynamo", action="store_true", help="without torch.onnx.export(dynamo=True)")
    parser.add_argument("--only", choices=NETWORKS, help="this network alone in the first part")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements there")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        what, key = arguments.worker
        print("\n" + json.dumps(worker(what, *NETWORKS[key])))
        return
    here = machine()
    print("# Compile benchmark\n")
    print(table(["what", "value"], [[name, str(value)] for name, value in here.items()]) + "\n", flush=True)
    exporters = [] if arguments.quick else [name for name in EXPORTERS if name != "dynamo" or not arguments.skip_dynamo]
    result: Document = {"machine": here}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        which = [arguments.only] if arguments.only else list(NETWORKS)
        result["in_process"] = bench_in_process(folder, which, exporters)
        result["cold_compile"] = bench_cold_compile(folder)
        result["growth"] = bench_growth(folder)
        result["cold_check"] = bench_cold_check(folder)
        result["memory"] = bench_memory(folder)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if not result["cold_compile"]["equal"]:
        raise SystemExit("tools/bare_onnx.py and resdsl write different files")


if __name__ == "__main__":
    main()
