"""The device that a user names."""

from __future__ import annotations

import torch

from resdsl.diagnostics import fail

KINDS = ("cpu", "cuda")


def device_named(name: str | None) -> torch.device:
    """`cpu`, `cuda`, `cuda:N`; None for a GPU where there is one. Raises SpecError for any other, and for what is not there."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in KINDS:
        raise fail("unsupported-option", f"--device: {name!r} is none of cpu, cuda, cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        found = f"{count} GPU{'s' * (count != 1)}" if count else "no GPU"
        raise fail("unsupported-option", f"--device {name}: PyTorch finds {found} here", help="`--device cpu`")
    return device
