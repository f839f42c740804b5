"""Two processes train as one does that takes both parts of each batch by itself; what ends one of them ends both.

The processes are parallel_worker.py, in float64 on the CPU.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from resdsl.diagnostics import SpecError
from resdsl.network.initial import initial_weights
from resdsl.targets.torch_module import torch_module
from resdsl.train.compute.execution import Compile, Precision, Wanted, choose
from resdsl.train.compute.parallel import alike, from_first, own, processes, started, summed, together
from resdsl.train.data.batches import Batch, Resident, Share
from resdsl.train.data.dataset import Arrays, Split
from resdsl.train.run import log
from resdsl.train.run.checkpoint import checkpoints, read
from resdsl.train.run.events import Logged
from resdsl.train.run.fit import fit
from resdsl.train.setup import Setup, setup
from tests.train.compute.parallel_worker import NETWORK, PARAMETERS, RECIPE, SEED, SPEC, STEPS, data

WORKER = Path(__file__).with_name("parallel_worker.py")
ROOT = Path(__file__).parents[3]
PATIENCE = 120
"""Seconds after which a test says that processes hang."""
GRACE = 40
"""Seconds for torchrun to end its processes, to which it gives 30."""
CPU = torch.device("cpu")


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**inherited, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths, **variables}


def asked(folder: Path, cases: list[dict[str, Any]]) -> Path:
    path = folder / "cases.json"
    path.write_text(json.dumps([{**case, "run": str(folder / case["run"])} for case in cases]), encoding="utf-8")
    return path


def torchrun(folder: Path, *cases: dict[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*command, str(WORKER), str(asked(folder, list(cases)))],
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def waited_for(process: subprocess.Popen[str]) -> str:
    """Until it ends: what it said to standard error. torchrun that does not end is asked to, so that its processes end too."""
    try:
        return process.communicate(timeout=PATIENCE)[1]
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
        process.kill()


@dataclass(frozen=True)
class Ended:
    status: int
    said: str


def as_srun(folder: Path, *cases: dict[str, Any]) -> list[Ended]:
    """Two processes that are told in the environment who they are, and nothing else."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    path = asked(folder, list(cases))
    begun = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(path)],
            env=environment(**place, RANK=str(rank), WORLD_SIZE="2"),
            text=True,
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=PATIENCE)[1] for process in begun]
    finally:
        for process in begun:
            process.kill()
    return [Ended(process.returncode, text.strip()) for process, text in zip(begun, said, strict=True)]


def results(folder: Path, run: str) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{run}.{rank}.json").read_text("utf-8")) for rank in range(2)]


CASES: list[dict[str, Any]] = [
    {"run": "plain"},
    {"run": "accumulated", "accumulate": 2},
    {"run": "recomputed", "recompute": True},
    {"run": "halves", "signalled_at": 3},
    {"run": "halves", "resume": True},
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, by torchrun."""
    folder = tmp_path_factory.mktemp("runs")
    process = torchrun(folder, *CASES)
    said = waited_for(process)
    assert process.returncode == 0, said
    assert said.strip() == "", "nothing warns"
    return folder


def made() -> Setup:
    return setup(SPEC, RECIPE, data(), network=NETWORK, parameters=PARAMETERS, seed=SEED)


def module_of(run: Path) -> nn.Module:
    module = torch_module(made().network).double()
    module.load_state_dict(load_file(run / "last.safetensors"), strict=False)
    return module.eval()


@dataclass(frozen=True)
class Reference:
    """modules: one for each process; the same parameters, statistics of their own. losses, wrongs: means of each step."""

    modules: tuple[nn.Module, ...]
    momentum: dict[str, torch.Tensor]
    losses: list[float]
    wrongs: list[float]


def reference(parts: int) -> Reference:
    """One process: forward and backward of each shard in turn, gradients averaged, and SGD written out."""
    asked = made()
    weights = initial_weights(asked.network, SEED)
    modules = tuple(torch_module(asked.network, weights).double().train() for _ in range(2))
    momentum = {name: torch.zeros_like(p) for name, p in modules[0].named_parameters()}
    batches = Resident(data(), RECIPE, asked.by, seed=SEED, device=CPU, dtype=torch.float64)
    losses, wrongs = list[float](), list[float]()
    for step, batch in enumerate([batch for epoch in range(3) for batch in batches.training(epoch)][:STEPS]):
        step_losses, wrong = list[float](), 0
        for rank, module in enumerate(modules):
            module.zero_grad()
            shard = slice(4 * rank, 4 * rank + 4)
            for x, y in zip(batch.inputs[shard].chunk(parts), batch.labels[shard].chunk(parts), strict=True):
                logits = module(x)
                loss = F.cross_entropy(logits, y)
                (loss / parts).backward()
                step_losses.append(loss.item())
                wrong += int((logits.argmax(1) != y).sum())
        losses.append(sum(step_losses) / len(step_losses))
        wrongs.append(wrong / 8)
        rate = 0.01 if step < 1 or step >= 3 else 0.1
        both = zip(*(module.named_parameters() for module in modules), strict=True)
        with torch.no_grad():
            for (name, one), (_, other) in both:
                gradient = (one.grad + other.grad) / 2 + (1e-4 * one if one.ndim > 1 else 0)
                momentum[name] = 0.9 * momentum[name] + gradient
                one -= rate * (gradient + 0.9 * momentum[name])
                other.copy_(one)
    return Reference(modules, momentum, losses, wrongs)


def require_close(found: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    scale = max(1e-3, float(expected.abs().max()))
    assert float((found - expected).abs().max()) < 1e-11 * scale, what


def require_as_reference(folder: Path, run: str, parts: int = 1) -> None:
    expected = reference(parts)
    state = read(checkpoints(folder / run)[-1])
    assert state.iteration == STEPS
    parameters = dict(expected.modules[0].named_parameters())
    statistics = {name: tensor for name, tensor in expected.modules[0].named_buffers() if "running" in name}
    assert state.weights.keys() == parameters.keys() | statistics.keys()
    for name, tensor in (parameters | statistics).items():
        require_close(state.weights[name], tensor.detach(), name)
    for name, tensor in expected.momentum.items():
        require_close(state.momentum[name], tensor, name)
    others = dict(expected.modules[1].named_buffers())
    assert any(not torch.allclose(tensor, others[name]) for name, tensor in statistics.items()), "shards differ"
    logged = [each for each in log.history(folder / run) if isinstance(each, Logged)]
    assert [each.iteration for each in logged] == [2, 4, 5]
    for event, steps in zip(logged, (slice(0, 2), slice(2, 4), slice(4, 5)), strict=True):
        count = steps.stop - steps.start
        assert event.loss == pytest.approx(sum(expected.losses[steps]) / count, rel=1e-12)
        assert event.error == pytest.approx(sum(expected.wrongs[steps]) / count, rel=1e-12)


@pytest.mark.parametrize(("run", "parts"), [("plain", 1), ("accumulated", 2), ("recomputed", 1), ("halves", 1)])
@pytest.mark.slow
def test_two_processes_are_one_with_both_shards(runs: Path, run: str, parts: int) -> None:
    require_as_reference(runs, run, parts)


@pytest.mark.slow
def test_two_processes_with_compiled_units(tmp_path: Path) -> None:
    cases = [{"run": "units", "units": True}, {"run": "recomputed", "units": True, "accumulate": 2, "recompute": True}]
    assert as_srun(tmp_path, *cases) == [Ended(0, "")] * 2
    require_as_reference(tmp_path, "units")
    require_as_reference(tmp_path, "recomputed", 2)


@pytest.mark.slow
def test_a_resumed_run_is_the_uninterrupted_one(runs: Path) -> None:
    """Bit for bit, stopped in the middle of an epoch and of a line of the log, by a signal that one process got. The mean of a line
    is added up in another order: what both processes had summed before is the first one's afterwards.
    """
    for name, tensor in load_file(runs / "plain" / "last.safetensors").items():
        assert torch.equal(load_file(runs / "halves" / "last.safetensors")[name], tensor), name
    plain, halves = (read(checkpoints(runs / run)[-1]) for run in ("plain", "halves"))
    for name, tensor in plain.momentum.items():
        assert torch.equal(halves.momentum[name], tensor), name
    lines = [[(each.loss, each.error) for each in log.history(runs / run)] for run in ("plain", "halves")]
    for one, other in zip(*lines, strict=True):
        assert one == pytest.approx(other, rel=1e-14)
    assert [path.name for path in checkpoints(runs / "halves")] == ["00000003.safetensors", "00000005.safetensors"]


@pytest.mark.slow
def test_every_process_has_the_result_and_one_tells(runs: Path) -> None:
    first, second = results(runs, "plain")
    assert first.pop("events") == ["Started", "Logged", "Logged", "Logged", "Evaluated", "Saved"]
    assert second.pop("events") == []
    assert first == second
    assert first["finished"]


@pytest.mark.slow
def test_the_test_set_is_divided_and_summed(runs: Path) -> None:
    """As one process evaluates the weights and statistics that were saved."""
    module, asked = module_of(runs / "plain"), made()
    batches = Resident(data(), RECIPE, asked.by, seed=SEED, device=CPU, dtype=torch.float64)
    confusion, loss = torch.zeros(10, 10, dtype=torch.int64), 0.0
    for batch in batches.evaluation():
        with torch.no_grad():
            logits, labels = module(batch.inputs)[: batch.valid], batch.labels[: batch.valid]
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        for label, said in zip(labels, logits.argmax(1), strict=True):
            confusion[label, said] += 1
    for found in results(runs, "plain"):
        assert found["confusion"] == confusion.tolist()
        assert found["loss"] == pytest.approx(loss / 13, rel=1e-12)


@pytest.mark.slow
def test_a_run_goes_on_with_as_many_processes(runs: Path) -> None:
    """Norms would see other batches."""
    with pytest.raises(SpecError) as error:
        fit(
            SPEC, RECIPE, data(), run=runs / "plain", network=NETWORK, parameters=PARAMETERS, seed=SEED,
            device="cpu", resume=True,
        )  # fmt: skip
    (found,) = error.value.diagnostics
    assert found.code == "other-run"
    assert found.message.endswith("another number of processes")
    assert found.notes, "the numbers are shown"


@pytest.mark.slow
def test_sigterm_to_torchrun_saves_once_and_ends_all(tmp_path: Path) -> None:
    process = torchrun(tmp_path, {"run": "long", "length": 100_000, "evaluate": 100_000, "told": True})
    late = threading.Timer(PATIENCE, process.terminate)
    late.start()
    assert process.stdout is not None
    said = process.stdout.readline()
    late.cancel()
    process.send_signal(signal.SIGTERM)
    waited_for(process)
    assert said == "it trains\n"
    first, second = results(tmp_path, "long")
    assert first.pop("events").count("Saved") == 1
    assert second.pop("events") == []
    assert first == second
    assert (first["finished"], first["signal"]) == (False, signal.SIGTERM)
    (path,) = checkpoints(tmp_path / "long")
    assert read(path).iteration == first["iteration"]


@pytest.mark.slow
def test_what_is_wrong_in_all_is_said_once(tmp_path: Path) -> None:
    first, second = as_srun(tmp_path, {"run": "run", "batch": 9})
    assert first.status == 1
    assert first.said.startswith("error[wrong-batch]: a batch of 9 is not divided by 2 processes")
    assert "Traceback" not in first.said
    assert second == Ended(0, "")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_what_fails_in_one_ends_all(tmp_path: Path) -> None:
    """Where the checkpoint is to stand there is something else, as the first process alone finds out."""
    first, second = as_srun(tmp_path, {"run": "run", "length": 1000, "evaluate": 2, "full_disk": True})
    assert first.status == 1
    assert first.said.startswith("error[unwritable]:")
    assert "Traceback" not in first.said
    assert second == Ended(0, "")


@pytest.mark.slow
def test_what_fails_in_the_second_alone_is_said_by_it(tmp_path: Path) -> None:
    """While the first one is on its way to wait for it."""
    first, second = as_srun(tmp_path, {"run": "run", "fails": True})
    assert first == Ended(0, "")
    assert second == Ended(1, "error[out-of-memory]: the second has no room")


@pytest.mark.slow
def test_a_process_that_dies_ends_the_others(tmp_path: Path) -> None:
    first, second = as_srun(tmp_path, {"run": "run", "length": 1000, "dies_at": 2})
    assert second.status == 3
    assert first.status == 1
    assert first.said.startswith("error[process-ended]: another process of this run has ended")


@pytest.mark.parametrize("world", [2, 4, 8])
def test_batches_do_not_depend_on_the_number_of_processes(world: int) -> None:
    by = made().by
    whole = list(Resident(data(), RECIPE, by, seed=SEED, device=CPU).training(1))
    parts = [Resident(data(), RECIPE, by, seed=SEED, device=CPU, share=Share(rank, world)) for rank in range(world)]
    for batch, *shares in zip(whole, *(part.training(1) for part in parts), strict=True):
        assert torch.equal(batch.inputs, torch.cat([share.inputs for share in shares]))
        assert torch.equal(batch.labels, torch.cat([share.labels for share in shares]))
    tested = [batch for part in parts for batch in part.evaluation()]
    assert sum(batch.valid for batch in tested) == 13
    assert sorted(_rows(tested)) == sorted(
        _rows(list(Resident(data(), RECIPE, by, seed=SEED, device=CPU).evaluation()))
    )


def _rows(batches: list[Batch]) -> list[tuple[float, ...]]:
    return [tuple(x.flatten().tolist()) for batch in batches for x in batch.inputs[: batch.valid]]


def test_more_processes_than_test_samples() -> None:
    few = Arrays("few", data().train, Split(data().test.inputs[:3], data().test.labels[:3]), data().classes)
    parts = [Resident(few, RECIPE, made().by, seed=SEED, device=CPU, share=Share(rank, 8)) for rank in range(8)]
    assert [[batch.valid for batch in part.evaluation()] for part in parts] == [[1]] * 3 + [[]] * 5


def test_one_process_is_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    total = torch.tensor(3)
    with processes(CPU) as share, together():
        assert share == Share()
        assert summed(total).item() == 3
        assert summed(total) is not total
        assert from_first((1, None)) == (1, None)
        alike([total])
    assert total.item() == 3


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "1", "WORLD_SIZE": "2"}, "WORLD_SIZE is 2, and MASTER_ADDR and MASTER_PORT are not set"),
        ({"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "a"}, "WORLD_SIZE is 2, and MASTER_PORT is not set"),
        ({"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "RANK is 2, and WORLD_SIZE is 2"),
        ({"RANK": "one", "WORLD_SIZE": "2"}, "RANK is 'one', and not a number"),
    ],
)
def test_half_an_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SpecError) as error:
        started()
    assert [(each.code, each.message) for each in error.value.diagnostics] == [("wrong-processes", message)]


def test_each_process_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts of GPUs are played."""
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    variables = {"RANK": "5", "WORLD_SIZE": "8", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert own(torch.device("cuda")) == torch.device("cuda", 1), "as srun counts"
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert own(torch.device("cuda")) == torch.device("cuda", 0)
    assert chosen == [torch.device("cuda", 1), torch.device("cuda", 0)]
    assert own(CPU) == CPU
    with pytest.raises(SpecError, match="cuda:1 is one GPU for 8 processes") as caught:
        own(torch.device("cuda", 1))
    assert "`--device cuda`" in caught.value.diagnostics[0].help
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(SpecError, match="there are 2 GPUs for at least 3 processes on this machine"):
        own(torch.device("cuda"))


@pytest.mark.parametrize("index", [None, 1])
def test_one_process_takes_the_gpu_that_is_asked_for(monkeypatch: pytest.MonkeyPatch, index: int | None) -> None:
    asked = torch.device("cuda") if index is None else torch.device("cuda", index)
    for variables in ({}, {"RANK": "0", "WORLD_SIZE": "1"}):
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert own(asked) == asked


def test_nested_blocks_fail_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two processes, the other one failed in the inner block: it is asked about once."""
    asked: list[int] = []

    def other_failed(first: torch.Tensor, _: object) -> None:
        asked.append(int(first))
        first.fill_(1)

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", other_failed)
    with pytest.raises(SystemExit) as ended, together(), together():
        pass
    assert ended.value.code == 0
    assert asked == [2]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="PyTorch synchronises norms of two processes on two GPUs")
def test_synchronised_norms_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    """Two processes are one that has the whole batch, statistics and all."""
    process = torchrun(tmp_path, {"run": "two", "device": "cuda", "sync_norm": True})
    said = waited_for(process)
    assert process.returncode == 0, said
    wanted = Wanted(precision=Precision.FP64, compile=Compile.NONE, graph=False, channels_last=False)
    fit(
        SPEC, RECIPE, data(), run=tmp_path / "one", network=NETWORK, parameters=PARAMETERS, seed=SEED, wanted=wanted,
        device="cuda",
    )  # fmt: skip
    one, two = (load_file(tmp_path / run / "last.safetensors") for run in ("one", "two"))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.allclose(two[name], tensor, rtol=1e-9, atol=1e-9), name


def test_norms_are_synchronised_on_gpus_alone() -> None:
    with pytest.raises(SpecError, match="--sync-norm: PyTorch synchronises batch norms on GPUs alone"):
        choose(Wanted(sync_norm=True, precision=Precision.FP64), CPU, Share(0, 2))
