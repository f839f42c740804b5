"""A process of several that train: `torchrun … parallel_worker.py CASES.json`.

It does one case after the other, in one group of processes, and leaves what it came to beside the case's run, as RUN.RANK.json.
A SpecError ends it as it ends a command: with the diagnostic alone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from resdsl.diagnostics import SpecError, fail
from resdsl.train.compute.execution import Compile, Execution, Precision, Wanted, choose
from resdsl.train.compute.parallel import alike, from_first, own, processes, started, summed
from resdsl.train.compute.step import Step
from resdsl.train.data.batches import Share
from resdsl.train.data.dataset import Arrays, Split
from resdsl.train.recipe import Decay, Recipe, Unit
from resdsl.train.run.events import Event, Logged, Started
from resdsl.train.run.fit import fit
from resdsl.train.run.loop import Intervals

FIT = sys.modules[fit.__module__]
STEPS, SEED = 5, 3
RECIPE = Recipe(
    name="small",
    source="of a test",
    batch=8,
    unit=Unit.ITERATIONS,
    length=STEPS,
    steps=(3,),
    warmup=1,
    nesterov=True,
    decay=Decay.WEIGHTS,
    pad=1,
)
SPEC, NETWORK, PARAMETERS = "std/resnet110", "preact110", {"n": 1}


def data() -> Arrays:
    """20 samples to train on: an epoch is two batches, and leaves four out. 13 to test: parts of them differ in size."""
    draw = np.random.default_rng(0)

    def split(samples: int) -> Split:
        return Split(draw.standard_normal((samples, 3, 8, 8)).astype(np.float32), draw.integers(0, 10, samples))

    return Arrays("noise", split(20), split(13), tuple("abcdefghij"))


def main() -> None:
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")  # torch.compile looks at it
    torch.set_num_threads(1)
    rank = started().rank
    cases = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        with processes(own(torch.device(cases[0].get("device", "cpu")))) as share:
            require_collectives(share)
            for case in cases:
                chosen = patch.object(FIT, "choose", eager if case.get("units") else choose)
                with at_step(case, rank), chosen, before_the_loop(case, rank):
                    trained(case, rank)
    except SpecError as error:
        sys.exit(str(error))


def require_collectives(share: Share) -> None:
    """On tensors of all types, without axes, and with strides of their own."""
    mixed = [torch.full((2, 3), float(share.rank)).T, torch.tensor(share.rank), torch.ones(3, 1).double() * share.rank]
    alike(mixed)
    assert not any(tensor.any() for tensor in mixed)
    assert from_first((share.rank, None, 0.1)) == (0, None, 0.1)
    for mine in (torch.tensor(share.rank + 1), torch.tensor(share.rank + 1.0), torch.full((2, 2), share.rank + 1)):
        total = summed(mine)
        assert (total == 3).all()
        assert (mine == share.rank + 1).all(), "it is another tensor"


def trained(case: dict[str, Any], rank: int) -> None:
    run, events = Path(case["run"]), list[str]()

    def listener(event: Event) -> None:
        events.append(type(event).__name__)
        if isinstance(event, Started) and case.get("full_disk"):  # a checkpoint cannot be written where a folder is
            (run / "checkpoints" / "00000002.safetensors").mkdir(parents=True)
        if isinstance(event, Logged) and case.get("told"):
            print("it trains", flush=True)

    result = fit(
        SPEC,
        replace(RECIPE, batch=case.get("batch", RECIPE.batch), length=case.get("length", STEPS)),
        data(),
        run=run,
        network=NETWORK,
        parameters=PARAMETERS,
        seed=SEED,
        wanted=Wanted(
            precision=Precision.FP64,
            compile=Compile.UNITS if case.get("units") else Compile.NONE,
            accumulate=case.get("accumulate", 1),
            recompute=case.get("recompute", False),
            sync_norm=case.get("sync_norm", False),
            channels_last=False,
        ),
        device=case.get("device", "cpu"),
        resume=case.get("resume", False),
        intervals=Intervals(2, case.get("evaluate", STEPS)),
        listener=listener,
    )
    found = {
        "finished": result.finished,
        "iteration": result.iteration,
        "signal": result.signal,
        "events": events,
        "confusion": None if result.score is None else result.score.confusion.tolist(),
        "loss": None if result.score is None else result.score.loss,
        "best": None if result.best is None else result.best.iteration,
    }
    run.with_name(f"{run.name}.{rank}.json").write_text(json.dumps(found), encoding="utf-8")


@contextmanager
def at_step(case: dict[str, Any], rank: int) -> Generator[None]:
    """After so many steps, the second process gets a signal that the first does not, or ends without a word."""
    update, steps = Step.update, [0]

    def counted(self: Step, inputs: torch.Tensor, labels: torch.Tensor) -> None:
        update(self, inputs, labels)
        steps[0] += 1
        if rank == 1 and steps[0] == case.get("signalled_at"):
            signal.raise_signal(signal.SIGTERM)
        if rank == 1 and steps[0] == case.get("dies_at"):
            os._exit(3)

    with patch.object(Step, "update", counted):
        yield


@contextmanager
def before_the_loop(case: dict[str, Any], rank: int) -> Generator[None]:
    """The second process fails where the first one goes on to wrap the module."""

    def failed(*_: object) -> object:
        raise fail("out-of-memory", "the second has no room")

    with patch.object(FIT, "training_module", failed) if case.get("fails") and rank == 1 else nullcontext():
        yield


def eager(wanted: Wanted, device: torch.device, share: Share = Share(), *, draws: bool = False) -> Execution:
    """Compiled as far as gradients: what DistributedDataParallel and torch.compile have to do with each other."""
    return replace(choose(wanted, device, share, draws=draws), backend="aot_eager")


if __name__ == "__main__":
    main()
