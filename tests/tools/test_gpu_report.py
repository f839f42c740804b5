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
TASK = {"part": "checks", "family": "torch", "network": "preact164", "batch": 2}
CHECK = {"network": "n", "way": "eager", "numbers": "fp32", "error": 0.5, "tolerance": 0.1, "passed": False}


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return import_module("gpu_report")


def worker(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Stands in for gpu/processes.py as a process: has `plan` and `tell(row, **fields)`."""
    beginning = (
        "import json, os, sys, time\n"
        "plan = json.load(open(sys.argv[1]))\n"
        "def tell(row, **fields):\n"
        "    with open(sys.argv[2], 'a') as stream:\n"
        "        stream.write(json.dumps({'row': row, **fields}) + '\\n')\n"
    )
    script = folder / "worker.py"
    script.write_text(beginning + text, encoding="utf-8")
    processes = import_module("gpu.processes")
    monkeypatch.setattr(processes, "WORKER", [sys.executable, str(script)])
    monkeypatch.setattr(processes, "GRACE", 0.0)
    monkeypatch.setattr(processes, "LOOK", 0.05)


def found(**libraries: dict[str, Any]) -> dict[str, Any]:
    """An environment in which there are these libraries, and no GPU."""
    machine = {"cpu": "Some CPU", "cores": 2, "platform": "Linux", "python": "3.11.0", "commit": None, "versions": {}}
    return {**machine, "libraries": libraries, "gpu": None, "nvidia_smi": None}


def started(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, out: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Runs it in this process where there is PyTorch alone: the exit status, and the report."""
    monkeypatch.setattr(tool, "environment", lambda: found(torch={"version": "2", "finds_gpu": False}))
    status = tool.main(["--quick", "--device", "cpu", "--out", str(out), "--parts", "checks,speed", *options])
    (path,) = out.glob("*.json")
    report = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(report, SCHEMA)
    assert path.with_suffix(".md").read_text(encoding="utf-8") == import_module("gpu.report").markdown(report)
    return status, report


def whole(out: Path, **variables: str) -> Path:
    """Runs the command on the CPU: the summary that it wrote."""
    command = [sys.executable, str(TOOLS / "gpu_report.py"), "--quick", "--device", "cpu", "--out", str(out)]
    given = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(command, capture_output=True, text=True, env=given)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.md")
    assert done.stdout.strip() == str(path)
    return path


@pytest.mark.slow
def test_the_whole_on_the_cpu(tmp_path: Path, tool: ModuleType) -> None:
    path = whole(tmp_path).with_suffix(".json")
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
    steps = [each for each in report["speeds"] if each["family"] == "training"]
    assert {(each["network"], each["way"]) for each in steps} == {
        (network, way) for network in NETWORKS[:3] for way in ("step", "step, channels last")
    }
    assert {each["beside"] for each in steps} == {"step, fp32"}
    trainings = {each["way"]: each for each in report["trainings"]}
    assert list(trainings) == ["resdsl train", "eager, fp32", "eager, channels last, bf16"]
    assert {each["network"] for each in trainings.values()} == {"preact110"}
    assert trainings["resdsl train"]["execution"] == "compile none, fp32, channels last"
    assert trainings["resdsl train"]["module"] == "resdsl"
    assert trainings["eager, fp32"]["module"] == "pytorchcv"
    for each in trainings.values():
        assert 0 < each["lower_quartile"] <= each["seconds"] <= each["upper_quartile"] < each["first_seconds"]
        assert each["images_per_second"] == pytest.approx(2 / each["seconds"])
    missing = {each["what"]: each["why"] for each in report["missing"]}
    assert "CUDAExecutionProvider" in missing
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    for title in (
        "## What was missing",
        "## Correctness",
        "## Speed",
        "### preact1001",
        "## Training",
        "### Steps of preact110, batch 2",
        "## Steps of the module",
    ):
        assert f"\n{title}\n" in text
    assert "The times say nothing" in text
    assert "### Goals" not in text
    again = tmp_path / "again.json"
    path.rename(again)
    tool.main(["--from", str(again)])
    assert (tmp_path / "again.md").read_text(encoding="utf-8") == text
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")], "something half-written is left"


@pytest.mark.slow
def test_the_whole_without_pytorch(tmp_path: Path) -> None:
    """ONNX Runtime is enough. A package that cannot be imported hides PyTorch from every process."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "torch.py").write_text("raise ImportError('PyTorch is hidden')\n", encoding="utf-8")
    path = whole(tmp_path / "out", PYTHONPATH=str(hidden))
    report = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    jsonschema.validate(report, SCHEMA)
    assert report["is_complete"]
    assert (report["failed"], report["skipped"]) == ([], [])
    assert {(each["network"], each["way"], each["numbers"]) for each in report["checks"] if each["passed"]} == {
        (network, "ONNX Runtime, CPU", numbers) for network in NETWORKS for numbers in ("fp32", "int8")
    }
    assert {(each["network"], each["way"], each["beside"], each["speed"]) for each in report["speeds"]} == {
        (network, "ONNX Runtime, CPU", None, None) for network in NETWORKS[:3]
    }
    missing = {each["what"]: each["why"] for each in report["missing"]}
    assert missing["torch"] == "installed, and cannot be loaded: ImportError: PyTorch is hidden"
    assert {"eager, CUDA graphs, torch.compile", "training steps", "engines", "ratios of speed"} < missing.keys()
    assert "\n## Training\n" not in path.read_text(encoding="utf-8")
    assert "\n## Steps of the module\n" not in path.read_text(encoding="utf-8")


def test_a_check_that_fails_is_the_exit_status(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker(monkeypatch, tmp_path, f"if plan['tasks'][0]['part'] == 'checks': tell('checks', **{CHECK!r})\n")
    status, report = started(tool, monkeypatch, tmp_path)
    assert status == 1
    assert report["checks"] == [CHECK]
    assert "| n | eager | fp32 | 5.0e-01 | 1.0e-01 | **no** |" in next(tmp_path.glob("*.md")).read_text("utf-8")
    assert {"what": "tensorrt", "why": "not installed: pip install 'resdsl[trt]'"} in report["missing"]


def test_a_process_that_ends_costs_one_task(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (
        "for task in plan['tasks']:\n"
        "    tell('started', task=task)\n"
        "    if task['network'] == 'preact1001' and task['part'] == 'checks':\n"
        "        print('an illegal memory access', file=sys.stderr, flush=True)\n"
        "        os.abort()\n"
        f"    tell('checks', **{{**{CHECK!r}, 'network': task['network'], 'passed': True}})\n"
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
    assert [each["what"] for each in report["failed"]] == ["torch: all", "torch: all", "training: all"]
    assert report["failed"][0]["error"] == "the process ended with 1: no such library"


def test_the_budget_is_kept(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "tell('started', task=plan['tasks'][0])\ntell('checks', **{'passed': True, **" + repr(
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
    worker(monkeypatch, tmp_path, f"tell('checks', **{CHECK!r})\n")

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
    rows = import_module("gpu.rows")
    tasks = tuple(rows.Task.read({**TASK, "network": network}) for network in NETWORKS[:3])
    given = {"tasks": tasks, "device": "cpu", "has_torch": True, "quick": True, "work": tmp_path}
    given["until"] = time.time() + 60
    return rows.Plan(**{**given, "seconds": 0.01, "rounds": 2, **changes})


def test_a_task_that_raises_is_a_row(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module, rows = import_module("gpu.processes"), import_module("gpu.rows").Rows(tmp_path / "rows.jsonl")
    done: list[str] = []

    def part(task: Any, *_: object) -> None:
        if task.network == "resnet50":
            raise ValueError("out of\nluck")
        done.append(task.network)

    monkeypatch.setitem(module.PARTS, "checks", part)
    module.work(plan(tmp_path), rows)
    assert done == ["preact164", "preact1001"]
    (failed,) = (row for row in rows.read() if row["row"] == "failed")
    assert failed["what"] == "resnet50: torch, batch 2"
    assert failed["error"] == "ValueError: out of luck"


def test_a_task_without_time_is_told(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module, rows = import_module("gpu.processes"), import_module("gpu.rows").Rows(tmp_path / "rows.jsonl")
    monkeypatch.setitem(module.PARTS, "checks", lambda *_: pytest.fail("it was begun"))
    module.work(plan(tmp_path, until=time.time() - 1), rows)
    assert [(row["row"], row["why"]) for row in rows.read()] == [("skipped", "no time was left")] * 3


def test_an_error_of_cuda_ends_the_process(tool: ModuleType, tmp_path: Path) -> None:
    """And running out of memory, or a library that is not there, does not."""
    rows, speed = import_module("gpu.rows").Rows(tmp_path / "rows.jsonl"), import_module("gpu.rows").Part.SPEED
    fail = import_module("resdsl.diagnostics").fail

    def raising(error: Exception) -> Any:
        def work() -> None:
            raise error

        return work

    out_of_memory = type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory")
    assert rows.attempt(raising(out_of_memory), speed, "a") is None
    assert rows.attempt(raising(fail("missing-provider", "no CUDA")), speed, "b") is None
    assert rows.attempt(raising(fail("engine-failed", "no engine")), speed, "c") is None
    with pytest.raises(SystemExit, match="CUDA does not go on"):
        rows.attempt(raising(RuntimeError("CUDA error: an illegal memory access")), speed, "d")
    assert [row["row"] for row in rows.read()] == ["failed", "skipped", "failed", "failed"]


def test_a_wrong_output_is_beyond_the_tolerance(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checks, ways = import_module("gpu.checks"), import_module("gpu.ways")
    problem, cases = import_module("gpu.cases"), import_module("gpu.cases")
    rows = import_module("gpu.rows").Rows(tmp_path / "rows.jsonl")

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
    tolerance, numbers = import_module("gpu.checks").tolerance, import_module("gpu.cases").Numbers
    verify = import_module("resdsl.verify")
    assert tolerance(numbers.FP64, 1e-5) == verify.EXACT
    assert tolerance(numbers.FP32, 1e-5) == verify.FACTOR * 1e-5 + verify.FLOOR
    assert tolerance(numbers.INT8, 1e-5) == verify.MOST[verify.Precision.INT8]
    few = [tolerance(each, 1e-6) for each in (numbers.TF32, numbers.FP16, numbers.BF16)]
    assert few[0] == few[1] < few[2] <= verify.MOST[verify.Precision.BF16]


def test_a_training_step_of_each_type_learns(tool: ModuleType, tmp_path: Path) -> None:
    """fp16 too, whose steps are only timed on GPUs. TF32 is float32 on a CPU."""
    cases, step = import_module("gpu.cases"), import_module("gpu.torch_ways").training_step
    network = cases.CASES["preact164"].build(quick=True)
    weights, x = cases.calm_weights(network), np.random.default_rng(0).standard_normal((2, 3, 32, 32), np.float32)
    for numbers in (cases.Numbers.FP32, cases.Numbers.FP16, cases.Numbers.BF16):
        opened = step(True, cases.Problem(network, weights, x, numbers, "cpu", tmp_path))
        before = opened.output()
        for _ in range(4):
            opened.call()
        assert opened.output() < before, numbers
        assert opened.peak_bytes is None


GPU = {"name": "A GPU", "compute_capability": "9.0", "memory_bytes": 1}
PROVIDERS = ["CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"]


def test_what_a_gpu_is_given_to_do(tool: ModuleType) -> None:
    """By what is installed, as environments say it."""
    here = found(torch={"version": "2", "finds_gpu": True}, tensorrt={"error": "no libnvinfer"}, tensorrt_rtx={"version": "1.7"},
                 onnxruntime={"version": "1", "providers": PROVIDERS[:1]})  # fmt: skip
    steps, whole, checks, speed, training, compiled = (stage.tasks(here, "cuda", quick=False) for stage in tool.STAGES)
    assert all(len(tasks) == 1 for tasks in (*steps, *whole)), "each in a process of its own"
    assert [(task.network, task.way) for (task,) in steps[:6]] == [
        (network, way)
        for way in ("resdsl train", "eager, fp32")
        for network in ("preact110", "preact164", "preact1001")
    ]
    assert {task.batch for (task,) in (*steps, *whole)} == {128}
    assert [task.network for (task,) in whole] == ["preact110", "preact164", "preact1001"]
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
    here["libraries"]["onnxruntime"]["providers"] = PROVIDERS
    here["libraries"]["tensorrt"] = {"version": "10.16"}
    assert [tasks[0].family for tasks in tool.STAGES[3].tasks(here, "cuda", quick=False)] == [
        "torch",
        "onnxruntime on CUDA",
        "tensorrt",
        "tensorrt_rtx",
    ]
    assert tool.STAGES[5].tasks(here, "cpu", quick=True) == []


@pytest.mark.parametrize("torch", [{}, {"torch": {"version": "2+cpu", "finds_gpu": False}}], ids=["none", "of the CPU"])
def test_a_gpu_without_its_pytorch_is_for_onnx_runtime(tool: ModuleType, torch: dict[str, Any]) -> None:
    module, speed = import_module("gpu.environment"), import_module("gpu.speed")
    here = {
        **found(**torch, tensorrt={"version": "11"}, onnxruntime={"version": "1", "providers": PROVIDERS}),
        "gpu": GPU,
    }
    assert [[tasks[0].family for tasks in stage.tasks(here, "cuda", quick=False)] for stage in tool.STAGES] == [
        [],
        [],
        ["onnxruntime", "onnxruntime on CUDA"],
        ["onnxruntime on CUDA"],
        [],
        [],
    ]
    assert not module.has_torch(here, "cuda")
    assert {"engines", "training steps"} < {each["what"] for each in module.missing(here, "cuda")}
    tool.require(here, [], "cuda")
    family = import_module("gpu.ways").Family.RUNTIME_GPU
    alone = speed._wanted(family, plan(Path(), device="cuda", has_torch=False))
    assert [str(each) for each in alone] == [
        "ONNX Runtime, CUDA, tf32",
        "ONNX Runtime, CUDA, fp16",
        "ONNX Runtime, TensorRT, fp16",
    ]
    beside = speed._wanted(family, plan(Path(), device="cuda"))
    assert [str(each) for each in beside] == ["eager, tf32", "eager, fp16", *map(str, alone)]


def test_what_nvidia_smi_says_is_the_gpu_without_pytorch(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is played; memory is not told everywhere."""
    module = import_module("gpu.environment")
    asked: list[list[str]] = []

    def output(command: list[str]) -> str:
        asked.append(command)
        return f"A GPU, 9.0, {memory[0]}, 580.1, 1 MHz, 2 MHz, 3 MHz, 4 W, 5" if command[0] == "nvidia-smi" else ""

    monkeypatch.setattr(module, "_output", output)
    monkeypatch.setattr(module, "INSTALLED_BY", {})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    memory: list[str] = [""]
    for memory[0], bytes_ in (("2 MiB", 2**21), ("[N/A]", None)):
        here = module.environment()
        assert here["gpu"] == {"name": "A GPU", "compute_capability": "9.0", "memory_bytes": bytes_}
        assert here["nvidia_smi"]["driver_version"] == "580.1"
    assert asked[0][-1] == "--id=3"


def test_where_nothing_computes_it_says_so(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def ended(here: dict[str, Any], match: str, *options: str) -> None:
        monkeypatch.setattr(tool, "environment", lambda: here)
        with pytest.raises(SystemExit, match=match):
            tool.main(["--out", str(tmp_path / "out"), *options])

    ended(found(), "no GPU is found")
    ended(found(), "neither PyTorch nor ONNX Runtime computes on cpu here\n- torch: not installed", "--device", "cpu")
    runtime = {"version": "1", "providers": PROVIDERS[:1]}
    ended(
        {**found(onnxruntime=runtime), "gpu": GPU},
        "on cuda here\n(.*\n)+- CUDAExecutionProvider: this ONNX Runtime has CPU",
    )
    assert not (tmp_path / "out").exists()


def test_a_library_that_cannot_be_loaded_is_named(tool: ModuleType) -> None:
    said = found(torch={"version": "2", "finds_gpu": False}, tensorrt={"error": "OSError: no libcuda"})
    missing = {each["what"]: each["why"] for each in import_module("gpu.environment").missing(said, "cpu")}
    assert missing["tensorrt"] == "installed, and cannot be loaded: OSError: no libcuda"
    assert missing["onnxruntime"] == "not installed: pip install 'resdsl[ort-gpu]'"
    assert missing["CUDA"] == "PyTorch 2 finds no GPU"
    assert "engines" not in missing


TRAINED = {
    "network": "preact110", "way": "eager, fp32", "module": "resdsl", "execution": "", "numbers": "fp32", "batch": 128,
    "seconds": 0.03, "lower_quartile": 0.02, "upper_quartile": 0.04, "images_per_second": 4e3, "first_seconds": 1.0,
    "peak_bytes": 2**30, "reserved_bytes": 2**31, "rounds": [0.03],
}  # fmt: skip


def test_goals_are_held_against_what_was_measured(tool: ModuleType) -> None:
    goals, ours = import_module("gpu.training_report").goals, {"way": "resdsl train", "execution": "compile units"}
    whole = {"way": "torch.compile, channels last, bf16"}
    found = {
        each.goal: (each.found, each.is_met)
        for each in goals([
            TRAINED, {**TRAINED, **ours, "seconds": 0.01}, {**TRAINED, **whole, "seconds": 0.009},
            {**TRAINED, "way": "eager, tf32", "seconds": 0.015},
            {**TRAINED, **ours, "network": "preact1001", "seconds": 0.0449}, {**TRAINED, "network": "preact1001", "seconds": 0.1},
        ])
    }  # fmt: skip
    assert found == {
        "preact110: at least 3 times as fast as eager fp32": (
            "3.00 times; 1.50 times PyTorch's default, TF32 convolutions",
            True,
        ),
        "preact110: not slower than torch.compile on the whole network": ("0.90 times", False),
        "preact164: at least 3 times as fast as eager fp32": ("", None),
        "preact164: not slower than torch.compile on the whole network": ("", None),
        "preact1001: at least 3 times as fast as eager fp32": ("2.23 times", False),
        "preact1001: not slower than torch.compile on the whole network": ("", None),
        "preact1001: a step in under 45 ms": ("44.9 ms", True),
    }
    shown = import_module("gpu.training_report").training({"trainings": [TRAINED], "device": "cuda", "quick": False})
    assert "| eager, fp32 | resdsl | fp32 | 30.00 | 4,000 | 1.00 | 1.0 s | 1.00 GiB | 2.00 GiB |" in shown
    assert "| preact1001: a step in under 45 ms |  | not measured |" in shown
    assert (
        "Without pytorchcv, the eager and the compiled steps are those of resdsl's own module as a plain one." in shown
    )


def trained(tool: ModuleType, tmp_path: Path, way: str) -> list[dict[str, Any]]:
    """The rows of one measurement, in this process."""
    training, rows = import_module("gpu.training"), import_module("gpu.rows")
    method = next(each for each in training.METHODS if each.name == way)
    task = rows.Task(rows.Part.TRAINING, method.family, "preact110", 2, way)
    written = rows.Rows(tmp_path / "rows.jsonl")
    training.train(task, plan(tmp_path, tasks=(task,)), written)
    return written.read()


def test_a_training_step_without_pytorchcv(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(import_module("gpu.training"), "find_spec", lambda _: None)
    (row,) = trained(tool, tmp_path, "eager, fp32")
    assert (row["row"], row["module"], row["execution"]) == ("trainings", "resdsl", "")
    assert row["numbers"] == "fp32"


@pytest.mark.parametrize("name", ["lark", "safetensors"])
def test_what_a_training_step_needs_is_named(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """As in a bare checkout."""
    training = import_module("gpu.training")

    def opened(*_: object) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    method = training.Method("broken", import_module("gpu.ways").Family.STEP_OURS, opened)
    monkeypatch.setattr(training, "METHODS", (method,))
    (row,) = trained(tool, tmp_path, "broken")
    assert row["row"] == "failed"
    said = "(training steps need lark and safetensors: pip install resdsl)"
    assert row["error"] == f"ModuleNotFoundError: No module named {name!r} {said}"


def test_a_loss_that_is_not_finite_is_a_failure(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    training = import_module("gpu.training")
    stepping = training.Stepping(lambda: None, lambda: float("nan"), import_module("gpu.cases").Numbers.FP32, "resdsl")
    method = training.Method("broken", import_module("gpu.ways").Family.STEP_EAGER, lambda *_: stepping)
    monkeypatch.setattr(training, "METHODS", (method,))
    (row,) = trained(tool, tmp_path, "broken")
    assert (row["row"], row["what"]) == ("failed", "preact110: broken, batch 2")
    assert row["error"] == "ArithmeticError: the loss is nan"


def test_a_thousand_layers_are_compiled_where_there_is_time(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    training, rows = import_module("gpu.training"), import_module("gpu.rows")
    task = rows.Task(rows.Part.TRAINING, import_module("gpu.ways").Family.STEP_WHOLE, "preact1001", 128, training.WHOLE)
    written = rows.Rows(tmp_path / "rows.jsonl")
    training.train(task, plan(tmp_path, tasks=(task,), quick=False), written)
    (row,) = written.read()
    assert row["row"] == "skipped"
    assert row["why"] == "a thousand layers take many minutes: it is begun where 600 s are left"


def test_a_training_process_may_take_what_the_others_do_not_need(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Others share equally. Nothing is run: how long each process was given."""
    given: list[float] = []
    monkeypatch.setattr(tool, "run", lambda plan, report: given.append(plan.left))
    here = {**found(torch={"version": "2", "finds_gpu": True}), "gpu": GPU}
    report = import_module("gpu.report").Report({"environment": here}, tmp_path, "x", 0.0)
    options = tool.arguments().parse_args([])
    for stage, seconds in ((tool.STAGES[1], 100.0), (tool.STAGES[5], 100.0)):
        tool.run_stage(stage, report, time.time() + seconds, tmp_path, options)
    assert given == pytest.approx([100 - 2 * tool.KEPT, 100 - tool.KEPT, 100, 50, 100], abs=2)


def test_parts_share_the_budget(tool: ModuleType) -> None:
    def spent(*parts: str) -> list[float]:
        return [round(end, 3) for _, end in tool.ends([each for each in tool.STAGES if each.part in parts])]

    assert spent("training", "checks", "speed") == [0.5, 0.7, 0.82, 0.88, 0.925, 1.0]
    assert spent("training") == [0.714, 1.0]
    assert spent("checks") == [1.0]
    assert tool.parts_named("speed,training") == ("speed", "training")
    with pytest.raises(SystemExit):
        tool.arguments().parse_args(["--parts", "weather"])


def test_published_reports_are_whole() -> None:
    """Those under benchmarks/gpu: of a GPU, in full, with the summary that their JSON gives. There may be none."""
    sys.path.insert(0, str(TOOLS))
    try:
        markdown = import_module("gpu.report").markdown
    finally:
        sys.path.remove(str(TOOLS))
    for path in (ROOT / "benchmarks" / "gpu").glob("*.json"):
        if path.name != "report.schema.json":
            report = json.loads(path.read_text(encoding="utf-8"))
            jsonschema.validate(report, SCHEMA)
            assert report["device"] == "cuda", path.name
            assert not report["quick"], path.name
            assert path.with_suffix(".md").read_text(encoding="utf-8") == markdown(report), path.name
