"""`resdsl verify`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import click
from click.core import ParameterSource

from resdsl import api
from resdsl._version import __version__
from resdsl.cli.engine_options import ENGINE_OPTIONS, engine_options
from resdsl.cli.model_options import (
    PRECISIONS,
    Numbers,
    chosen_passes,
    int8_options,
    pass_options,
    read_inputs,
    refuse,
    require_images,
    require_int8,
)
from resdsl.cli.options import (
    library_options,
    network_options,
    read_parameters,
    read_spec,
    reporting,
    weights_options,
)
from resdsl.spec import origin
from resdsl.targets.precision import Form, Precision
from resdsl.targets.tensorrt.options import EngineOptions
from resdsl.verify import EngineFile, Report, Wanted, verify
from resdsl.weights import CALIBRATED, network_weights

BUILD_OPTIONS = ENGINE_OPTIONS - {"batch"}
"""--batch counts random inputs here."""
MAX_INPUTS = 256
"""Of those that --input gives; the reference is slow."""


@click.command("verify", no_args_is_help=True)
@click.argument("spec")
@click.option("--target", type=click.Choice(["onnx", "trt"]), default="onnx", show_default=True, help="What is compared beside PyTorch: ONNX models, or a TensorRT engine in each --precision, which needs a GPU.")  # fmt: skip
@click.option("--engine", "engine_file", metavar="FILE", help="With --target trt: this engine, instead of one that is built.")  # fmt: skip
@network_options
@weights_options("random-calibrated")
@pass_options
@click.option("--precision", "precisions", type=click.Choice(PRECISIONS), multiple=True, help="Also the model in this precision; may be repeated.")  # fmt: skip
@int8_options
@click.option("--tolerance", type=click.FloatRange(0), help="Most that those, and engines, may be off.  [default: what the type's rounding explains, at most 0.1; int8: 0.25]")  # fmt: skip
@click.option(
    "--input", "inputs", metavar="PATH", help="Inputs to compare on, as for --calibration.  [default: random]"
)
@click.option(
    "--batch", type=click.IntRange(1, 1024), default=4, show_default=True, help="Random inputs to compare on."
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@engine_options(takes_batch=False)
def command(
    spec: str,
    target: str,
    engine_file: str | None,
    network: str | None,
    parameters: tuple[str, ...],
    root: Path | None,
    max_units: int,
    weights: str | None,
    seed: int,
    level: int | None,
    names: str | None,
    precisions: tuple[str, ...],
    calibration: str | None,
    form: str,
    mean: Numbers,
    std: Numbers,
    tolerance: float | None,
    inputs: str | None,
    batch: int,
    as_json: bool,
    engine: EngineOptions,
) -> None:
    """Run a network of SPEC in every target that is installed, and behind every pass, on the same input.

    Prints how far each is from the float64 reference, max|y - y64| / max|y64|, and exits with 1 if one is beyond its
    tolerance, if the output is not finite, or if it does not depend on the input. What fails is told with the first
    unit whose output is off. Weights are random-calibrated unless --weights says otherwise.

    \b
    resdsl verify specs/preact1001.resnet
    resdsl verify std/resnet110 --network preact110 --weights trained.safetensors --precision fp16
    resdsl verify std/resnet110 --network preact110 --weights trained.safetensors --target trt --engine preact110.engine
    """
    _require_about(target, engine_file)
    require_int8(precisions)
    require_images(mean, std, calibration, inputs)
    others = [Precision(precision) for precision in dict.fromkeys(precisions) if precision != Precision.FP32.value]
    if tolerance is not None and (math.isnan(tolerance) or not (others or target == "trt")):
        message = "a number from 0 on, for `--target trt`, or the --precision fp16, bf16 or int8 beside it"
        raise click.UsageError(f"--tolerance: {message}")
    if inputs is not None and click.get_current_context().get_parameter_source("batch") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--input and --batch: one of them says what is compared on")
    with reporting():
        options = library_options(root, max_units)
        source, given_parameters = read_spec(spec), read_parameters(parameters)
        built = api.build(source, network, given_parameters, options=options)
        wanted_engine = engine if target == "trt" else None
        if engine_file is not None:
            wanted_engine = EngineFile(engine_file, origin(source, given_parameters, options), seed)
        wanted = Wanted(
            chosen_passes(level, names),
            [Precision(each) for each in dict.fromkeys(precisions)] if target == "trt" else others,
            tolerance,
            read_inputs(calibration, built.input, mean, std),
            Form(form),
            wanted_engine,
        )
        x = read_inputs(inputs, built.input, mean, std, limit=MAX_INPUTS)
        report = verify(built, network_weights(built, weights or CALIBRATED, seed), x, batch=batch, wanted=wanted)
    click.echo(json.dumps(_document(report), indent=2) if as_json else _text(report))
    raise SystemExit(0 if report.passed else 1)


def _require_about(target: str, engine_file: str | None) -> None:
    """Wrong use: options that say nothing of what is compared."""
    if target != "trt":
        refuse({"engine_file", *BUILD_OPTIONS}, "this is for `--target trt`")
        return
    if engine_file == "":
        raise click.UsageError("--engine: the name of the file is empty")
    refuse(("form",), "an engine is always for TensorRT")
    if engine_file is not None:
        built = {"precisions", "calibration", "level", "names", *BUILD_OPTIONS}
        refuse(built, f"{engine_file} is built already, and says how")


def _document(report: Report) -> dict[str, object]:
    def finite(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    checks: list[dict[str, object]] = []
    for check in report.checks:
        departs = check.departs and {"unit": check.departs.unit, "error": finite(check.departs.error)}
        error, tolerance = finite(check.error), finite(check.tolerance)
        checks.append(
            {**asdict(check), "error": error, "tolerance": tolerance, "departs": departs, "passed": check.passed}
        )
        del checks[-1]["is_required"]  # `passed` says it
    return {
        "resdsl": __version__,
        "network": report.network,
        "batch": report.batch,
        "passed": report.passed,
        "problems": list(report.problems),
        "checks": checks,
    }


def _text(report: Report) -> str:
    width = max(len(check.target) for check in report.checks)
    lines = [f"{report.network}, {report.batch} inputs: relative difference from float64"]
    for check in report.checks:
        if check.error is None:
            lines.append(f"  {'-    ' if check.passed else 'FAIL '} {check.target:<{width}} not run: {check.note}")
            continue
        exact = check.error == check.tolerance == 0
        limit = "" if exact or math.isinf(check.tolerance) else f"  (at most {check.tolerance:.1e})"
        note = f"  {check.note}" if check.note else ""
        if check.agreement is not None:
            note += f"  {check.agreement:.1%} keep their class"
        lines.append(f"  {'ok   ' if check.passed else 'FAIL '} {check.target:<{width}} {check.error:.1e}{limit}{note}")
        if check.departs is not None:
            lines.append(f"        the first unit that is off is {check.departs.unit}, by {check.departs.error:.1e}")
    lines += [f"  FAIL  {problem}" for problem in report.problems]
    return "\n".join(lines)
