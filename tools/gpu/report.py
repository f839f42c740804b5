"""The report of tools/gpu_report.py in its two files: JSON, and a summary that is made of it alone."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from gpu.rows import KINDS, Document, Failed, Skipped
from gpu.tables import gibibytes, table
from gpu.training_report import training

LISTS = ("trainings", "checks", "speeds", "skipped", "failed")


class Report:
    """As far as it is known."""

    def __init__(self, head: Document, folder: Path, name: str, start: float) -> None:
        """head: what is known before anything runs. start: of all, by time.time()."""
        self.folder, self.name, self.start = folder, name, start
        self.document: Document = {**head, "seconds": 0.0, "is_complete": False} | {each: [] for each in LISTS}

    def add(self, row: Skipped | Failed) -> None:
        self.document[KINDS[type(row)]].append(asdict(row))

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


def markdown(report: Document) -> str:
    """Everything but the rounds."""
    trainings = [each for each in report["speeds"] if each["family"] == "training"]
    parts = [
        *_head(report),
        *_missing(report["missing"]),
        *training(report),
        *(_checks(report["checks"]) if "checks" in report["parts"] else []),
        *_speeds([each for each in report["speeds"] if each["family"] != "training"]),
        *_trainings(trainings),
        *_list("Not run", report["skipped"], "why"),
        *_list("Ended in an error", report["failed"], "error"),
    ]
    return "\n".join(parts) + "\n"


def _head(report: Document) -> list[str]:
    found: Document = report["environment"]
    gpu, torch = found["gpu"], found["libraries"].get("torch", {})
    smi: dict[str, str] = found["nvidia_smi"] or {}
    name = gpu["name"] if gpu and report["device"] == "cuda" else found["cpu"]
    rows: dict[str, object] = {}
    if gpu:
        rows |= {
            "GPU": gpu["name"],
            "compute capability": gpu["compute_capability"],
            "memory": gibibytes(gpu["memory_bytes"]),
            "driver": smi.get("driver_version"),
            "clocks": ", ".join(f"{key.removeprefix('clocks.')} {smi[key]}" for key in smi if key.startswith("clocks")),
        }
    rows |= {
        "CUDA": torch.get("cuda"),
        "cuDNN": torch.get("cudnn"),
        "processor": f"{found['cpu']}, {found['cores']} cores",
        "platform": found["platform"],
        "Python": found["python"],
        "versions": ", ".join(f"{key} {value}" for key, value in found["versions"].items()),
        "commit": found["commit"],
        "took": f"{report['seconds']:.0f} s of {report['budget']:.0f}",
    }
    return [
        f"# GPU report: {name}, {report['date'][:10]}",
        "",
        "Written by `tools/gpu_report.py`, which says what was done.",
        *(["", "**With `--quick`: tiny networks in a few calls. The times say nothing.**"] if report["quick"] else []),
        *([] if report["is_complete"] else ["", "**It was ended before it was done.**"]),
        "",
        *table(["what", "value"], [[key, str(value)] for key, value in rows.items() if value]),
    ]


def _missing(missing: list[Document]) -> list[str]:
    return ["", "## What was missing", "", *(f"- {each['what']}: {each['why']}" for each in missing)] if missing else []


def _checks(checks: list[Document]) -> list[str]:
    beyond = sum(not each["passed"] for each in checks)
    rows = [
        [
            each["network"],
            each["way"],
            each["numbers"],
            "not finite" if each["error"] is None else f"{each['error']:.1e}",
            f"{each['tolerance']:.1e}",
            "yes" if each["passed"] else "**no**",
        ]
        for each in checks
    ]
    said = f"{len(checks)} outputs against resdsl's evaluator in float64, max|y - y64| / max|y64|; {beyond} beyond the tolerance."
    return [
        "",
        "## Correctness",
        "",
        said,
        "",
        *table(["network", "way", "numbers", "error", "tolerance", "passed"], rows),
    ]


def _speeds(speeds: list[Document]) -> list[str]:
    if not speeds:
        return []
    lines = [
        "",
        "## Speed",
        "",
        "Milliseconds for a batch; in brackets how many times as fast as PyTorch's eager in the same numbers (int8: fp16), in the same "
        "process and rounds, where there is one. Images a second are those of the best batch.",
    ]
    for network in dict.fromkeys(each["network"] for each in speeds):
        own = [each for each in speeds if each["network"] == network]
        shown = [each for each in own if each["way"] != "eager" or each["family"] == "torch"]
        batches = sorted({each["batch"] for each in shown})
        rows: list[list[str]] = []
        for way, numbers in dict.fromkeys((each["way"], each["numbers"]) for each in shown):
            cells = {each["batch"]: each for each in shown if (each["way"], each["numbers"]) == (way, numbers)}
            most = max(each["images_per_second"] for each in cells.values())
            rows.append([way, numbers, *(_speed(cells.get(batch)) for batch in batches), f"{most:,.0f}"])
        titles = ["way", "numbers", *(f"batch {batch}" for batch in batches), "images/s"]
        lines += ["", f"### {network}", "", *table(titles, rows)]
    return lines


def _speed(cell: Document | None) -> str:
    if cell is None:
        return ""
    ratio = "" if cell["way"] == "eager" or cell["speed"] is None else f" ({cell['speed']:.2f})"
    return f"{1e3 * cell['seconds']:.2f}{ratio}"


def _trainings(trainings: list[Document]) -> list[str]:
    if not trainings:
        return []
    rows = [
        [
            each["network"],
            str(each["batch"]),
            each["way"],
            each["numbers"],
            f"{1e3 * each['seconds']:.1f}",
            f"{each['images_per_second']:,.0f}",
            "" if each["speed"] is None else f"{each['speed']:.2f}",
            gibibytes(each["peak_bytes"]),
        ]
        for each in trainings
    ]
    return [
        "",
        "## Steps of the module",
        "",
        "A step is forward, cross entropy, backward, and SGD with momentum, with float32 weights; 16 bits are autocast's. Speed is "
        "against the step in fp32.",
        "",
        *table(["network", "batch", "way", "numbers", "ms", "images/s", "speed", "peak memory"], rows),
    ]


def _list(title: str, rows: list[Document], said: str) -> list[str]:
    """One line for each reason, with all that it holds for."""
    if not rows:
        return []
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        reasons.setdefault((row["part"], row[said]), []).append(row["what"])
    return ["", f"## {title}", "", *(f"- {part}: {'; '.join(what)}: {why}" for (part, why), what in reasons.items())]
