"""The summary of a report of tools/gpu_report.py, made from its JSON alone."""

from __future__ import annotations

from gpu_rows import Document

GIBIBYTE = 2**30


def markdown(report: Document) -> str:
    """Everything but the rounds."""
    parts = [
        *_head(report),
        *_missing(report["missing"]),
        *_checks(report["checks"]),
        *_speeds(report["speeds"]),
        *_trainings(report["trainings"]),
        *_list("Not run", report["skipped"], "why"),
        *_list("Ended in an error", report["failed"], "error"),
    ]
    return "\n".join(parts) + "\n"


def _head(report: Document) -> list[str]:
    found = report["environment"]
    gpu, smi, torch = found["gpu"], found["nvidia_smi"] or {}, found["libraries"].get("torch", {})
    name = gpu["name"] if gpu and report["device"] == "cuda" else found["cpu"]
    rows: dict[str, object] = {}
    if gpu:
        rows |= {
            "GPU": gpu["name"],
            "compute capability": gpu["compute_capability"],
            "memory": f"{gpu['memory_bytes'] / GIBIBYTE:.1f} GiB",
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
        *_table(["what", "value"], [[key, str(value)] for key, value in rows.items() if value]),
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
    said = f"{len(checks)} outputs against float64, max|y - y64| / max|y64|; {beyond} beyond the tolerance."
    return [
        "",
        "## Correctness",
        "",
        said,
        "",
        *_table(["network", "way", "numbers", "error", "tolerance", "passed"], rows),
    ]


def _speeds(speeds: list[Document]) -> list[str]:
    lines = [
        "",
        "## Speed",
        "",
        "Milliseconds for a batch; in brackets how many times as fast as eager in the same numbers (int8: fp16), in the same process and "
        "rounds.",
    ]
    for network in dict.fromkeys(each["network"] for each in speeds):
        own = [each for each in speeds if each["network"] == network]
        shown = [each for each in own if each["way"] != "eager" or each["family"] == "torch"]
        batches = sorted({each["batch"] for each in shown})
        cells = {(each["way"], each["numbers"], each["batch"]): each for each in shown}
        rows = [
            [way, numbers, *(_speed(cells.get((way, numbers, batch))) for batch in batches)]
            for way, numbers in dict.fromkeys((each["way"], each["numbers"]) for each in shown)
        ]
        titles = ["way", "numbers", *(f"batch {batch}" for batch in batches)]
        lines += ["", f"### {network}", "", *_table(titles, rows)]
    return lines


def _speed(cell: Document | None) -> str:
    if cell is None:
        return ""
    ratio = "" if cell["way"] == "eager" else f" ({cell['speed']:.2f})"
    return f"{1e3 * cell['seconds']:.2f}{ratio}"


def _trainings(trainings: list[Document]) -> list[str]:
    rows = [
        [
            each["network"],
            str(each["batch"]),
            each["style"],
            f"{1e3 * each['seconds']:.1f}",
            f"{each['images_per_second']:,.0f}",
            f"{each['speed']:.2f}",
            "" if each["peak_bytes"] is None else f"{each['peak_bytes'] / GIBIBYTE:.2f} GiB",
            "not finite" if each["loss"] is None else f"{each['loss']:.3f}",
        ]
        for each in trainings
    ]
    return [
        "",
        "## Training",
        "",
        "A step is forward, cross entropy, backward, and SGD with momentum. Speed is against the first style of the network and batch.",
        "",
        *_table(["network", "batch", "style", "ms", "images/s", "speed", "peak memory", "first loss"], rows),
    ]


def _list(title: str, rows: list[Document], said: str) -> list[str]:
    """One line for each reason, with all that it holds for."""
    if not rows:
        return []
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        reasons.setdefault((row["part"], row[said]), []).append(row["what"])
    return ["", f"## {title}", "", *(f"- {part}: {'; '.join(what)}: {why}" for (part, why), what in reasons.items())]


def _table(titles: list[str], rows: list[list[str]]) -> list[str]:
    lines = [titles, ["---"] * len(titles), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]
