"""Int8 ONNX models: what is quantised, how ranges are measured, how it is written, and what it costs in accuracy."""

from resdsl.targets.onnx_int8.error import Int8Error, int8_error
from resdsl.targets.onnx_int8.form import Form
from resdsl.targets.onnx_int8.write import quantise

__all__ = ["Form", "Int8Error", "int8_error", "quantise"]
