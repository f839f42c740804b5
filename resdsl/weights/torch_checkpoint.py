# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (nothing is known of what a checkpoint holds)
"""Weights from a PyTorch checkpoint, without running code that it may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail

WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Where training scripts put a state_dict inside a checkpoint."""


def read_checkpoint(path: Path) -> dict[str, NDArray[np.generic]]:
    """Name -> array. A wrapped state_dict and DistributedDataParallel's `module.` prefix are unwrapped.

    Raises SpecError without torch, and for a file that torch.load(weights_only=True) refuses.
    """
    try:
        import torch
    except ModuleNotFoundError:
        help = "install `resdsl[torch]`, or save the weights as .safetensors"
        raise fail("weights", f"{path} is a PyTorch checkpoint, and torch is not installed", help=help) from None
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a broken or unsafe file
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise fail("weights", f"{path} cannot be read as a PyTorch checkpoint: {reason}") from None
    for wrapper in WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise fail("weights", f"{path} holds no state_dict: names with tensors")
    tensors: dict[str, torch.Tensor] = loaded
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return {name: _array(value, torch.bfloat16) for name, value in tensors.items()}


def _array(tensor: Any, bfloat16: Any) -> NDArray[np.generic]:
    """numpy has no bfloat16; float32 holds it exactly."""
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == bfloat16 else tensor).numpy()
