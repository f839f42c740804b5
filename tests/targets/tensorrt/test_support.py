"""The table of what each builder can do: it is in the docs, and each "no" is an error with a way out."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from resdsl.diagnostics import SpecError
from resdsl.targets.precision import Precision
from resdsl.targets.tensorrt.options import Batch, Builder, EngineOptions, Hardware, Via
from resdsl.targets.tensorrt.support import FEATURES, Feature, Way, require_supported, way_of
from tests.conftest import SPECS

DOCS = SPECS.parent / "docs" / "tensorrt.md"
ASKED: dict[str, tuple[EngineOptions, Precision]] = {
    "--via torch": (EngineOptions(via=Via.TORCH), Precision.FP32),
    "--via torch-module": (EngineOptions(via=Via.TORCH_MODULE), Precision.FP32),
    "--precision fp32": (EngineOptions(), Precision.FP32),
    "--precision fp16": (EngineOptions(), Precision.FP16),
    "--precision bf16": (EngineOptions(), Precision.BF16),
    "--precision int8": (EngineOptions(), Precision.INT8),
    "--batch": (EngineOptions(batch=Batch(2, 2, 2)), Precision.FP32),
    "--tf32": (EngineOptions(tf32=True), Precision.FP32),
    "--workspace": (EngineOptions(workspace=64), Precision.FP32),
    "--optimization-level": (EngineOptions(level=5), Precision.FP32),
    "--compute-capability 7.5, but in fp16": (EngineOptions(compute_capabilities=("8.9", "7.5")), Precision.FP32),
    "--compute-capability": (EngineOptions(compute_capabilities=("8.9",)), Precision.FP32),
    "--hardware-compatible ampere+": (EngineOptions(hardware=Hardware.AMPERE_PLUS), Precision.FP32),
    "--hardware-compatible same": (EngineOptions(hardware=Hardware.SAME_COMPUTE_CAPABILITY), Precision.FP32),
    "--version-compatible": (EngineOptions(version_compatible=True), Precision.FP32),
    "--refit": (EngineOptions(refit=True), Precision.FP32),
    "--timing-cache": (EngineOptions(timing_cache="cache"), Precision.FP32),
}
WAYS = {
    Way.TENSORRT: (Builder.TENSORRT, Via.ONNX),
    Way.TORCH: (Builder.TENSORRT, Via.TORCH),
    Way.RTX: (Builder.RTX, Via.ONNX),
}


def table() -> str:
    """As it stands in docs/tensorrt.md."""
    lines = [f"| | {' | '.join(way.value for way in Way)} |", "|---|" + "---|" * len(Way)]
    for feature in FEATURES:
        cells = (f"no: use {feature.missing[way].instead}" if way in feature.missing else "yes" for way in Way)
        lines.append(f"| `{feature.option}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_table_of_the_docs() -> None:
    found = re.search(r"test_support\.py -->\n(.*?)\n<!-- end -->", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    assert found[1] == table()


def test_each_feature_has_its_example() -> None:
    assert [feature.option for feature in FEATURES] == list(ASKED)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.option)
@pytest.mark.parametrize("way", Way, ids=lambda way: way.name)
def test_what_is_missing_is_said(feature: Feature, way: Way) -> None:
    options, precision = ASKED[feature.option]
    builder, via = WAYS[way]
    if options.via is Via.ONNX:
        options = replace(options, via=via)
    assert feature.is_asked(options, precision)
    if feature.option.startswith("--via") and way is Way.TENSORRT:
        assert way_of(builder, options.via) is Way.TORCH
    if way not in feature.missing:
        require_supported(options, precision, builder)
        return
    with pytest.raises(SpecError) as raised:
        require_supported(options, precision, builder)
    (found,) = raised.value.diagnostics
    assert found.code == "unsupported-option"
    assert found.message.startswith(f"unsupported: {feature.option} with {way.value}, which ")
    assert found.help == f"use {feature.missing[way].instead}"
