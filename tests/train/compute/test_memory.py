"""Too little memory says what would fit, and changes nothing."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import distributed as dist
from torch import nn

from resdsl.diagnostics import SpecError
from resdsl.network.initial import initial_weights
from resdsl.spec import build
from resdsl.train.compute import memory
from resdsl.train.compute.execution import Execution, Wanted
from resdsl.train.compute.model import training_module
from resdsl.train.compute.parallel import distributed
from resdsl.train.compute.step import Step
from resdsl.train.data.batches import Batch, Share
from resdsl.train.run.checkpoint import checkpoints
from tests.train.tries import RECIPE, SPEC, attempt, left_by

ON_GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
ON_CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
)


def room_for(samples: int, patch: pytest.MonkeyPatch, error: Exception = ON_GPU) -> list[int]:
    """Norms of more samples than that find no memory. How many they were given, in order."""
    given: list[int] = []
    forward = nn.BatchNorm2d.forward

    def checked(self: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
        given.append(len(x))
        if len(x) > samples:
            raise error
        return forward(self, x)

    patch.setattr(nn.BatchNorm2d, "forward", checked)
    return given


@pytest.mark.parametrize("error", [ON_GPU, ON_CPU], ids=["gpu", "cpu"])
@pytest.mark.parametrize(
    ("room", "fits", "parts"),
    [(7, "4 fit", "--accumulate 2"), (3, "2 fit", "--accumulate 4"), (1, "1 fit", "--accumulate 8")],
)
def test_what_would_fit_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, room: int, fits: str, parts: str
) -> None:
    room_for(room, monkeypatch, error)
    with pytest.raises(SpecError) as caught:
        attempt(tmp_path / "run")
    said = caught.value.diagnostics[0]
    assert said.code == "out-of-memory"
    assert "8 samples at once" in said.message
    assert fits in said.notes[0]
    assert parts in said.help
    assert "--recompute" in said.help
    assert not checkpoints(tmp_path / "run")


def test_where_not_one_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room_for(0, monkeypatch)
    with pytest.raises(SpecError, match="not even one sample fits") as caught:
        attempt(tmp_path / "run", wanted=Wanted(recompute=True))
    assert "--recompute" not in caught.value.diagnostics[0].help
    assert "a smaller network" in caught.value.diagnostics[0].help


def test_parts_are_halved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = room_for(3, monkeypatch)
    with pytest.raises(SpecError, match="4 samples at once") as caught:
        attempt(tmp_path / "run", wanted=Wanted(accumulate=2))
    assert "--accumulate 4" in caught.value.diagnostics[0].help
    assert given[:2] == [4, 2]


def test_what_it_says_works_and_is_a_run_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        room_for(3, patch)
        with pytest.raises(SpecError, match="out-of-memory"):
            attempt(run)
        with pytest.raises(SpecError, match="out-of-memory"):  # the evaluation at the end has batches of 8
            attempt(run, resume=True, wanted=Wanted(accumulate=4))
    attempt(run, resume=True)
    attempt(tmp_path / "whole")
    assert left_by(run)["log"][-1]["iteration"] == RECIPE.length


def test_nothing_is_tried_where_other_processes_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backward pass would send gradients, which the others do not expect."""
    network, cpu, execution = build(SPEC), torch.device("cpu"), Execution(recompute=True)
    module = training_module(network, initial_weights(network), execution, cpu)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        step = Step(module, RECIPE, execution, distributed(module, Share(0, 2)))
        batch = Batch(torch.randn(8, 3, 8, 8), torch.randint(0, 10, (8,)), 8)
        given = room_for(2, monkeypatch)
        with (
            pytest.raises(SpecError, match="8 samples at once does not fit") as caught,
            memory.told(step, lambda: batch),
        ):
            step(batch)
    finally:
        dist.destroy_process_group()
    assert given == [8]
    said = caught.value.diagnostics[0]
    assert said.notes == ("what would fit is tried in runs of one process alone",)
    assert said.help == "a smaller batch, or a greater `--accumulate`, or more processes"


def test_a_lack_of_memory_behind_another_error() -> None:
    """As a capture ends: with an error of its own in place of what happened inside."""

    @contextmanager
    def capture() -> Generator[None]:
        try:
            yield
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    def failed(first: Exception) -> RuntimeError:
        with pytest.raises(RuntimeError, match="during capture") as caught, capture():
            raise first
        return caught.value

    assert memory.is_lack_of_memory(failed(ON_GPU))
    assert not memory.is_lack_of_memory(failed(ValueError("no")))
    caused = RuntimeError("one")
    caused.__cause__ = RuntimeError("two")
    caused.__cause__.__cause__ = MemoryError()
    assert memory.is_lack_of_memory(caused)
    caused.__cause__ = None
    assert not memory.is_lack_of_memory(caused)


def test_it_is_told_even_if_trying_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    network, cpu = build(SPEC), torch.device("cpu")
    step = Step(training_module(network, initial_weights(network), Execution(), cpu), RECIPE, Execution())
    batch = Batch(torch.randn(8, 3, 8, 8), torch.randint(0, 10, (8,)), 8)

    def fitting(step: Step, batch: Batch) -> int:
        raise RuntimeError("Offset increment outside graph capture encountered unexpectedly.")

    monkeypatch.setattr(memory, "fitting", fitting)
    expected = pytest.raises(SpecError, match="the network with its momentum and one batch does not fit")
    with expected, memory.told(step, lambda: batch):
        raise ON_GPU


def test_trying_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(SPEC)
    cpu = torch.device("cpu")
    step = Step(training_module(network, initial_weights(network), Execution(), cpu), RECIPE, Execution())
    before = {name: tensor.clone() for name, tensor in step.module.state_dict().items()}
    batch = Batch(torch.randn(8, 3, 8, 8), torch.randint(0, 10, (8,)), 8)
    room_for(2, monkeypatch)
    assert memory.fitting(step, batch) == 2
    assert all(torch.equal(before[name], tensor) for name, tensor in step.module.state_dict().items())
    assert not any(p.grad is not None for p in step.module.parameters())
    assert not any(tensor.any() for tensor in step.momentum().values())


def test_other_errors_are_none_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room_for(3, monkeypatch, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        attempt(tmp_path / "run")
    assert memory.is_lack_of_memory(MemoryError())
    assert not memory.is_lack_of_memory(ValueError("out of memory"))


LIMITED = """
import resource, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
import torch
from resdsl.diagnostics import SpecError
from resdsl.train.data.dataset import Arrays, Split
from tests.train.tries import RECIPE, SPEC, attempt

torch.ones(2, 2) @ torch.ones(2, 2)
draw = np.random.default_rng(0)
split = Split(draw.integers(0, 256, (256, 3, 64, 64), np.uint8), draw.integers(0, 10, 256))
data = Arrays("noise", split, split, tuple("abcdefghij"))
spec = SPEC.replace("3x8x8", "3x64x64").replace("conv(3x3, 4) ->", "conv(3x3, 64) ->").replace("shaky(4)", "shaky(64)")
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 900 * 2**20, -1))
try:
    attempt(Path(sys.argv[1]), spec, replace(RECIPE, batch=256), of=data)
except SpecError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(resource, "RLIMIT_AS") or sys.platform != "linux", reason="limits of address space are Linux's"
)
def test_a_limit_of_the_system(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "run")]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert "error[out-of-memory]: a step on 256 samples at once does not fit" in ended.stdout, ended.stderr
    assert "fit, found by halving" in ended.stdout
    assert "`--accumulate" in ended.stdout
