"""How long training steps of CIFAR's deepest networks take: those of `resdsl train` beside PyTorch's on pytorchcv's networks.

One measurement is one process: what is compiled, captured or broken in one is nothing to the next. Samples lie on the device.
A step is forward, cross entropy, backward, and SGD with momentum and weight decay; `resdsl train`'s counts loss and errors too.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gpu.cases import CASES, CIFAR, Case, Numbers
from gpu.rows import Part, Plan, Rows, Skipped, Task, Trained
from gpu.ways import Family
from resdsl.bench.measure import Cell, measure
from resdsl.network.network import Network

if TYPE_CHECKING:
    import torch
    from torch import nn


RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 1e-4
CHUNK = 0.2
"""Seconds of steps between two times that the device is waited for, about."""
LONG = 600
"""Seconds without which torch.compile is not begun on a whole network of a thousand layers."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network of ours, and the same one of pytorchcv; quick: a small one of its kind."""

    case: Case
    peer: str
    quick_peer: str


SUBJECTS = {
    subject.case.network: subject
    for subject in (
        Subject(Case("preact110", "std/resnet110", "preact110", CIFAR, training=(128,)), "preresnet110_cifar10", "preresnet20_cifar10"),
        Subject(CASES["preact164"], "preresnet164bn_cifar10", "preresnet20_cifar10"),
        Subject(CASES["preact1001"], "preresnet1001_cifar10", "preresnet20_cifar10"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stepping:
    """A step that is ready. step: begins the next one, and waits for nothing. loss: of the last step. module: whose it is.
    execution: what `resdsl train` chose; empty for others.
    """

    step: Callable[[], object]
    loss: Callable[[], float]
    numbers: Numbers
    module: str
    execution: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """A way to train, in one process for each network. open: makes the step, for a batch, on a device, quick or not."""

    name: str
    family: Family
    open: Callable[[Subject, int, str, bool], Stepping]
    on: tuple[str, ...] = ("cuda", "cpu")


def tasks(families: tuple[Family, ...], device: str, batch: int | None) -> list[Task]:
    """By method and then by network: where time ends, every network has something. batch: another than the networks' own, for
    the first network alone.
    """
    return [
        Task(Part.TRAINING, method.family, name, batch or subject.case.training[0], method.name)
        for method in METHODS
        if method.family in families and device in method.on
        for name, subject in list(SUBJECTS.items())[: 1 if batch else None]
    ]


def train(task: Task, plan: Plan, rows: Rows) -> None:
    """Times one method on one network."""
    subject = SUBJECTS[task.network]
    if task.family is Family.STEP_WHOLE and subject.case.slow_compile and not plan.quick and plan.left < LONG:
        why = f"{subject.case.slow_compile}: it is begun where {LONG} s are left"
        rows.tell(Skipped(Part.TRAINING, str(task), why))
        return
    method = next(each for each in METHODS if each.name == task.way)
    rows.attempt(lambda: rows.tell(_timed(method, subject, task, plan)), Part.TRAINING, str(task))


def _timed(method: Method, subject: Subject, task: Task, plan: Plan) -> Trained:
    """Raises ArithmeticError if the loss is not finite."""
    import torch

    start = time.perf_counter()
    stepping = method.open(subject, task.batch, plan.device, plan.quick)
    stepping.step()
    _wait(plan.device)
    first_seconds = time.perf_counter() - start
    for _ in range(2):  # what is compiled, kept or chosen once is, after these
        stepping.step()
        _wait(plan.device)
    start = time.perf_counter()
    stepping.step()
    _wait(plan.device)
    steps = 1 if plan.quick else max(1, round(CHUNK / (time.perf_counter() - start)))

    def call() -> None:
        for _ in range(steps):
            stepping.step()
        _wait(plan.device)

    (timing,) = measure([Cell(method.name, task.batch * steps, call)], plan.rounds, seconds=plan.seconds)
    loss, is_gpu = stepping.loss(), plan.device == "cuda"
    if not loss < float("inf"):
        raise ArithmeticError(f"the loss is {loss}")
    lower, upper = timing.quartiles
    return Trained(
        network=task.network,
        way=method.name,
        module=stepping.module,
        execution=stepping.execution,
        numbers=stepping.numbers,
        batch=task.batch,
        seconds=timing.seconds / steps,
        lower_quartile=lower / steps,
        upper_quartile=upper / steps,
        images_per_second=timing.samples_per_second,
        first_seconds=first_seconds,
        peak_bytes=torch.cuda.max_memory_allocated() if is_gpu else None,
        reserved_bytes=torch.cuda.max_memory_reserved() if is_gpu else None,
        rounds=tuple(each / steps for each in timing.rounds),
    )


def _ours(compile: str | None, graph: bool | None) -> Callable[[Subject, int, str, bool], Stepping]:
    """As `resdsl train` runs it; None for its own choice."""

    def opened(subject: Subject, batch: int, device: str, quick: bool) -> Stepping:
        import torch

        from resdsl.network.initial import initial_weights
        from resdsl.train.compute.execution import Compile, Wanted, choose, in_force
        from resdsl.train.compute.model import training_module
        from resdsl.train.compute.step import Captured, Step
        from resdsl.train.data.batches import Batch
        from resdsl.train.recipe import CIFAR as RECIPE

        place = torch.device(device, 0) if device == "cuda" else torch.device(device)
        execution = choose(Wanted(compile=None if compile is None else Compile(compile), graph=graph), place)
        ExitStack().enter_context(in_force(execution, place))  # for as long as the process lives
        network = subject.case.build(quick=quick)
        module = training_module(network, initial_weights(network), execution, place)
        inputs, labels = _samples(network, batch, device)
        layout = torch.channels_last if execution.channels_last else torch.contiguous_format
        given = Batch(inputs.to(memory_format=layout), labels, batch)
        step = Step(module, replace(RECIPE, rate=RATE), execution)
        step.rate.fill_(RATE)
        update = Captured(step, given) if execution.graph else step

        def loss() -> float:
            step.read()
            update(given)
            return step.read().loss / batch

        return Stepping(lambda: update(given), loss, Numbers(execution.precision.value), "resdsl", str(execution))

    return opened


def _eager(numbers: Numbers, *, channels_last: bool = False, compiled: bool = False) -> Callable[[Subject, int, str, bool], Stepping]:  # fmt: skip
    """As a plain loop in PyTorch, on pytorchcv's network, or on resdsl's module where there is no pytorchcv."""

    def opened(subject: Subject, batch: int, device: str, quick: bool) -> Stepping:
        import torch
        from torch.nn import functional

        torch.backends.cudnn.allow_tf32 = numbers is Numbers.TF32
        torch.backends.cuda.matmul.allow_tf32 = False  # PyTorch's default is TF32 for convolutions alone
        network = subject.case.build(quick=quick)
        module, whose = _module(subject, network, quick)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        module = module.train().to(device, memory_format=layout)
        inputs, labels = _samples(network, batch, device)
        inputs = inputs.to(memory_format=layout)
        forward = torch.compile(module, dynamic=False) if compiled else module
        optimiser = torch.optim.SGD(module.parameters(), RATE, MOMENTUM, weight_decay=WEIGHT_DECAY)
        halves = numbers is Numbers.BF16
        last: list[torch.Tensor] = []

        def step() -> None:
            optimiser.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=halves):
                loss = functional.cross_entropy(forward(inputs), labels)
            loss.backward()
            optimiser.step()
            last[:] = [loss.detach()]

        return Stepping(step, lambda: float(last[0]), numbers, whose)

    return opened


def _module(subject: Subject, network: Network, quick: bool) -> tuple[nn.Module, str]:
    """The network, and whose module it is."""
    if find_spec("pytorchcv") is not None:
        networks = importlib.import_module("pytorchcv.models.preresnet_cifar")
        return getattr(networks, subject.quick_peer if quick else subject.peer)(), "pytorchcv"
    from resdsl.network.initial import initial_weights
    from resdsl.targets.torch_module import torch_module

    return torch_module(network, initial_weights(network)), "resdsl"


def _samples(network: Network, batch: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise, and labels of ten classes."""
    import torch

    from resdsl.network.evaluate import random_input

    x = torch.from_numpy(random_input(network, batch, 1)).to(device)
    return x, torch.arange(batch, device=device) % 10


def _wait(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


OURS, EAGER, DEFAULT, WHOLE = "resdsl train", "eager, fp32", "eager, tf32", "torch.compile, channels last, bf16"
_NO_CPU = ("cuda",)
METHODS = (
    Method(OURS, Family.STEP_OURS, _ours(None, None)),
    Method(EAGER, Family.STEP_EAGER, _eager(Numbers.FP32)),
    Method(DEFAULT, Family.STEP_EAGER, _eager(Numbers.TF32), _NO_CPU),
    Method("eager, channels last, bf16", Family.STEP_EAGER, _eager(Numbers.BF16, channels_last=True)),
    Method("resdsl train, nothing compiled, CUDA graph", Family.STEP_OURS, _ours("none", True), _NO_CPU),
    Method("resdsl train, units compiled, no graph", Family.STEP_OURS, _ours("units", False), _NO_CPU),
    Method(WHOLE, Family.STEP_WHOLE, _eager(Numbers.BF16, channels_last=True, compiled=True), _NO_CPU),
)
"""OURS, EAGER and WHOLE are what the report's goals are about. DEFAULT is PyTorch's own: convolutions in TF32."""
