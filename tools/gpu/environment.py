"""On what tools/gpu_report.py runs, and what it misses.

    python -m gpu.environment LIBRARY

prints what this library says of itself, as JSON. Each is asked in a process of its own, since importing one may end it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from gpu.rows import Document
from gpu.ways import Family
from resdsl.bench.machine import machine
from resdsl.targets.onnx_provider import Provider

TOOLS = Path(__file__).resolve().parents[1]
PATIENCE = 120
"""Seconds. TensorRT's packages load gigabytes."""
INSTALLED_BY = {
    "torch": "pip install 'resdsl[torch]'",
    "onnxruntime": "pip install 'resdsl[ort-gpu]'",
    "tensorrt": "pip install 'resdsl[trt]'",
    "torch_tensorrt": "pip install 'resdsl[trt]'",
    "tensorrt_rtx": "pip install 'resdsl[rtx]'",
}
WITHOUT_TORCH = {
    "eager, CUDA graphs, torch.compile": "not without PyTorch, whose ways they are",
    "training steps": "not without PyTorch, which takes them",
    "engines": "not without PyTorch, whose tensors they take and give, those of TensorRT and of TensorRT for RTX alike",
    "ratios of speed": "not without PyTorch, to whose eager way they are",
}
VERSIONS = (
    "resdsl", "numpy", "onnx", "torch", "triton", "onnxruntime", "onnxruntime-gpu", "tensorrt", "torch-tensorrt",
    "tensorrt-rtx", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "timm", "torchvision", "pytorchcv",
)  # fmt: skip
SMI_FIELDS = ("name", "compute_cap", "memory.total", "driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit", "temperature.gpu")  # fmt: skip


def environment() -> Document:
    """What there is."""
    started = {name: _probe(name) for name in INSTALLED_BY if importlib.util.find_spec(name)}
    said = {name: _answer(process) for name, process in started.items()}
    installed = {each.name.lower().replace("_", "-"): each.version for each in metadata.distributions()}
    gpu = said.get("torch", {}).pop("gpu", None)
    smi = _smi(gpu.pop("uuid") if gpu else None)
    if gpu is None and smi is not None:
        mebibytes = smi["memory.total"].split()[0]  # or [N/A]
        memory = int(mebibytes) * 2**20 if mebibytes.isdecimal() else None
        gpu = {"name": smi["name"], "compute_capability": smi["compute_cap"], "memory_bytes": memory}
    return {
        **asdict(machine()),
        "commit": _commit(),
        "versions": {name: installed[name] for name in VERSIONS if name in installed},
        "libraries": said,
        "gpu": gpu,
        "nvidia_smi": smi,
    }


def has_torch(found: Document, device: str) -> bool:
    """Whether PyTorch computes on the device."""
    torch = found["libraries"].get("torch", {})
    return "version" in torch and (device == "cpu" or torch["finds_gpu"])


def families(found: Document, device: str) -> list[Family]:
    """Those for which all is there."""
    there = {name for name, said in found["libraries"].items() if "version" in said}
    there.update(found["libraries"].get("onnxruntime", {}).get("providers", []))
    if not has_torch(found, device):
        there.discard("torch")
    return [each for each in Family if each.needs <= there]


def missing(found: Document, device: str) -> list[Document]:
    """What is missing, each as `what` and `why`."""
    said: Document = found["libraries"]
    rows: dict[str, str] = {}
    for name, how in INSTALLED_BY.items():
        if name not in said:
            rows[name] = f"not installed: {how}"
        elif "error" in said[name]:
            rows[name] = f"installed, and cannot be loaded: {said[name]['error']}"
    if "providers" in said.get("onnxruntime", {}):
        for provider in (Provider.CUDA, Provider.TENSORRT):
            if provider.runtime_name not in said["onnxruntime"]["providers"]:
                rows[provider.runtime_name] = f"this ONNX Runtime has {', '.join(said['onnxruntime']['providers'])}"
    if "version" in said.get("torch", {}) and not said["torch"]["finds_gpu"]:
        rows["CUDA"] = f"PyTorch {said['torch']['version']} finds no GPU"
    if not has_torch(found, device):
        rows |= WITHOUT_TORCH
    elif "pytorchcv" not in found["versions"]:
        rows["pytorchcv"] = "not installed; its networks' training steps are those of resdsl's module, as a plain one"
    return [{"what": what, "why": why} for what, why in rows.items()]


def _probe(name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gpu.environment", name]
    return subprocess.Popen(command, cwd=TOOLS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


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
        found |= {"cuda": module.version.cuda, "cudnn": module.backends.cudnn.version()}
        found["finds_gpu"] = module.cuda.is_available()
        if found["finds_gpu"]:
            properties = module.cuda.get_device_properties(0)
            found["gpu"] = {
                "name": properties.name,
                "compute_capability": f"{properties.major}.{properties.minor}",
                "memory_bytes": properties.total_memory,
                "uuid": str(properties.uuid),
            }
    return found


def _smi(uuid: str | None) -> dict[str, str] | None:
    """What nvidia-smi says of a GPU before anything runs: PyTorch's first one, or else the first that is visible."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    which = f"GPU-{uuid.removeprefix('GPU-')}" if uuid else visible
    said = _output(["nvidia-smi", f"--query-gpu={','.join(SMI_FIELDS)}", "--format=csv,noheader", f"--id={which}"])
    return dict(zip(SMI_FIELDS, said.split(", "), strict=False)) if said else None


def _commit() -> str | None:
    """Of the checkout, with a + where files were changed."""
    commit = _output(["git", "-C", str(TOOLS), "rev-parse", "HEAD"])
    changed = _output(["git", "-C", str(TOOLS), "status", "--porcelain", "--untracked-files=no"])
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
