"""What stands in the boxes of a unit's drawing, short and in the words of the papers."""

from __future__ import annotations

from typing import assert_never

from resdsl.linter.words import several
from resdsl.network import operators as op
from resdsl.network.types import Pair, PerCopy

WIDTH = "C"
"""In the place of channels, where only the form of a unit matters."""


def box_text(element: op.Element, *, widths: bool = True) -> str:
    """Of an operator or units in a row. widths: with channels and features."""
    match element:
        case op.Conv():
            return _conv(element, widths)
        case op.Linear(features=features):
            return f"linear, {features if widths else WIDTH}"
        case op.BatchNorm():
            return "BN"
        case op.GroupNorm(groups=groups):
            return f"GroupNorm, {groups} groups"
        case op.LayerNorm():
            return "LayerNorm"
        case op.Relu():
            return "ReLU"
        case op.Gelu():
            return "GELU"
        case op.Silu():
            return "SiLU"
        case op.Tanh():
            return "tanh"
        case op.Sigmoid():
            return "sigmoid"
        case op.Scale(factor=factor, learn=learn, per_channel=per_channel):
            learnt = (", learnt per channel" if per_channel else ", learnt") if learn else ""
            return f"× {_numbers(factor)}{learnt}"
        case op.Gate(bias=bias):
            return f"× (1 − g), bias {_numbers(bias)}"
        case op.Dropout(p=p):
            return f"dropout {_numbers(p)}"
        case op.DropPath(p=p):
            return f"drop path {_numbers(p)}"
        case op.SqueezeExcite(reduction=reduction):
            return f"SE, 1/{reduction}"
        case op.MaxPool(kernel=kernel, stride=stride):
            return f"max pool {_size(kernel)}{_stride(stride)}"
        case op.AvgPool(kernel=kernel, stride=stride):
            return f"mean pool {_size(kernel)}{_stride(stride)}"
        case op.GlobalAvgPool():
            return "mean over positions"
        case op.Pad(channels=channels, stride=stride):
            return f"zeros up to {channels if widths else WIDTH}{_stride(stride)}"
        case op.Flatten():
            return "flatten"
        case op.Partial(channels=channels):
            return f"first {channels if widths else WIDTH} channels, others 0"
        case op.Concat():
            return "concat"
        case op.Removed(was=was):
            return f"({was} removed)"
        case op.Units(runs=runs):
            names = dict.fromkeys(run.unit.name for run in runs)
            return f"{sum(run.count for run in runs)} × {', '.join(names)}"
    assert_never(element)


def is_nothing(element: op.Element) -> bool:
    """Whether it leaves what it reads as it is: a factor of 1 that is not learnt, and what a pass took out."""
    match element:
        case op.Scale(factor=1, learn=False) | op.Removed():
            return True
        case _:
            return False


def on_branch(element: op.Element) -> str:
    """What a shortcut's operator does to the finished branch; empty for nothing."""
    match element:
        case op.Scale(branch=branch) if branch != 1:
            return f"× {_numbers(branch)}"
        case op.Gate(branch=True):
            return "× g"
        case _:
            return ""


def _conv(conv: op.Conv, widths: bool) -> str:
    groups = f", {conv.groups} groups" if conv.groups > 1 and widths else ", groups" if conv.groups > 1 else ""
    dilation = f", dilation {conv.dilation}" if conv.dilation > 1 else ""
    return f"{_size(conv.kernel)} conv, {conv.channels if widths else WIDTH}{_stride(conv.stride)}{groups}{dilation}"


def _size(kernel: Pair) -> str:
    return f"{kernel[0]}×{kernel[1]}"


def _stride(stride: int) -> str:
    return f", /{stride}" if stride > 1 else ""


def _numbers(value: PerCopy) -> str:
    return several(value).replace("-", "−")
