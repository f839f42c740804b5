"""What a training step takes: forward, cross entropy, backward, and SGD with momentum."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from gpu_cases import CASES, Case, Numbers
from gpu_open import attempt
from gpu_rows import Plan, Rows, Skipped, Task, Training
from gpu_torch import synchronise, tf32, torch_dtype

from resdsl.bench.measure import Cell, measure
from resdsl.network.evaluate import random_input
from resdsl.network.initial import initial_weights

PART = "training"
WARM_UP_STEPS = 3


@dataclass(frozen=True, slots=True)
class Style:
    """numbers: of autocast, where they have 16 bits. The weights are float32 in all."""

    name: str
    numbers: Numbers
    channels_last: bool
    on: tuple[str, ...] = ("cuda", "cpu")

    @property
    def is_autocast(self) -> bool:
        return self.numbers in (Numbers.FP16, Numbers.BF16)


STYLES = (
    Style("fp32", Numbers.FP32, False),
    Style("tf32", Numbers.TF32, False, ("cuda",)),
    Style("tf32, channels last", Numbers.TF32, True, ("cuda",)),
    Style("fp16 autocast, channels last", Numbers.FP16, True, ("cuda",)),
    Style("bf16 autocast", Numbers.BF16, False),
    Style("bf16 autocast, channels last", Numbers.BF16, True),
)
"""The first is what the others are held against."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A style that is ready. step: one step, to its end. loss: of the first."""

    style: Style
    step: Callable[[], float]
    loss: float
    peak_bytes: int | None


def time_steps(task: Task, plan: Plan, rows: Rows) -> None:
    """Times all styles beside each other."""
    case, batch = CASES[task.network], task.batch
    ready: list[Trained] = []
    for style in STYLES:
        what = f"{case.network}: {style.name}, batch {batch}"
        if plan.device not in style.on:
            continue
        if plan.is_over:
            rows.tell(Skipped(PART, what, "no time was left"))
            continue
        found = attempt(lambda style=style: _ready(case, style, batch, plan), PART, what, rows)
        if found is not None:
            ready.append(found)
    cells = [Cell(each.style.name, batch, each.step) for each in ready]
    timings = attempt(
        lambda: measure(cells, plan.rounds, seconds=plan.seconds), PART, f"{case.network}: batch {batch}", rows
    )
    for each, timing in zip(ready, timings or [], strict=False):
        assert timings is not None
        lower, upper = timing.quartiles
        rows.tell(
            Training(
                network=case.network,
                style=each.style.name,
                batch=batch,
                seconds=timing.seconds,
                lower_quartile=lower,
                upper_quartile=upper,
                images_per_second=timing.samples_per_second,
                beside=ready[0].style.name,
                speed=timing.speed_beside(timings[0]),
                peak_bytes=each.peak_bytes,
                loss=each.loss if math.isfinite(each.loss) else None,
                rounds=timing.rounds,
            )
        )


def _ready(case: Case, style: Style, batch: int, plan: Plan) -> Trained:
    import torch

    is_gpu = plan.device == "cuda"
    before = torch.cuda.memory_allocated() if is_gpu else 0
    step = _step(case, style, batch, plan)
    loss = step()
    if not is_gpu:
        return Trained(style, step, loss, None)
    for _ in range(WARM_UP_STEPS):  # trying kernels out takes memory that training does not
        step()
    torch.cuda.reset_peak_memory_stats()
    step()
    return Trained(style, step, loss, torch.cuda.max_memory_allocated() - before)


def _step(case: Case, style: Style, batch: int, plan: Plan) -> Callable[[], float]:
    import torch
    from torch.nn import functional

    from resdsl.targets.torch_module import torch_module

    network = case.build(quick=plan.quick)
    layout = torch.channels_last if style.channels_last else torch.contiguous_format
    module = torch_module(network, initial_weights(network)).train().to(plan.device, memory_format=layout)
    x = torch.from_numpy(random_input(network, batch, 1)).to(plan.device, memory_format=layout)
    classes = torch.arange(batch, device=plan.device) % 10  # every network here has at least ten
    optimiser = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
    scaler = torch.amp.GradScaler(plan.device, enabled=style.numbers is Numbers.FP16)

    def numbers() -> AbstractContextManager[object]:
        return torch.autocast(plan.device, torch_dtype(style.numbers)) if style.is_autocast else nullcontext()

    def step() -> float:
        tf32(style.numbers)
        with numbers():
            loss = functional.cross_entropy(module(x), classes)
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        synchronise(plan.device)
        return loss.item()

    return step
