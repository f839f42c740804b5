"""What plays torch-tensorrt, which cannot be imported without a GPU: it writes down what it is called with, and builds nothing."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

Call = tuple[str, tuple[Any, ...], dict[str, Any]]
ENGINE = "dynamo.convert_exported_program_to_serialized_trt_engine"


class Library(ModuleType):
    """calls: of each function that was called, where it stands in torch_tensorrt, and its arguments; `Input` gives its keywords.

    does: done in each call.
    """

    def __init__(self, version: str) -> None:
        super().__init__("torch_tensorrt")
        self.__version__ = version
        self.tensorrt_package_name = "tensorrt"
        self.calls: list[Call] = []
        self.does: Callable[[dict[str, Any]], Any] = lambda keywords: None
        self.dynamo = SimpleNamespace(
            convert_exported_program_to_serialized_trt_engine=self._function(ENGINE, b"engine")
        )
        self.compile = self._function("compile", torch.nn.Identity())
        self.save = self._function("save", None)
        self.load = self._function("load", SimpleNamespace(module=torch.nn.Identity))

    def Input(self, **keywords: Any) -> dict[str, Any]:  # noqa: N802
        return keywords

    def _function(self, name: str, result: Any) -> Callable[..., Any]:
        def function(*arguments: Any, **keywords: Any) -> Any:
            self.calls.append((name, arguments, keywords))
            self.does(keywords)
            return result

        return function
