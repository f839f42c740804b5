"""What is picked for a device and why, what is refused, and what PyTorch is told for a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from dataclasses import asdict, replace

import pytest
import torch

from resdsl.diagnostics import SpecError
from resdsl.train.compute.execution import FORMS, Compile, Execution, Precision, Wanted, choose, in_force
from resdsl.train.data.batches import Share

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(params=[True, False], ids=["bf16", "no-bf16"])
def bf16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A GPU that computes in bf16, or does not."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: request.param)
    return request.param


def test_on_a_cpu_little_is_picked() -> None:
    found = choose(Wanted(), CPU)
    assert found == Execution(channels_last=True)
    assert len(found.reasons) == 4
    assert found.reasons[0] == "compile none: on a CPU compiling takes longer than a try-out"
    assert found.reasons[-1].startswith("channels last: ")


def test_on_a_gpu_all_is_picked(bf16: bool) -> None:
    found = choose(Wanted(), CUDA)
    precision = Precision.BF16 if bf16 else Precision.FP32
    assert found == Execution(compile=Compile.UNITS, graph=True, precision=precision, channels_last=True)
    assert [reason.partition(":")[0] for reason in found.reasons] == [
        "compile units", "CUDA graph", precision.value, "channels last",
    ]  # fmt: skip
    assert sum("not measured" in reason for reason in found.reasons) == (4 if bf16 else 3)


def test_several_processes_are_not_captured(bf16: bool) -> None:
    found = choose(Wanted(), CUDA, Share(0, 2))
    assert not found.graph
    assert "no CUDA graph: steps of several processes are not captured" in found.reasons


def test_recomputed_units_are_captured_on_request_alone(bf16: bool) -> None:
    assert not choose(Wanted(recompute=True), CUDA).graph
    assert choose(Wanted(recompute=True, graph=True), CUDA).graph


def test_what_draws_random_numbers_twice_is_not_captured(bf16: bool) -> None:
    """The second pass goes back to the first one's state, which cannot be read while a graph is captured."""
    both = Wanted(recompute=True, graph=True)
    with pytest.raises(SpecError, match="--graph --recompute: units with dropout or drop_path draw") as caught:
        choose(both, CUDA, draws=True)
    assert caught.value.diagnostics[0].code == "unsupported-option"
    assert choose(replace(both, recompute=False), CUDA, draws=True).graph
    assert not choose(replace(both, graph=None), CUDA, draws=True).graph


def test_layouts_by_their_names() -> None:
    assert Execution(channels_last=True).layout is torch.channels_last
    assert Execution().layout is torch.contiguous_format


def test_what_was_asked_for_is_taken_without_a_reason() -> None:
    asked = Wanted(
        compile=Compile.UNITS, graph=False, precision=Precision.FP64, channels_last=True, recompute=True, accumulate=4
    )
    found = choose(asked, CPU)
    assert {name: value for name, value in asdict(found).items() if name in asdict(asked)} == asdict(asked)
    assert found.reasons == ()
    assert str(found) == "compile units, fp64, channels last, units recomputed, 4 parts a step"


def test_no_is_an_answer(bf16: bool) -> None:
    found = choose(Wanted(compile=Compile.NONE, graph=False, channels_last=False), CUDA)
    assert (found.compile, found.graph, found.channels_last) == (Compile.NONE, False, False)
    assert len(found.reasons) == 1


@pytest.mark.parametrize(
    ("wanted", "device", "share", "message"),
    [
        (Wanted(sync_norm=True), CPU, Share(), "--sync-norm: PyTorch synchronises"),
        (Wanted(graph=True), CPU, Share(), "--graph: there are CUDA graphs"),
        (Wanted(graph=True), CUDA, Share(0, 2), "--graph: steps of several processes"),
        (Wanted(precision=Precision.TF32), CPU, Share(), "--precision tf32"),
        (Wanted(recompute=True, compile=Compile.WHOLE), CPU, Share(), "--recompute --compile whole"),
        (Wanted(accumulate=0), CPU, Share(), "--accumulate 0: a batch has at least one part"),
    ],
)
def test_what_cannot_be_done_is_refused(wanted: Wanted, device: torch.device, share: Share, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        choose(wanted, device, share)
    assert caught.value.diagnostics[0].code == "unsupported-option"
    assert message in str(caught.value)


# What PyTorch is told


@pytest.fixture(params=["untouched", "high", "one new setting", "all new settings"])
def before(request: pytest.FixtureRequest) -> Generator[None]:
    """What a program may have set before it trains."""
    places = (*PLACES, torch.backends)
    kept = [place.fp32_precision for place in places]
    match request.param:
        case "high":
            torch.set_float32_matmul_precision("high")
        case "one new setting":
            torch.backends.cuda.matmul.fp32_precision = "tf32"
        case "all new settings":
            torch.backends.fp32_precision = "tf32"
    yield
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True
    for place, value in zip(places, kept, strict=True):
        place.fp32_precision = value


PLACES = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn, torch.backends.mkldnn.matmul)


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        (Precision.FP32, "ieee"),
        (Precision.TF32, "tf32"),
        (Precision.BF16, "ieee"),
        (Precision.FP64, "ieee"),
    ],
)
@pytest.mark.usefixtures("before")
def test_float32_means_float32_in_products_and_convolutions(precision: Precision, expected: str) -> None:
    found = [place.fp32_precision for place in PLACES]
    with in_force(Execution(precision=precision), CUDA):
        assert torch.backends.cuda.matmul.fp32_precision == expected
        assert torch.backends.cudnn.conv.fp32_precision == expected
        assert torch.get_float32_matmul_precision() == ("high" if expected == "tf32" else "highest")
        assert torch.backends.cuda.matmul.allow_tf32 is (expected == "tf32")
    assert [place.fp32_precision for place in PLACES] == found


READ_AGAIN = """
import torch
from resdsl.train.compute.execution import Execution, Precision, in_force

def read():
    cuda = torch.backends.cuda.matmul.allow_tf32
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, cuda

assert read() == ("highest", True, False)
for precision in (Precision.FP32, Precision.TF32):
    with in_force(Execution(precision=precision), torch.device("cuda")):
        assert torch.backends.cudnn.allow_tf32 is (precision is Precision.TF32)
    assert read() == ("highest", True, False)
"""


def test_pytorch_s_own_settings_can_be_read_as_before() -> None:
    """In a process of its own: where both ways were used, PyTorch refuses to read the old one."""
    done = subprocess.run([sys.executable, "-c", READ_AGAIN], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("device", "timed"), [(CPU, False), (CUDA, True)])
def test_cudnn_times_its_algorithms(device: torch.device, timed: bool) -> None:
    with in_force(Execution(), device):
        assert torch.backends.cudnn.benchmark is timed
    assert torch.backends.cudnn.benchmark is False


def test_settings_are_put_back_after_an_error() -> None:
    with pytest.raises(ArithmeticError), in_force(Execution(precision=Precision.TF32), CUDA):
        raise ArithmeticError
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.cudnn.benchmark is False


def test_limits_of_compiling() -> None:
    config = torch._dynamo.config
    before = (config.recompile_limit, config.accumulated_recompile_limit, config.fail_on_recompile_limit_hit)
    with in_force(Execution(compile=Compile.UNITS), CPU):
        assert (config.recompile_limit, config.accumulated_recompile_limit) == (FORMS, FORMS)
        assert config.fail_on_recompile_limit_hit
    assert (config.recompile_limit, config.accumulated_recompile_limit, config.fail_on_recompile_limit_hit) == before
