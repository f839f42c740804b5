"""The types that a network's numbers may have in a file."""

from __future__ import annotations

from enum import Enum
from typing import assert_never


class Precision(Enum):
    """What weights and activations are held in. The value is what users call it."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"

    @property
    def bytes(self) -> int:
        """Of one weight."""
        match self:
            case Precision.FP32:
                return 4
            case Precision.FP16 | Precision.BF16:
                return 2
            case Precision.INT8:
                return 1
        assert_never(self)
