"""Which builder can do what. docs/tensorrt.md has this as a table, and a test holds both together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from resdsl.diagnostics import fail
from resdsl.targets.precision import Precision
from resdsl.targets.tensorrt.options import PORTABLE_TEXT, Builder, EngineOptions, Hardware, Via


class Way(Enum):
    """The ways to an engine. The value is the name of the way in messages and in the table."""

    TENSORRT = "TensorRT"
    TORCH = "TensorRT through torch-tensorrt"
    RTX = "TensorRT for RTX"


@dataclass(frozen=True, slots=True)
class No:
    """why: stands behind "unsupported: this option with that way, which ". instead: what to use."""

    why: str
    instead: str


@dataclass(frozen=True, slots=True)
class Feature:
    """option: as the command line has it. missing: the ways that cannot do it; all others can."""

    option: str
    is_asked: Callable[[EngineOptions, Precision], bool]
    missing: Mapping[Way, No] = field(default_factory=dict[Way, No])


_BY_ONNX = "`--via onnx`"
_BY_TENSORRT = "`--builder tensorrt`, on a machine with an NVIDIA GPU"
_ONNX_ALONE = No("is given ONNX alone", _BY_ONNX)
_HERE = No(
    "builds for the GPU of this machine", "`--hardware-compatible`, or `--builder rtx`, which needs no GPU to build"
)
_NAMED = No("has no such levels", f"`--compute-capability`; without it an RTX engine is for {PORTABLE_TEXT}")

FEATURES = (
    Feature("--via torch", lambda options, _: options.via is Via.TORCH, {Way.RTX: _ONNX_ALONE}),
    Feature("--via torch-module", lambda options, _: options.via is Via.TORCH_MODULE, {Way.RTX: _ONNX_ALONE}),
    Feature("--precision fp32", lambda _, precision: precision is Precision.FP32),
    Feature("--precision fp16", lambda _, precision: precision is Precision.FP16),
    Feature("--precision bf16", lambda _, precision: precision is Precision.BF16),
    Feature(
        "--precision int8",
        lambda _, precision: precision is Precision.INT8,
        {Way.TORCH: No("is given a module without integers", _BY_ONNX)},
    ),
    Feature("--batch", lambda *_: True),
    Feature("--tf32", lambda options, _: options.tf32),
    Feature("--workspace", lambda options, _: options.workspace is not None),
    Feature("--optimization-level", lambda options, _: options.level is not None),
    Feature(
        "--compute-capability 7.5, but in fp16",
        lambda options, precision: precision is not Precision.FP16 and "7.5" in options.compute_capabilities,
        {
            Way.TENSORRT: _HERE,
            Way.TORCH: _HERE,
            Way.RTX: No("multiplies matrices in fp16 alone there", "`--precision fp16`"),
        },
    ),
    Feature(
        "--compute-capability",
        lambda options, _: bool(options.compute_capabilities),
        {Way.TENSORRT: _HERE, Way.TORCH: _HERE},
    ),
    Feature(
        "--hardware-compatible ampere+",
        lambda options, _: options.hardware is Hardware.AMPERE_PLUS,
        {Way.RTX: _NAMED},
    ),
    Feature(
        "--hardware-compatible same",
        lambda options, _: options.hardware is Hardware.SAME_COMPUTE_CAPABILITY,
        {Way.RTX: _NAMED, Way.TORCH: No("knows `ampere+` alone", _BY_ONNX)},
    ),
    Feature(
        "--version-compatible",
        lambda options, _: options.version_compatible,
        {
            Way.RTX: No("comes without the runtime that such an engine would hold", _BY_TENSORRT),
            Way.TORCH: No("leaves out the runtime that such an engine would hold", _BY_ONNX),
        },
    ),
    Feature(
        "--refit",
        lambda options, _: options.refit,
        {Way.RTX: No("builds no such engine without a GPU", _BY_TENSORRT)},
    ),
    Feature(
        "--timing-cache",
        lambda options, _: options.timing_cache is not None,
        {Way.RTX: No("times nothing while it builds", "no cache: there is nothing to keep")},
    ),
)


def way_of(builder: Builder, via: Via) -> Way:
    """By which row of the table an engine is built."""
    if builder is Builder.RTX:
        return Way.RTX
    return Way.TENSORRT if via is Via.ONNX else Way.TORCH


def require_supported(options: EngineOptions, precision: Precision, builder: Builder) -> None:
    """Raises SpecError where this builder cannot do what is asked for."""
    way = way_of(builder, options.via)
    for feature in FEATURES:
        no = feature.missing.get(way)
        if no is not None and feature.is_asked(options, precision):
            message = f"unsupported: {feature.option} with {way.value}, which {no.why}"
            raise fail("unsupported-option", message, help=f"use {no.instead}")
