"""Int8 ONNX models: what is quantised, how ranges are measured, and how it is written."""
