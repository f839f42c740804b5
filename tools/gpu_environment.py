"""On what tools/gpu_report.py ran, and which libraries it missed.

    python tools/gpu_environment.py LIBRARY

prints what this library says of itself, as JSON. Each is asked in a process of its own, since importing one may end it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from gpu_rows import Document
from gpu_ways import Family

from resdsl.bench.machine import machine
from resdsl.targets.onnx_provider import Provider

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120
"""Seconds. TensorRT's packages load gigabytes."""
INSTALLED_BY = {
    "torch": "pip install 'resdsl[torch]'",
    "onnxruntime": "pip install 'resdsl[ort-gpu]'",
    "tensorrt": "pip install 'resdsl[trt]'",
    "torch_tensorrt": "pip install 'resdsl[trt]'",
    "tensorrt_rtx": "pip install 'resdsl[rtx]'",
}
VERSIONS = (
    "resdsl", "numpy", "onnx", "torch", "triton", "onnxruntime", "onnxruntime-gpu", "tensorrt", "torch-tensorrt",
    "tensorrt-rtx", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "timm", "torchvision",
)  # fmt: skip
SMI_FIELDS = ("name", "driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit", "temperature.gpu")


def environment() -> tuple[Document, list[Document]]:
    """What there is; and what is missing, each as `what` and `why`."""
    started = {name: _probe(name) for name in INSTALLED_BY if importlib.util.find_spec(name)}
    said = {name: _answer(process) for name, process in started.items()}
    installed = {each.name.lower().replace("_", "-"): each.version for each in metadata.distributions()}
    found: Document = {
        **asdict(machine()),
        "commit": _commit(),
        "versions": {name: installed[name] for name in VERSIONS if name in installed},
        "libraries": said,
        "gpu": said.get("torch", {}).get("gpu"),
        "nvidia_smi": _smi(said.get("torch", {}).get("gpu")),
    }
    return found, _missing(said)


def families(found: Document) -> list[Family]:
    """Those whose library is there and can be loaded."""
    return [each for each in Family if "version" in found["libraries"].get(each.module, {})]


def has_provider(found: Document, provider: Provider) -> bool:
    """Whether ONNX Runtime's build has it."""
    return provider.runtime_name in found["libraries"].get("onnxruntime", {}).get("providers", [])


def _missing(said: dict[str, Document]) -> list[Document]:
    missing: list[Document] = []
    for name, how in INSTALLED_BY.items():
        if name not in said:
            missing.append({"what": name, "why": f"not installed: {how}"})
        elif "error" in said[name]:
            missing.append({"what": name, "why": f"installed, and cannot be loaded: {said[name]['error']}"})
    if "providers" in said.get("onnxruntime", {}):
        for provider in (Provider.CUDA, Provider.TENSORRT):
            if provider.runtime_name not in said["onnxruntime"]["providers"]:
                why = f"this build of ONNX Runtime has {', '.join(said['onnxruntime']['providers'])}"
                missing.append({"what": provider.runtime_name, "why": why})
    if "version" in said.get("torch", {}) and said["torch"]["gpu"] is None:
        missing.append({"what": "CUDA", "why": f"PyTorch {said['torch']['version']} finds no GPU"})
    return missing


def _probe(name: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).resolve()), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _answer(process: subprocess.Popen[str]) -> Document:
    try:
        written, said = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"error": f"it was not loaded after {PATIENCE} s"}
    if process.returncode:
        return {"error": (said.strip().splitlines() or [f"the process ended with {process.returncode}"])[-1]}
    return json.loads(written.splitlines()[-1])


def _library(name: str) -> Document:
    """In the process that asks it."""
    module = importlib.import_module(name)
    found: Document = {"version": str(module.__version__)}
    if name == "onnxruntime":
        found["providers"] = module.get_available_providers()
    if name == "torch":
        found |= {"cuda": module.version.cuda, "cudnn": module.backends.cudnn.version(), "gpu": None}
        if module.cuda.is_available():
            properties = module.cuda.get_device_properties(0)
            found["gpu"] = {
                "name": properties.name,
                "compute_capability": f"{properties.major}.{properties.minor}",
                "memory_bytes": properties.total_memory,
                "multiprocessors": properties.multi_processor_count,
                "uuid": str(properties.uuid),
            }
    return found


def _smi(gpu: Document | None) -> dict[str, str] | None:
    """What nvidia-smi says of PyTorch's first GPU, before anything runs."""
    if gpu is None:
        return None
    uuid = gpu.pop("uuid").removeprefix("GPU-")  # it is no one's business but nvidia-smi's
    command = ["nvidia-smi", f"--query-gpu={','.join(SMI_FIELDS)}", "--format=csv,noheader", f"--id=GPU-{uuid}"]
    said = _output(command)
    return dict(zip(SMI_FIELDS, said.split(", "), strict=False)) if said else None


def _commit() -> str | None:
    """Of the checkout, with a + where files were changed."""
    commit = _output(["git", "-C", str(ROOT), "rev-parse", "HEAD"])
    changed = _output(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return f"{commit}{'+' if changed else ''}" if commit else None


def _output(command: list[str]) -> str:
    """Empty if there is no such program, or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    print(json.dumps(_library(sys.argv[1])))
