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


class Form(Enum):
    """For whom an int8 graph is written; no graph serves both.

    ORT_CPU: activations uint8 with a zero point, biases int32. ONNX Runtime's fast kernels on x86 want these.
    TENSORRT: activations int8 around 0, biases float32. TensorRT takes no other.
    Both: weights int8, symmetric, one scale per output channel.
    """

    ORT_CPU = "ort-cpu"
    TENSORRT = "tensorrt"
