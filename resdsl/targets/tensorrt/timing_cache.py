"""How fast kernels were, kept in a file between builds: equal layers are not timed again. TensorRT alone times."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resdsl.diagnostics import fail
from resdsl.writing import write


@dataclass(frozen=True, slots=True)
class TimingCache:
    """data: what the file holds; nothing if it is not there yet."""

    path: str
    data: bytes

    @classmethod
    def read(cls, path: str) -> TimingCache:
        """Raises SpecError if the file cannot be read, or could not be written later."""
        file = Path(path).resolve()
        try:
            data = file.read_bytes() if file.exists() else b""
        except OSError as error:
            raise fail("unreadable", f"the timing cache {path} cannot be read: {error.strerror}") from None
        if not os.access(file.parent, os.W_OK) or (file.exists() and not os.access(file, os.W_OK)):
            message = f"the timing cache {path} cannot be written"
            raise fail("unwritable", message, help="name a file in a folder of yours")
        return cls(path, data)

    def give(self, config: Any) -> None:
        """To a builder's configuration. Raises SpecError if that does not take it."""
        cache = config.create_timing_cache(self.data)
        if cache is None or not config.set_timing_cache(cache, False):
            message = f"the timing cache {self.path} is none that this TensorRT takes on this GPU"
            raise fail("wrong-timing-cache", message, help="name another file, which need not exist yet")

    def keep(self, config: Any) -> None:
        """Replaces the file by what the builder knows now, whole or not at all. Raises SpecError."""
        write(bytes(config.get_timing_cache().serialize()), self.path)
