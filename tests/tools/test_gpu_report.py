"""tools/gpu_report.py: what it writes, what it says where something is missing, ends or takes too long.

There is no GPU here: the whole is run on the CPU, on tiny networks, and what is for GPUs alone is not. Processes that end are
played by others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools"
SCHEMA = json.loads((ROOT / "benchmarks" / "gpu" / "report.schema.json").read_text(encoding="utf-8"))
NETWORKS = ["preact164", "resnet50", "preact1001", "gate_shortcut", "bn_after_add164", "preact110_1layer"]
CHECK = {"network": "n", "way": "eager", "numbers": "fp32", "error": 0.5, "tolerance": 0.1, "passed": False}


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return import_module("gpu_report")


def worker(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Stands in for gpu_worker.py: has `plan` and `tell(row, **fields)`."""
    beginning = (
        "import json, os, sys, time\n"
        "plan = json.load(open(sys.argv[1]))\n"
        "def tell(row, **fields):\n"
        "    with open(sys.argv[2], 'a') as stream:\n"
        "        stream.write(json.dumps({'row': row, **fields}) + '\\n')\n"
    )
    script = folder / "worker.py"
    script.write_text(beginning + text, encoding="utf-8")
    processes = import_module("gpu_processes")
    monkeypatch.setattr(processes, "WORKER", [sys.executable, str(script)])
    monkeypatch.setattr(processes, "GRACE", 0.0)
    monkeypatch.setattr(processes, "LOOK", 0.05)


def found(**libraries: dict[str, Any]) -> dict[str, Any]:
    """An environment in which there are these libraries, and no GPU."""
    machine = {"cpu": "Some CPU", "cores": 2, "platform": "Linux", "python": "3.11.0", "commit": None, "versions": {}}
    return {**machine, "libraries": libraries, "gpu": None, "nvidia_smi": None}


def started(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, out: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Runs it in this process where there is PyTorch alone: the exit status, and the report."""
    only = found(torch={"version": "2", "gpu": None})
    monkeypatch.setattr(tool, "environment", lambda: (only, [{"what": "tensorrt", "why": "not installed"}]))
    status = tool.main(["--quick", "--device", "cpu", "--out", str(out), *options])
    (path,) = out.glob("*.json")
    report = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(report, SCHEMA)
    assert path.with_suffix(".md").read_text(encoding="utf-8") == import_module("gpu_markdown").markdown(report)
    return status, report


@pytest.mark.slow
def test_the_whole_on_the_cpu(tmp_path: Path, tool: ModuleType) -> None:
    command = [sys.executable, str(TOOLS / "gpu_report.py"), "--quick", "--device", "cpu", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    assert done.stdout.strip() == str(path.with_suffix(".md"))
    report = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(report, SCHEMA)
    assert report["is_complete"]
    assert report["failed"] == []
    checks = {(each["network"], each["way"], each["numbers"]): each for each in report["checks"]}
    for network in NETWORKS:
        for numbers in ("fp64", "fp32", "fp16", "bf16"):
            assert checks[network, "eager", numbers]["passed"], network
        assert 0 < checks[network, "eager", "fp64"]["error"] < checks[network, "eager", "fp32"]["error"]
        assert checks[network, "eager", "fp32"]["error"] < checks[network, "eager", "bf16"]["error"]
        assert checks[network, "ONNX Runtime, CPU", "int8"]["passed"]
    ways = {(each["network"], each["way"], each["numbers"]) for each in report["speeds"]}
    assert {(network, "ONNX Runtime, CPU", "fp32") for network in NETWORKS[:3]} < ways
    assert {each["network"] for each in report["trainings"]} == set(NETWORKS[:3])
    missing = {each["what"]: each["why"] for each in report["missing"]}
    assert "CUDAExecutionProvider" in missing
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    for title in ("## What was missing", "## Correctness", "## Speed", "### preact1001", "## Training"):
        assert f"\n{title}\n" in text
    assert "The times say nothing" in text
    again = tmp_path / "again.json"
    path.rename(again)
    tool.main(["--from", str(again)])
    assert (tmp_path / "again.md").read_text(encoding="utf-8") == text
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")], "something half-written is left"


def test_a_check_that_fails_is_the_exit_status(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker(monkeypatch, tmp_path, f"if plan['tasks'][0]['part'] == 'checks': tell('Check', **{CHECK!r})\n")
    status, report = started(tool, monkeypatch, tmp_path)
    assert status == 1
    assert report["checks"] == [CHECK]
    assert "| n | eager | fp32 | 5.0e-01 | 1.0e-01 | **no** |" in next(tmp_path.glob("*.md")).read_text("utf-8")
    assert report["missing"] == [{"what": "tensorrt", "why": "not installed"}]


def test_a_process_that_ends_costs_one_task(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (
        "for task in plan['tasks']:\n"
        "    tell('Started', task=task)\n"
        "    if task['network'] == 'preact1001' and task['part'] == 'checks':\n"
        "        print('an illegal memory access', file=sys.stderr, flush=True)\n"
        "        os.abort()\n"
        f"    tell('Check', **{{**{CHECK!r}, 'network': task['network'], 'passed': True}})\n"
    )
    worker(monkeypatch, tmp_path, text)
    status, report = started(tool, monkeypatch, tmp_path)
    assert status == 0
    (failed,) = report["failed"]
    assert failed["what"] == "preact1001: torch, batch 2"
    assert failed["error"] == "the process ended with -6: an illegal memory access"
    checked = [each["network"] for each in report["checks"]]
    assert checked[:5] == ["preact164", "resnet50", "gate_shortcut", "bn_after_add164", "preact110_1layer"]
    assert checked.count("preact1001") == 2, "the other parts go on"
    assert report["is_complete"]


def test_a_process_that_never_begins_is_not_tried_again(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker(monkeypatch, tmp_path, "raise SystemExit('no such library')\n")
    _, report = started(tool, monkeypatch, tmp_path)
    assert [each["what"] for each in report["failed"]] == ["torch: all"] * 3
    assert report["failed"][0]["error"] == "the process ended with 1: no such library"


def test_the_budget_is_kept(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "tell('Started', task=plan['tasks'][0])\ntell('Check', **{'passed': True, **" + repr(
        {key: value for key, value in CHECK.items() if key != "passed"}
    )
    worker(monkeypatch, tmp_path, f"{text}}})\ntime.sleep(60)\n")
    start = time.monotonic()
    _, report = started(tool, monkeypatch, tmp_path, "--budget", "4")
    assert time.monotonic() - start < 30, "the processes were waited for"
    stopped = [each["what"] for each in report["skipped"] if each["why"] == "stopped: its time was over"]
    assert "preact164: torch, batch 2" in stopped
    left_out = [each["what"] for each in report["skipped"] if each["why"] == "no time was left"]
    assert {f"{network}: torch, batch 2" for network in NETWORKS[1:]} <= set(left_out)
    assert report["checks"], "what was found before is kept"


def test_a_report_that_is_ended_is_there(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worker(monkeypatch, tmp_path, f"tell('Check', **{CHECK!r})\n")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    real, calls = tool.run_stage, list[None]()

    def stage(*given: object) -> None:
        calls.append(None)
        real(*given) if len(calls) == 1 else interrupted()

    monkeypatch.setattr(tool, "run_stage", stage)
    with pytest.raises(KeyboardInterrupt):
        started(tool, monkeypatch, tmp_path)
    (path,) = tmp_path.glob("*-quick.json")
    report = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(report, SCHEMA)
    assert report["checks"] == [CHECK]
    assert not report["is_complete"]
    assert "**It was ended before it was done.**" in path.with_suffix(".md").read_text(encoding="utf-8")


def plan(tmp_path: Path, **changes: Any) -> Any:
    rows = import_module("gpu_rows")
    tasks = tuple(rows.Task("checks", "torch", network, 2) for network in NETWORKS[:3])
    given = {"tasks": tasks, "device": "cpu", "quick": True, "until": time.time() + 60, "work": tmp_path}
    return rows.Plan(**{**given, "seconds": 0.01, "rounds": 2, **changes})


def test_a_task_that_raises_is_a_row(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module, rows = import_module("gpu_worker"), import_module("gpu_rows").Rows(tmp_path / "rows.jsonl")
    done: list[str] = []

    def part(task: Any, *_: object) -> None:
        if task.network == "resnet50":
            raise ValueError("out of\nluck")
        done.append(task.network)

    monkeypatch.setitem(module.PARTS, "checks", part)
    module.work(plan(tmp_path), rows)
    assert done == ["preact164", "preact1001"]
    (failed,) = (row for row in rows.read() if row["row"] == "Failed")
    assert failed["what"] == "resnet50: torch, batch 2"
    assert failed["error"] == "ValueError: out of luck"


def test_a_task_without_time_is_told(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module, rows = import_module("gpu_worker"), import_module("gpu_rows").Rows(tmp_path / "rows.jsonl")
    monkeypatch.setitem(module.PARTS, "checks", lambda *_: pytest.fail("it was begun"))
    module.work(plan(tmp_path, until=time.time() - 1), rows)
    assert [(row["row"], row["why"]) for row in rows.read()] == [("Skipped", "no time was left")] * 3


def test_an_error_of_cuda_ends_the_process(tool: ModuleType, tmp_path: Path) -> None:
    """And running out of memory, or a library that is not there, does not."""
    module, rows = import_module("gpu_open"), import_module("gpu_rows").Rows(tmp_path / "rows.jsonl")
    fail = import_module("resdsl.diagnostics").fail

    def raising(error: Exception) -> Any:
        def work() -> None:
            raise error

        return work

    out_of_memory = type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory")
    assert module.attempt(raising(out_of_memory), "speed", "a", rows) is None
    assert module.attempt(raising(fail("missing-provider", "no CUDA")), "speed", "b", rows) is None
    assert module.attempt(raising(fail("engine-failed", "no engine")), "speed", "c", rows) is None
    with pytest.raises(SystemExit, match="CUDA does not go on"):
        module.attempt(raising(RuntimeError("CUDA error: an illegal memory access")), "speed", "d", rows)
    assert [row["row"] for row in rows.read()] == ["Failed", "Skipped", "Failed", "Failed"]


def test_a_wrong_output_is_beyond_the_tolerance(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checks, ways = import_module("gpu_checks"), import_module("gpu_ways")
    problem, cases = import_module("gpu_problem"), import_module("gpu_cases")
    rows = import_module("gpu_rows").Rows(tmp_path / "rows.jsonl")

    def wrong(factor: float) -> Any:
        def opened(asked: Any) -> Any:
            y = ways.EAGER.open(asked).output() * factor
            return problem.Opened(lambda: y, lambda: y)

        return opened

    given = [ways.Way(name, ways.Family.TORCH, wrong(factor), (cases.Numbers.FP32,)) for name, factor in
             (("as it is", 1.0), ("a little off", 1.0001), ("not finite", np.nan))]  # fmt: skip
    monkeypatch.setattr(checks, "WAYS", given)
    asked = plan(tmp_path)
    checks.check(asked.tasks[0], asked, rows)
    assert {row["way"]: row["passed"] for row in rows.read()} == {
        "as it is": True,
        "a little off": False,
        "not finite": False,
    }
    assert [row["error"] for row in rows.read()][-1] is None


def test_tolerances_are_those_of_verify(tool: ModuleType) -> None:
    checks, numbers = import_module("gpu_checks"), import_module("gpu_cases").Numbers
    verify = import_module("resdsl.verify")
    empty = np.zeros((1, 1))
    found = checks.Reference({}, empty, empty, empty, own=1e-5, baseline=1e-6)
    assert checks.tolerance_of(numbers.FP64, found, eager=True) == verify.EXACT
    assert checks.tolerance_of(numbers.FP32, found, eager=True) == verify.FACTOR * 1e-5 + verify.FLOOR
    assert checks.tolerance_of(numbers.FP32, found, eager=False) == verify.FACTOR * 1e-6 + verify.FLOOR
    assert checks.tolerance_of(numbers.INT8, found, eager=False) == verify.MOST[verify.Precision.INT8]
    few = [checks.tolerance_of(each, found, eager=False) for each in (numbers.TF32, numbers.FP16, numbers.BF16)]
    assert few[0] == few[1] < few[2] <= verify.MOST[verify.Precision.BF16]


def test_what_a_gpu_is_given_to_do(tool: ModuleType) -> None:
    """By what is installed, as environments say it."""
    here = found(torch={"version": "2"}, tensorrt={"error": "no libnvinfer"}, tensorrt_rtx={"version": "1.7"},
                 onnxruntime={"version": "1", "providers": ["CPUExecutionProvider"]})  # fmt: skip
    checks, speed, training, compiled = (stage.tasks(here, "cuda", quick=False) for stage in tool.STAGES)
    assert [tasks[0].family for tasks in checks] == ["torch", "onnxruntime", "tensorrt_rtx", "torch.compile of units"]
    assert [tasks[0].family for tasks in speed] == ["torch", "tensorrt_rtx"], "without CUDA, ONNX Runtime is not timed"
    assert [task.batch for task in speed[0]] == [1, 1, 1, 64, 64, 64, 8, 8, 8, 256, 256, 256]
    assert [(task.network, task.batch) for task in training[0]] == [
        ("preact164", 128),
        ("resnet50", 64),
        ("preact1001", 128),
        ("resnet50", 128),
    ]
    assert [tasks[0].family for tasks in compiled] == ["torch.compile of units", "torch.compile"]
    here["libraries"]["onnxruntime"]["providers"] += ["CUDAExecutionProvider"]
    here["libraries"]["tensorrt"] = {"version": "10.16"}
    assert [tasks[0].family for tasks in tool.STAGES[1].tasks(here, "cuda", quick=False)] == [
        "torch",
        "onnxruntime",
        "tensorrt",
        "tensorrt_rtx",
    ]
    assert tool.STAGES[3].tasks(here, "cpu", quick=True) == []


def test_without_pytorch_or_a_gpu_it_says_so(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = [{"what": "torch", "why": "not installed: pip install 'resdsl[torch]'"}]
    monkeypatch.setattr(tool, "environment", lambda: (found(), missing))
    with pytest.raises(SystemExit, match="not installed: pip install"):
        tool.main(["--out", str(tmp_path / "out")])
    monkeypatch.setattr(tool, "environment", lambda: (found(torch={"version": "2", "gpu": None}), []))
    with pytest.raises(SystemExit, match="finds no GPU"):
        tool.main(["--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_library_that_cannot_be_loaded_is_named(tool: ModuleType) -> None:
    module = import_module("gpu_environment")
    said = {"torch": {"version": "2", "gpu": None}, "tensorrt": {"error": "OSError: no libcuda"}}
    missing = {each["what"]: each["why"] for each in module._missing(said)}
    assert missing["tensorrt"] == "installed, and cannot be loaded: OSError: no libcuda"
    assert missing["onnxruntime"] == "not installed: pip install 'resdsl[ort-gpu]'"
    assert missing["CUDA"] == "PyTorch 2 finds no GPU"


def test_published_reports_are_whole() -> None:
    """Those under benchmarks/gpu: of a GPU, in full, with the summary that their JSON gives. There may be none."""
    sys.path.insert(0, str(TOOLS))
    try:
        markdown = import_module("gpu_markdown").markdown
    finally:
        sys.path.remove(str(TOOLS))
    for path in (ROOT / "benchmarks" / "gpu").glob("*.json"):
        if path.name != "report.schema.json":
            report = json.loads(path.read_text(encoding="utf-8"))
            jsonschema.validate(report, SCHEMA)
            assert report["device"] == "cuda", path.name
            assert not report["quick"], path.name
            assert path.with_suffix(".md").read_text(encoding="utf-8") == markdown(report), path.name
