"""How long linting takes.

    python tools/bench_lint.py [--files 1000] [--json FILE]

1. Many files: FILES spec files in a temporary folder, no two alike (six kinds of network: original, pre-activated and
   bottleneck ResNets, gates, scaled shortcuts, a wide ResNet with an alias; depths, widths and classes differ), and
   `resdsl.lint` of each in one process, one thread, rules and schema included. Beside it `resdsl lint FOLDER`, a whole process
   that may use every core. Median of three rounds. A loop of ten million additions is timed in each round: machines that
   share their cores differ by a factor of two from minute to minute, and the ratio to it does not.
2. Cold: `resdsl lint specs/preact1001.resnet` beside `python -c "import lark, jsonschema"`, interleaved, 11 pairs after one that is
   not counted; the ratio of the medians.

Bytecode is ready before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median

import resdsl

ROOT = Path(__file__).resolve().parent.parent
RESDSL = Path(sys.executable).parent / "resdsl"

UNIT = """unit {name}(width, stride = 1) {{
    placement  {placement}
    branch     {branch}
    shortcut   {shortcut}
    projection conv(1x1)
}}
"""
NETWORK = """
network net{number}(classes = {classes}) {{
    input 3x32x32                            # channels x height x width
    stem  {stem}
    stage {n} * {name}({width})
    stage {n} * {name}({width2}) first(stride = 2)
    stage {n} * {name}({width4}) first(stride = 2)
    head  {head}
}}
"""
BASIC = "conv(3x3, width, stride) -> conv(3x3, width)"
BOTTLENECK = "conv(1x1, width, stride) -> conv(3x3, width) -> conv(1x1, 4 * width)"
WIDE = "conv(3x3, width, stride) -> dropout(0.3) -> conv(3x3, width)"
KINDS = (
    ("basic", "post", BASIC, "identity"),
    ("basic", "pre", BASIC, "identity"),
    ("bottleneck", "pre", BOTTLENECK, "identity"),
    ("basic", "post", BASIC, "gate(bias = -6)"),
    ("basic", "post", BASIC, "scale(0.5)"),
    ("wide", "pre", WIDE, "identity"),
)


def spec(number: int) -> str:
    """The text of the spec of this number."""
    name, placement, branch, shortcut = KINDS[number % len(KINDS)]
    width, n = 8 + number % 37, 3 + number % 53
    first = "conv(3x3, 16)" + (" -> bn -> relu" if placement == "post" else "")
    head = ("bn -> relu -> " if placement == "pre" else "") + "avgpool -> linear(classes)"
    text = "resnet 1\n\n" + UNIT.format(name=name, placement=placement, branch=branch, shortcut=shortcut)
    text += NETWORK.format(
        number=number, classes=10 + number % 90, stem=first, n=n, name=name, width=width, width2=2 * width,
        width4=4 * width, head=head,
    )  # fmt: skip
    return text + (f"network wider{number} = net{number}(classes = 100)\n" if name == "wide" else "")


def many(folder: Path, files: int) -> dict[str, float]:
    """Seconds for all files: in process, and as a command."""
    paths = [folder / f"net{number}.resnet" for number in range(files)]
    for number, path in enumerate(paths):
        path.write_text(spec(number), encoding="utf-8")
    inside: list[float] = []
    command: list[float] = []
    loop: list[float] = []
    resdsl.lint(paths[0])
    for _ in range(3):
        start = time.perf_counter()
        total = 0
        for number in range(10_000_000):
            total += number
        loop.append(time.perf_counter() - start)
        start = time.perf_counter()
        found = sum(len(resdsl.lint(path)) for path in paths)
        inside.append(time.perf_counter() - start)
        assert found > 0
        start = time.perf_counter()
        done = subprocess.run([RESDSL, "lint", "--format", "concise", folder], capture_output=True, check=False)
        command.append(time.perf_counter() - start)
        assert done.returncode == 1, done.stderr.decode()
    return {
        "files": files,
        "loop": median(loop),
        "in_process": median(inside),
        "command": median(command),
        "in_process_loops": median(each / unit for each, unit in zip(inside, loop, strict=True)),
        "command_loops": median(each / unit for each, unit in zip(command, loop, strict=True)),
    }


def cold() -> dict[str, float]:
    """Milliseconds of whole processes."""
    bare = [sys.executable, "-c", "import lark, jsonschema"]
    lint = [str(RESDSL), "lint", str(ROOT / "specs" / "preact1001.resnet")]
    times: dict[str, list[float]] = {"import": [], "lint": []}
    for round_ in range(12):
        for name, command in (("import", bare), ("lint", lint)):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if round_:
                times[name].append(1000 * (time.perf_counter() - start))
    imported, linted = median(times["import"]), median(times["lint"])
    return {"import_ms": imported, "lint_ms": linted, "ratio": linted / imported}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "versions": {"python": platform.python_version()}
            | {name: metadata.version(name) for name in ("lark", "jsonschema", "click")},
            "many": many(Path(folder), options.files),
            "cold": cold(),
        }
    print(json.dumps(record, indent=2))
    if options.json:
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
