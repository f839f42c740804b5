"""`resdsl verify`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import click

from resdsl import api
from resdsl.cli.options import (
    library_options,
    network_options,
    read_parameters,
    read_spec,
    reporting,
    weights_options,
)
from resdsl.verify import Report, verify
from resdsl.weights import CALIBRATED, network_weights


@click.command("verify", no_args_is_help=True)
@click.argument("spec")
@network_options
@weights_options("random-calibrated")
@click.option("--batch", type=click.IntRange(1, 1024), default=4, show_default=True, help="Inputs to compare on.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def command(
    spec: str,
    network: str | None,
    parameters: tuple[str, ...],
    root: Path | None,
    max_units: int,
    weights: str | None,
    seed: int,
    batch: int,
    as_json: bool,
) -> None:
    """Run a network of SPEC in every target that is installed, on the same input.

    Prints how far each is from the float64 reference, max|y - y64| / max|y64|, and exits with 1 if one is beyond its
    tolerance, if the output is not finite, or if it does not depend on the input. Weights are random-calibrated
    unless --weights names a file.

    \b
    resdsl verify specs/preact1001.resnet
    resdsl verify std/resnet110 --network preact110 --weights trained.safetensors
    """
    with reporting():
        options = library_options(root, max_units)
        built = api.build(read_spec(spec), network, read_parameters(parameters), options=options)
        report = verify(built, network_weights(built, weights or CALIBRATED, seed), batch=batch)
    click.echo(json.dumps(_document(report), indent=2) if as_json else _text(report))
    raise SystemExit(0 if report.passed else 1)


def _document(report: Report) -> dict[str, object]:
    def finite(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    checks = [
        {**asdict(check), "error": finite(check.error), "tolerance": finite(check.tolerance), "passed": check.passed}
        for check in report.checks
    ]
    return {
        "network": report.network,
        "batch": report.batch,
        "passed": report.passed,
        "problems": list(report.problems),
        "checks": checks,
    }


def _text(report: Report) -> str:
    lines = [f"{report.network}, {report.batch} inputs: relative difference from float64"]
    for check in report.checks:
        if check.error is None:
            lines.append(f"  -     {check.target:<18} {check.note}")
            continue
        limit = "" if math.isinf(check.tolerance) else f"  (at most {check.tolerance:.1e})" if check.tolerance else ""
        note = f"  {check.note}" if check.note else ""
        lines.append(f"  {'ok   ' if check.passed else 'FAIL '} {check.target:<18} {check.error:.1e}{limit}{note}")
    lines += [f"  FAIL  {problem}" for problem in report.problems]
    return "\n".join(lines)
