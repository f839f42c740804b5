"""What int8 changes: how far its outputs are from those in float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from resdsl.targets.onnx_int8.ranges import BATCH


@dataclass(frozen=True, slots=True)
class Int8Error:
    """largest: max|y8 - y32| / max|y32|. typical: root mean square of y8 - y32 over that of y32. agreement: the share of
    samples with the same largest output; None where the output is no list of two or more. samples: how many there were.
    """

    largest: float
    typical: float
    agreement: float | None
    samples: int


def int8_error(model: onnx.ModelProto, quantised: onnx.ModelProto, data: NDArray[np.float32]) -> Int8Error:
    """Compares `quantised` with the float32 model that it was made of, in ONNX Runtime on the CPU, on (n, *input).

    Data other than those of the calibration say more: with ranges measured on it, nothing saturates.
    """
    y32, y8 = _run(model, data), _run(quantised, data)
    difference = (y8 - y32).astype(np.float64)
    tiny = np.finfo(np.float64).tiny
    agreement = None
    if y32.ndim == 2 and y32.shape[1] > 1:
        agreement = float((y32.argmax(axis=1) == y8.argmax(axis=1)).mean())
    return Int8Error(
        largest=float(np.abs(difference).max() / max(float(np.abs(y32).max()), tiny)),
        typical=float(np.sqrt(np.square(difference).mean() / max(np.square(y32, dtype=np.float64).mean(), tiny))),
        agreement=agreement,
        samples=len(data),
    )


def _run(model: onnx.ModelProto, data: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate(
        [session.run(["output"], {"input": data[at : at + BATCH]})[0] for at in range(0, len(data), BATCH)]
    )
