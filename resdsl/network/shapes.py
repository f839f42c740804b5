"""What comes out of an operator for what goes in.

Shapes are without the batch. A ShapeError says why an operator cannot take a shape; whoever knows the place in the
source turns it into a diagnostic.
"""

from __future__ import annotations

from typing import assert_never

from resdsl.network.operators import (
    AvgPool,
    BatchNorm,
    Chain,
    Concat,
    Conv,
    Dropout,
    DropPath,
    Element,
    Flatten,
    Gate,
    Gelu,
    GlobalAvgPool,
    GroupNorm,
    LayerNorm,
    Linear,
    MaxPool,
    Pad,
    Partial,
    Relu,
    Removed,
    Scale,
    Sigmoid,
    Silu,
    SqueezeExcite,
    Tanh,
    Unit,
    Units,
)
from resdsl.network.types import Image, Pair, Shape, Tap, Vector

MAX_CHANNELS = 1 << 24
"""More channels or features than this are taken for a mistake."""


class ShapeError(ValueError):
    """An operator cannot take this shape. `help` says what to write instead, if anything."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


def chain_output(chain: Chain, shape: Shape) -> Shape:
    """The shape that leaves a chain. Raises ShapeError."""
    for element in chain:
        shape = output(element, shape)
    return shape


def output(element: Element, shape: Shape) -> Shape:
    """The shape that leaves an element. Raises ShapeError."""
    match element:
        case Conv():
            return _conv(element, shape)
        case Linear(features=features):
            if isinstance(shape, Image):
                raise ShapeError(f"linear reads a vector, and this is {shape}", "put `avgpool` or `flatten` before it")
            return Vector(_channels(features))
        case GroupNorm(groups=groups):
            if shape.channels % groups:
                raise ShapeError(f"{shape.channels} channels do not divide into {groups} groups")
            return shape
        case (
            MaxPool(kernel=kernel, stride=stride, padding=padding)
            | AvgPool(kernel=kernel, stride=stride, padding=padding)
        ):
            image = _image(shape, "a pooling")
            if padding[0] * 2 > kernel[0] or padding[1] * 2 > kernel[1]:
                raise ShapeError(f"padding {padding[0]}x{padding[1]} is more than half of the kernel")
            return _windows(image, image.channels, kernel, stride, 1, padding)
        case GlobalAvgPool():
            return Vector(_image(shape, "avgpool").channels)
        case Flatten():
            image = _image(shape, "flatten")
            return Vector(_channels(image.channels * image.height * image.width))
        case Pad(channels=channels, stride=stride):
            return _pad(channels, stride, shape)
        case SqueezeExcite(reduction=reduction):
            if _image(shape, "se").channels // reduction < 1:
                raise ShapeError(f"se({reduction}) leaves none of {shape.channels} channels")
            return shape
        case Partial(channels=channels, chain=chain):
            if not 0 < channels <= shape.channels:
                raise ShapeError(f"partial cannot take {channels} of {shape.channels} channels")
            inner = chain_output(chain, with_channels(shape, channels))
            return with_channels(inner, _channels(inner.channels + shape.channels - channels))
        case Concat(chains=chains):
            return _concat([chain_output(chain, shape) for chain in chains])
        case Units(runs=runs):
            for run in runs:
                if run.unit.input != shape or (run.count > 1 and run.unit.output != shape):
                    raise ShapeError(f"{run.unit.label} reads {run.unit.input}, and this is {shape}")
                shape = run.unit.output
            return shape
        case (
            BatchNorm()
            | LayerNorm()
            | Relu()
            | Gelu()
            | Silu()
            | Tanh()
            | Sigmoid()
            | Scale()
            | Gate()
            | Dropout()
            | DropPath()
            | Removed()
        ):
            return shape
    assert_never(element)


def shortcut_input(unit: Unit) -> Shape:
    """What a unit's shortcut reads."""
    return chain_output(unit.branch[: unit.lead], unit.input) if unit.shortcut.tap is Tap.ACTIVATED else unit.input


def branch_output(unit: Unit) -> Shape:
    """What a unit's branch gives, and so what stands on both sides of the addition."""
    return chain_output(unit.branch, unit.input)


def with_channels(shape: Shape, channels: int) -> Shape:
    """The shape with another number of channels."""
    match shape:
        case Image(height=height, width=width):
            return Image(channels, height, width)
        case Vector():
            return Vector(channels)


def _conv(conv: Conv, shape: Shape) -> Shape:
    if isinstance(shape, Vector):
        raise ShapeError(f"conv reads an image, and this is a vector of {shape}", "use `linear` on a vector")
    if shape.channels % conv.groups or conv.channels % conv.groups:
        raise ShapeError(
            f"{shape.channels} channels in and {conv.channels} out do not divide into {conv.groups} groups"
        )
    return _windows(shape, conv.channels, conv.kernel, conv.stride, conv.dilation, conv.padding)


def _windows(image: Image, channels: int, kernel: Pair, stride: int, dilation: int, padding: Pair) -> Image:
    def extent(size: int, kernel: int, padding: int) -> int:
        return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1

    height = extent(image.height, kernel[0], padding[0])
    width = extent(image.width, kernel[1], padding[1])
    if max(padding) > MAX_CHANNELS:
        raise ShapeError(f"padding {padding[0]}x{padding[1]} is too large")
    if height < 1 or width < 1:
        raise ShapeError(
            f"a {kernel[0]}x{kernel[1]} window does not fit into {image} (padding {padding[0]}x{padding[1]})"
        )
    return Image(_channels(channels), height, width)


def _pad(channels: int, stride: int, shape: Shape) -> Shape:
    if channels < shape.channels:
        raise ShapeError(f"pad appends channels, and {shape.channels} are more than {channels}", "use `conv(1x1)`")
    match shape:
        case Image(height=height, width=width):
            return Image(_channels(channels), -(-height // stride), -(-width // stride))
        case Vector():
            if stride != 1:
                raise ShapeError("pad on a vector has no stride")
            return Vector(_channels(channels))


def _concat(shapes: list[Shape]) -> Shape:
    first = shapes[0]
    for shape in shapes[1:]:
        if with_channels(shape, 1) != with_channels(first, 1):
            raise ShapeError(f"concat joins channels, and {first} meets {shape}: heights and widths must be equal")
    return with_channels(first, _channels(sum(shape.channels for shape in shapes)))


def _image(shape: Shape, who: str) -> Image:
    if isinstance(shape, Vector):
        raise ShapeError(f"{who} reads an image, and this is a vector of {shape}")
    return shape


def _channels(count: int) -> int:
    if count > MAX_CHANNELS:
        raise ShapeError(f"{count:,} channels are more than {MAX_CHANNELS:,}")
    return count
