"""An ONNX model as a file, written tensor by tensor: no copy of all weights is ever made.

The bytes are those that protobuf itself would serialise: fields in the order of their numbers. Protobuf cannot hold more
than 2 GiB; larger weights stand in a second file beside the model (external data).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import onnx
from google.protobuf.message import Message

from resdsl.targets.onnx_tensors import Initialiser

PAGE = 4096
"""onnx.proto: offsets of external data should be multiples of the page size, so that they can be mapped."""
GRANULE, LARGE = 65536, 2**20
"""Windows maps from multiples of 64 KiB alone. Tensors of a MiB and more get that, as in ONNX Runtime's own files."""
INLINE = 1024
"""Bytes below which a tensor stays in the model, as in onnx's own files: shapes are inferred from the small ones."""

_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True, slots=True)
class Parts:
    """A model without initialisers, and these."""

    model: onnx.ModelProto
    initialisers: Sequence[Initialiser]

    def whole(self) -> onnx.ModelProto:
        """The model with its initialisers in it; at most 2 GiB of it can be serialised."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for initialiser in self.initialisers:
            tensor = model.graph.initializer.add()
            tensor.CopyFrom(initialiser.header())
            tensor.raw_data = initialiser.data().tobytes()
        return model


def write_model(parts: Parts, stream: BinaryIO) -> int:
    """Writes the model with its weights; how many bytes. The bytes are those of `parts.whole()`, deterministic."""
    return _write(parts, [(_inline(each), each) for each in parts.initialisers], stream)


def model_bytes(parts: Parts) -> bytes:
    """The model in one piece."""
    stream = io.BytesIO()
    write_model(parts, stream)
    return stream.getvalue()


def write_model_beside(parts: Parts, stream: BinaryIO, data: BinaryIO, location: str) -> int:
    """Writes the model without its large tensors, and these to `data`; how many bytes to both.

    location: the name of the file that `data` is, in the folder of the model's.
    """
    written = 0
    tensors: list[tuple[bytes, Initialiser | None]] = []
    for each in parts.initialisers:
        if each.size < INLINE:
            tensors.append((_inline(each), each))
            continue
        step = GRANULE if each.size >= LARGE else PAGE
        padding = -written % step
        data.write(bytes(padding))
        data.write(each.data())
        tensors.append((_external(each, location, written + padding), None))
        written += padding + each.size
    return written + _write(parts, tensors, stream)


def _write(parts: Parts, tensors: Sequence[tuple[bytes, Initialiser | None]], stream: BinaryIO) -> int:
    """The model's fields before the graph, the graph, the fields behind it; the graph's initialisers likewise."""
    before, behind = _around(parts.model, onnx.ModelProto.GRAPH_FIELD_NUMBER)
    first, last = _around(parts.model.graph, onnx.GraphProto.INITIALIZER_FIELD_NUMBER)
    bodies = [len(head) + (each.size if each else 0) for head, each in tensors]
    frames = [_frame(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, length) for length in bodies]
    graph = len(first) + sum(map(len, frames)) + sum(bodies) + len(last)
    opening = before + _frame(onnx.ModelProto.GRAPH_FIELD_NUMBER, graph)
    stream.write(opening)
    stream.write(first)
    for frame, (head, each) in zip(frames, tensors, strict=True):
        stream.write(frame + head)
        if each is not None:
            stream.write(each.data())
    stream.write(last)
    stream.write(behind)
    return len(opening) + graph + len(behind)


def _inline(initialiser: Initialiser) -> bytes:
    """The tensor's message up to its numbers; raw_data is the last of its fields."""
    return _serialised(initialiser.header()) + _frame(onnx.TensorProto.RAW_DATA_FIELD_NUMBER, initialiser.size)


def _external(initialiser: Initialiser, location: str, offset: int) -> bytes:
    tensor = initialiser.header()
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(initialiser.size))):
        tensor.external_data.add(key=key, value=value)
    return _serialised(tensor)


def _around(message: _M, number: int) -> tuple[bytes, bytes]:
    """The serialised fields with a smaller number, and those with a greater one."""
    halves = type(message)(), type(message)()
    for field, value in message.ListFields():
        if field.number == number:
            continue
        half = halves[field.number > number]
        if isinstance(value, Message):
            getattr(half, field.name).CopyFrom(value)
        elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
            getattr(half, field.name).MergeFrom(value)
        else:
            setattr(half, field.name, value)
    before, behind = map(_serialised, halves)
    return before, behind


def _serialised(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _frame(number: int, length: int) -> bytes:
    """What stands before a field of `length` bytes: its number and wire type 2, and the length."""
    return bytes((*_varint(number << 3 | 2), *_varint(length)))


def _varint(value: int) -> Iterator[int]:
    """Seven bits a byte, the lowest first; all but the last byte have their highest bit set."""
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
