"""What a run is computed with and on, for its records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch

from resdsl._version import __version__
from resdsl.bench.machine import Machine, machine


@dataclass(frozen=True, slots=True)
class Environment:
    """started: in UTC, ISO 8601. command: the words of the command line, empty from Python. device: its name as PyTorch gives it.
    cuda, cudnn: as PyTorch was built with or found them; empty without. threads: of PyTorch on the CPU, which sums depend on.
    """

    started: str
    command: tuple[str, ...]
    resdsl: str
    torch: str
    numpy: str
    cuda: str
    cudnn: str
    device: str
    threads: int
    machine: Machine


def environment(device: torch.device, command: Sequence[str] = ()) -> Environment:
    on_gpu = device.type == "cuda"
    return Environment(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=tuple(command),
        resdsl=__version__,
        torch=torch.__version__,
        numpy=np.__version__,
        cuda=torch.version.cuda or "",
        cudnn=str(torch.backends.cudnn.version() or "") if on_gpu else "",
        device=torch.cuda.get_device_name(device) if on_gpu else str(device),
        threads=torch.get_num_threads(),
        machine=machine(),
    )
