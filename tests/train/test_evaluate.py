"""A run's network on its test set: in which precision, in which batches, and without memory for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from resdsl.diagnostics import SpecError
from resdsl.train.compute.execution import Precision
from resdsl.train.data.dataset import Arrays
from resdsl.train.evaluate import MOST, evaluate_run
from resdsl.train.trained import Trained, open_run
from tests.train.tries import attempt, data, shorter

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    run = tmp_path_factory.mktemp("evaluate") / "run"
    attempt(run, recipe=replace(shorter(3), steps=()))
    return open_run(run, "last")


def watch(patch: pytest.MonkeyPatch, told: Callable[[torch.Tensor], None]) -> None:
    """`told` is given what every convolution reads."""
    forward = nn.Conv2d.forward

    def watched(self: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        told(x)
        return forward(self, x)

    patch.setattr(nn.Conv2d, "forward", watched)


def test_a_precision_of_gpus_is_refused(trained: Trained) -> None:
    with pytest.raises(SpecError, match="--precision tf32: this is how NVIDIA GPUs multiply float32"):
        evaluate_run(trained, data(), CPU, Precision.TF32)
    in_tf32 = replace(trained, precision=Precision.TF32)
    assert evaluate_run(in_tf32, data(), CPU).loss == evaluate_run(trained, data(), CPU).loss, "fp32 by default"


def test_batches_of_many_gpus_are_not_this_one_s(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = data(samples=300)
    tested = Arrays(drawn.name, drawn.train, drawn.train, drawn.classes)
    expected = evaluate_run(trained, tested, CPU)
    given: set[int] = set()
    watch(monkeypatch, lambda x: given.add(len(x)))
    found = evaluate_run(replace(trained, batch=1024), tested, CPU)
    assert given == {MOST}
    assert found.counts == expected.counts
    assert found.loss == pytest.approx(expected.loss)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["gpu", "python", "cpu"],
)
def test_a_lack_of_memory_is_told(trained: Trained, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(x: torch.Tensor) -> None:
        raise error

    watch(monkeypatch, fail)
    with pytest.raises(SpecError, match="small with the data and a batch of 8 does not fit in the memory of") as caught:
        evaluate_run(trained, data(), CPU)
    assert caught.value.diagnostics[0].code == "out-of-memory"


def test_other_errors_stay(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(x: torch.Tensor) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    watch(monkeypatch, fail)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        evaluate_run(trained, data(), CPU)
