"""The libraries, imported: torchvision, timm and pytorchcv (`pip install 'resdsl[peers]'`)."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from torch import nn


def peer(library: str, model: str, options: Mapping[str, Any]) -> nn.Module:
    """A model of a library, untrained. Skips the test that asks where the library is not installed."""
    for needed in (library, "torchvision"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: pip install 'resdsl[peers]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_torchvision()
        return _MAKE[library](model)(**options)


def import_torchvision() -> None:
    """Wheels of torchvision hold operators compiled for one build of torch, and beside another its import fails where they
    are described. The classification models need none of them: without the descriptions it imports.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
        importlib.import_module("torchvision")


def _pytorchcv(model: str) -> Callable[..., nn.Module]:
    """A model, or the function that makes all of a family, written module.function."""
    if "." in model:
        module, _, function = model.partition(".")
        return getattr(importlib.import_module(f"pytorchcv.models.{module}"), function)
    provider = importlib.import_module("pytorchcv.model_provider")
    return lambda **options: provider.get_model(model, **options)


def _timm(model: str) -> Callable[..., nn.Module]:
    timm = importlib.import_module("timm")
    return lambda **options: timm.create_model(model, **options)


def _torchvision(model: str) -> Callable[..., nn.Module]:
    models = importlib.import_module("torchvision.models")
    return lambda **options: models.get_model(model, **options)


_MAKE = {"pytorchcv": _pytorchcv, "timm": _timm, "torchvision": _torchvision}
