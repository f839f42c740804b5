"""A module that does what Ray documents, on this machine, one task after the other: init, is_initialized, remote(f),
.options(num_gpus=…), .remote(…), wait, get. Arguments and results are pickled, as Ray's are.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any


class Reference:
    """Stands for a result. It can be hashed, and tells nothing until `get`."""

    def __init__(self, call: Callable[[], bytes]) -> None:
        self.call = call


class RemoteFunction:
    def __init__(self, module: StandIn, function: Callable[..., Any], options: dict[str, object]) -> None:
        self.module, self.function, self.given = module, function, options

    def options(self, **given: object) -> RemoteFunction:
        return RemoteFunction(self.module, self.function, self.given | given)

    def remote(self, *arguments: object) -> Reference:
        assert self.module.is_initialized()
        self.module.submitted.append((pickle.loads(pickle.dumps(arguments)), self.given))
        sent = pickle.dumps((self.function, arguments))

        def call() -> bytes:
            function, received = pickle.loads(sent)
            return pickle.dumps(function(*received))

        return Reference(call)


class StandIn(ModuleType):
    """started: how often it was. submitted: arguments and options of each task."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.started = 0
        self.submitted: list[tuple[tuple[Any, ...], dict[str, object]]] = []

    def init(self) -> None:
        assert not self.is_initialized(), "Ray raises RuntimeError for a second ray.init()"
        self.started += 1

    def is_initialized(self) -> bool:
        return self.started > 0

    def remote(self, function: Callable[..., Any]) -> RemoteFunction:
        return RemoteFunction(self, function, {})

    def wait(self, references: list[Reference], *, num_returns: int = 1) -> tuple[list[Reference], list[Reference]]:
        """The last ones first: Ray promises no order."""
        assert len(set(references)) == len(references)
        assert num_returns <= len(references)
        return references[-num_returns:], references[:-num_returns]

    def get(self, reference: Reference) -> Any:
        return pickle.loads(reference.call())
