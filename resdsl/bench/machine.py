"""What measurements were made on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """cpu: its name as the system gives it. cores: those that this process may use, hyper-threads counted."""

    cpu: str
    cores: int
    platform: str
    python: str


def machine() -> Machine:
    """The machine that this runs on."""
    return Machine(_cpu(), cores(), platform.platform(), platform.python_version())


def cores() -> int:
    """How many cores this process may use, hyper-threads counted."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not on Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (named or [platform.processor() or platform.machine()])[0]
