"""The summary's part on training, and what resdsl promises of it, held against what was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gpu.rows import Document
from gpu.tables import gibibytes, table
from gpu.training import DEFAULT, EAGER, OURS, SUBJECTS, WHOLE

FASTER, DEEPEST, LIMIT = 3.0, "preact1001", 0.045
"""How many times as fast as eager fp32; and the most seconds of a step of the deepest network, on the GPU that the goal is of (an
H200)."""


@dataclass(frozen=True, slots=True)
class Goal:
    """found: in words; is_met: None where it was not measured."""

    goal: str
    found: str
    is_met: bool | None


def training(report: Document) -> list[str]:
    trainings: list[Document] = report["trainings"]
    if not trainings:
        return []
    lines = [
        "",
        "## Training",
        "",
        "A step is forward, cross entropy, backward, and SGD with momentum and weight decay, with float32 weights. Each row is a process by "
        "itself, with samples on the device. Speed is against the eager step in fp32; the first step includes all that is compiled, "
        "captured and allocated for it. Memory is the most that PyTorch had allocated, and reserved.",
    ]
    if any(each["module"] == "resdsl" and not each["execution"] for each in trainings):
        lines += [
            "",
            "Without pytorchcv, the eager and the compiled steps are those of resdsl's own module as a plain one.",
        ]
    for network in dict.fromkeys(each["network"] for each in trainings):
        own = [each for each in trainings if each["network"] == network]
        lines += ["", f"### Steps of {network}, batch {own[0]['batch']}", "", *_steps(own)]
    if report["device"] == "cuda" and not report["quick"]:
        rows = [[each.goal, each.found, _met(each.is_met)] for each in goals(trainings)]
        lines += ["", "### Goals", "", *table(["goal", "found", "met"], rows)]
    return lines


def goals(trainings: list[Document]) -> list[Goal]:
    """In the order in which they are shown."""
    seconds = {(each["network"], each["way"]): each["seconds"] for each in trainings}
    found: list[Goal] = []
    for network in SUBJECTS:
        ours, eager, default, whole = (seconds.get((network, way)) for way in (OURS, EAGER, DEFAULT, WHOLE))
        fast = _ratio(f"{network}: at least {FASTER:g} times as fast as eager fp32", eager, ours, FASTER)
        found.append(_beside_default(fast, default, ours))
        found.append(_ratio(f"{network}: not slower than torch.compile on the whole network", whole, ours, 1.0))
    ours = seconds.get((DEEPEST, OURS))
    goal = f"{DEEPEST}: a step in under {1e3 * LIMIT:g} ms"
    found.append(Goal(goal, _milliseconds(ours), None if ours is None else ours < LIMIT))
    return found


def _ratio(goal: str, other: float | None, ours: float | None, least: float) -> Goal:
    if other is None or ours is None:
        return Goal(goal, "", None)
    return Goal(goal, f"{other / ours:.2f} times", other / ours >= least)


def _beside_default(goal: Goal, default: float | None, ours: float | None) -> Goal:
    """Strict fp32 is slower than what PyTorch does when it is not told otherwise."""
    if default is None or ours is None or not goal.found:
        return goal
    return replace(goal, found=f"{goal.found}; {default / ours:.2f} times PyTorch's default, TF32 convolutions")


def _steps(trainings: list[Document]) -> list[str]:
    eager = next((each["seconds"] for each in trainings if each["way"] == EAGER), None)
    rows = [
        [
            f"{each['way']} ({each['execution']})" if each["execution"] else each["way"],
            each["module"],
            each["numbers"],
            f"{1e3 * each['seconds']:.2f}",
            f"{each['images_per_second']:,.0f}",
            "" if eager is None else f"{eager / each['seconds']:.2f}",
            f"{each['first_seconds']:.1f} s",
            gibibytes(each["peak_bytes"]),
            gibibytes(each["reserved_bytes"]),
        ]
        for each in trainings
    ]
    titles = ["way", "module of", "numbers", "ms", "images/s", "speed", "first step", "allocated", "reserved"]
    return table(titles, rows)


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:.1f} ms"


def _met(is_met: bool | None) -> str:
    match is_met:
        case None:
            return "not measured"
        case True:
            return "yes"
        case False:
            return "**no**"
