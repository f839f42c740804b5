# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (nothing is known of what a checkpoint holds)
"""Weights from a PyTorch checkpoint, without running code that it may hold."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resdsl.diagnostics import fail

if TYPE_CHECKING:
    import torch

WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Where training scripts put a state_dict inside a checkpoint."""


def read_checkpoint(path: Path) -> dict[str, NDArray[np.generic]]:
    """Name -> array. A wrapped state_dict is unwrapped.

    Raises SpecError without torch, and for a file that torch.load(weights_only=True) refuses.
    """
    try:
        import torch
    except ModuleNotFoundError:
        help = "install `resdsl[torch]`, or save the weights as .safetensors"
        raise fail("weights", f"{path} is a PyTorch checkpoint, and torch is not installed", help=help) from None
    help = "save the state_dict alone: `torch.save(model.state_dict(), FILE)`"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        message = f"{path} is no PyTorch checkpoint, or holds other things than tensors, which are not read"
        raise fail("weights", message, help=help) from None
    except Exception as error:  # torch raises many types for a broken file
        if path.stat().st_size == 0:
            raise fail("weights", f"{path} is empty: no PyTorch checkpoint", help=help) from None
        reason = str(error).strip().split("\n")[0]
        words = "it is damaged, or something else" if isinstance(error, KeyError) or "miniz" in reason else reason
        raise fail("weights", f"{path} cannot be read as a PyTorch checkpoint: {words}", help=help) from None
    inside = loaded
    while isinstance(inside, dict):
        loaded = inside
        inside = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), dict)), None)
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in loaded.items()
    ):
        raise fail("weights", f"{path} holds no state_dict: names with tensors", help=help)
    tensors: dict[str, torch.Tensor] = loaded
    return {name: _array(name, value, path) for name, value in tensors.items()}


def _array(name: str, tensor: torch.Tensor, path: Path) -> NDArray[np.generic]:
    import torch

    if tensor.is_meta or tensor.is_quantized or tensor.layout is not torch.strided:
        kind = "without numbers" if tensor.is_meta else "quantised" if tensor.is_quantized else "sparse"
        raise fail("weights", f"{name} in {path} is a tensor that is {kind}")
    if tensor.is_floating_point() and tensor.dtype is not torch.float64:
        tensor = tensor.float()
    return tensor.detach().resolve_conj().resolve_neg().numpy()
