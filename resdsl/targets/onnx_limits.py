"""How large an ONNX model may be."""

from __future__ import annotations

MAX_ONNX_BYTES = 2**31 - 2**24
"""Of weights in the model's own file: protobuf holds 2 GiB, and 16 MiB are left for the nodes."""
