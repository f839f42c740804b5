"""verify says whether targets and passes compute the network, and where one that does not begins to depart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from resdsl.cli import main
from resdsl.network.evaluate import evaluate, random_input
from resdsl.network.network import Network
from resdsl.passes import run as passes_run
from resdsl.passes.draft import Draft
from resdsl.passes.table import passes_of
from resdsl.passes.tally import Tally
from resdsl.spec import build
from resdsl.targets.onnx_compile import compile_onnx
from resdsl.targets.onnx_runtime import run_parts
from resdsl.targets.precision import Precision
from resdsl.targets.torch_module import run_torch
from resdsl.verify import Check, Report, Wanted, verify
from resdsl.weights import CALIBRATED, network_weights

FP16 = Wanted(precisions=(Precision.FP16,))
SPEC = Path(__file__).parent.parent / "specs" / "cifar.resnet"


def build_text(text: str) -> Network:
    return build(f"resnet 1\n{text}\n")


def checks_of(report: Report) -> dict[str, Check]:
    return {check.target: check for check in report.checks}


def test_units_are_traced_alike_by_every_target() -> None:
    """Pre-activation with nested units elsewhere: the stream behind each unit, in numpy, PyTorch and ONNX Runtime."""
    network = build(SPEC, "preact20")
    weights, x = network_weights(network, CALIBRATED), random_input(network, 2)
    traces: list[dict[str, np.ndarray]] = [{}, {}, {}]
    evaluate(network, weights, x, trace=traces[0])
    run_torch(network, weights, x, double=False, trace=traces[1])
    run_parts(compile_onnx(network, weights).parts, x, traces[2])
    assert list(traces[0]) == [f"stage{stage}.{unit}" for stage in (1, 2, 3) for unit in range(3)]
    for other in traces[1:]:
        assert list(other) == list(traces[0])
        for unit, y in traces[0].items():
            assert np.abs(other[unit] - y).max() <= 1e-5 * np.abs(y).max(), unit


def test_folded_streams_differ_by_their_shifts_alone() -> None:
    network = build(SPEC, "preact20")
    weights = {name: array.astype(np.float64) for name, array in network_weights(network, CALIBRATED).items()}
    x = random_input(network, 2).astype(np.float64)
    before: dict[str, np.ndarray] = {}
    after: dict[str, np.ndarray] = {}
    evaluate(network, weights, x, trace=before)
    step = passes_run.run_passes(network, weights, passes_of(2))[-1]
    evaluate(step.network, step.weights, x, trace=after)
    moved = [unit for unit in before if not np.allclose(before[unit], after[unit])]
    assert set(moved) == set(step.tally.shifts)
    assert len(moved) > 5
    for unit, shift in step.tally.shifts.items():
        assert np.allclose(
            after[unit] - shift[:, None, None], before[unit], rtol=0, atol=1e-11 * np.abs(before[unit]).max()
        )


@pytest.mark.parametrize("unit", ["stage1.1", "stage3.0"])
def test_a_wrong_pass_is_found_with_the_first_unit_that_departs(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(draft: Draft) -> Tally:
        name = f"{unit}.conv2.weight"
        draft.weights[name] = draft.weights[name] * 1.01
        return Tally((unit,))

    monkeypatch.setitem(passes_run.RUN, "fold-scales", broken)
    network = build(SPEC, "preact20")
    report = verify(network, network_weights(network, CALIBRATED), batch=2)
    found = checks_of(report)
    assert not report.passed
    failed = {name for name, check in found.items() if not check.passed}
    assert failed == {"pass fold-scales", "pass fold-batchnorm", "pass fold-preactivation", "onnx with passes"}
    for name in failed:
        departs = found[name].departs
        assert departs is not None
        assert departs.unit == unit, name
        assert departs.error > found[name].tolerance


def test_precisions_are_held_to_what_their_rounding_explains() -> None:
    network = build(SPEC, "resnet20")
    weights = network_weights(network, CALIBRATED)
    precisions = (Precision.FP16, Precision.BF16, Precision.INT8)
    data = random_input(network, 16, 3)
    found = checks_of(verify(network, weights, data[:2], wanted=Wanted(precisions=precisions, calibration=data)))
    half, brain, whole = (found[f"onnx {precision.value}"] for precision in precisions)
    assert half.passed
    assert half.error is not None
    assert 1e-5 < half.error < half.tolerance < 0.1
    assert brain.error is None
    assert "no kernel" in brain.note
    assert not brain.passed, "asked for, and not run"
    assert whole.passed
    assert whole.error is not None
    assert 1e-3 < whole.error < whole.tolerance == 0.25
    assert whole.agreement is not None
    strict = verify(network, weights, data[:2], wanted=Wanted(precisions=precisions[:1], tolerance=half.error / 2))
    assert not strict.passed
    assert checks_of(strict)["onnx fp16"].departs is not None


def test_the_order_of_precisions_says_nothing() -> None:
    """Int8 is compared on its calibration's inputs, the others on the run's."""
    network = build_text("network n { input 3x8x8 stem conv(3x3, 4) -> bn -> relu head avgpool -> linear(5) }")
    weights, data = network_weights(network, CALIBRATED), random_input(network, 8, 3)
    pair = (Precision.INT8, Precision.FP16)
    first, second = (
        checks_of(verify(network, weights, wanted=Wanted(precisions=order, calibration=data)))
        for order in (pair, pair[::-1])
    )
    assert first == second
    assert first["onnx int8"].note == "on 8 of its calibration inputs"


def test_given_inputs_and_passes(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, random_input(build(SPEC, "preact20"), 3))
    arguments = [
        "verify",
        str(SPEC),
        "--network",
        "preact20",
        "--input",
        str(path),
        "--passes",
        "fold-batchnorm",
        "--json",
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.output)
    assert document["batch"] == 3
    assert [check["target"] for check in document["checks"] if check["target"].startswith("pass")] == [
        "pass fold-batchnorm"
    ]
    assert set(document) == {"resdsl", "network", "batch", "passed", "problems", "checks"}
    keys = {"target", "error", "tolerance", "note", "agreement", "departs", "passed"}
    assert all(set(check) == keys for check in document["checks"])


def test_input_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((2, 3, 8, 8), np.float32))
    result = CliRunner().invoke(main, ["verify", str(SPEC), "--network", "preact20", "--input", str(path)])
    assert result.exit_code == 1
    assert "the network reads n x 3 x 32 x 32" in result.output


def test_no_network_amplifies_so_much_that_anything_passes() -> None:
    """By the rule alone, fp16 could be off by a multiple of the output of 56 plain layers."""
    network = build(SPEC, "plain56")
    (check,) = (
        check
        for check in verify(network, network_weights(network, CALIBRATED), batch=1, wanted=FP16).checks
        if check.target == "onnx fp16"
    )
    assert check.tolerance == 0.1


def test_a_network_without_rounding() -> None:
    network = build_text("network n { input 3x8x8 head relu }")
    data = random_input(network, 4)
    report = verify(network, {}, batch=2, wanted=Wanted(precisions=(Precision.FP16, Precision.INT8), calibration=data))
    assert report.passed, report
    assert all(np.isfinite(check.tolerance) for check in report.checks if check.target != "reference float32")


def test_every_input_counts_for_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is all zeros, and tells nothing of what multiplies it."""

    def broken(draft: Draft) -> Tally:
        draft.weights["stem_conv.weight"] = draft.weights["stem_conv.weight"] * 1.01
        return Tally(("stem_conv",))

    monkeypatch.setitem(passes_run.RUN, "remove-dead", broken)
    network = build_text("network n { input 3x8x8 stem conv(3x3, 4) head relu -> avgpool -> linear(3) }")
    x = random_input(network, 2)
    x[0] = 0
    report = verify(network, network_weights(network), x)
    assert not checks_of(report)["pass remove-dead"].passed


def test_a_tolerance_is_a_number() -> None:
    for wrong in (
        ["--tolerance", "nan", "--precision", "fp16"],
        ["--tolerance", "0.1"],
        ["--input", "x.npy", "--batch", "2"],
    ):
        result = CliRunner().invoke(main, ["verify", str(SPEC), "--network", "preact20", *wrong])
        assert result.exit_code == 2, wrong


def test_equal_inputs_have_equal_outputs() -> None:
    network = build_text("network n { input 3x8x8 head avgpool -> linear(3) }")
    x = np.repeat(random_input(network, 1), 3, axis=0)
    assert verify(network, network_weights(network), x).passed
