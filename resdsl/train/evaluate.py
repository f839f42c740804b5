"""What a network gets wrong on a test set: what a run left, a model in a file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from resdsl.diagnostics import fail
from resdsl.network.types import Image
from resdsl.recorded import Recorded
from resdsl.targets.model import OpenModel, best_batch
from resdsl.train.compute.execution import Compile, Execution, Precision, Wanted, choose, in_force
from resdsl.train.compute.memory import is_lack_of_memory, without_room
from resdsl.train.compute.model import training_module
from resdsl.train.compute.score import Score, evaluate, scored
from resdsl.train.data.batches import Batches, Resident
from resdsl.train.data.dataset import Arrays, Dataset, Files, Listed, Split
from resdsl.train.recipe import DIGITS
from resdsl.train.trained import Trained

BATCH = 64
"""What a model is given that takes any."""
MOST = 256
"""Samples that a run's network is given at once: the batch that it was trained in may be that of many GPUs."""


def evaluate_run(trained: Trained, data: Dataset, device: torch.device, precision: Precision | None = None) -> Score:
    """What a run's network, in PyTorch, gets wrong on the test set.

    precision: by default the run's own on a GPU, and float32, or float64 if it was trained so, on a CPU. Raises SpecError, also
    for lack of memory.
    """
    if precision is None:
        keeps = device.type == "cuda" or trained.precision is Precision.FP64
        precision = trained.precision if keeps else Precision.FP32
    execution = choose(Wanted(compile=Compile.NONE, graph=False, precision=precision), device)
    try:
        return _scored(trained, data, device, execution)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        raise without_room(device, f"{trained.network.name} with the data and a batch of {_batch(trained):,}") from None


def evaluate_model(model: OpenModel, data: Dataset, by: Recorded) -> Score:
    """What an ONNX model or an engine gets wrong on the test set. Raises SpecError if it reads or gives something else."""
    classes, shape = len(data.classes), _shape(model, data)
    (output, *others) = model.outputs
    if others or not output.takes((best_batch(model), classes)):
        listed = ", ".join(map(str, model.outputs))
        message = f"{model.name} gives {listed}, and {data.name} has {classes:,} classes"
        raise fail("wrong-data", message)
    is_open = isinstance(model.input.shape[0], str) and best_batch(model) == 1
    batches = evaluation_batches(data, by, shape, BATCH if is_open else best_batch(model), torch.device("cpu"))

    def forward(inputs: Tensor) -> Tensor:
        found = model.run(model.fitted(inputs.numpy(), data.name))
        return torch.from_numpy(np.asarray(found[output.name], np.float64))

    return scored(forward, batches, torch.device("cpu"), classes)


def evaluation_batches(
    data: Dataset,
    by: Recorded,
    shape: Image | None,
    batch: int,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.contiguous_format,
    workers: int | None = None,
) -> Batches:
    """The test set alone, in batches of one size. shape: what the network reads, where the data are files; layout: of batches in
    memory; workers: processes that read them.
    """
    recipe = replace(DIGITS, batch=batch)
    match data:
        case Arrays(test=test):
            alone = Arrays(data.name, Split(test.inputs[:1], test.labels[:1]), test, data.classes)
            return Resident(alone, recipe, by, seed=0, device=device, dtype=dtype, layout=layout)
        case Files(test=test):
            from resdsl.train.data.pictures import Pictures

            if shape is None:
                raise fail("wrong-data", f"{data.name} has images in files, and the network reads none")
            alone = Files(data.name, Listed(test.paths[:1], test.labels[:1]), test, data.classes)
            return Pictures(
                alone, recipe, by, shape, seed=0, device=device, dtype=dtype, layout=layout, workers=workers
            )


def _scored(trained: Trained, data: Dataset, device: torch.device, execution: Execution) -> Score:
    module = training_module(trained.network, trained.weights, execution, device)
    dtype = torch.float64 if execution.precision is Precision.FP64 else torch.float32
    shape = trained.network.input
    wanted = shape if isinstance(shape, Image) else None
    batches = evaluation_batches(data, trained.by, wanted, _batch(trained), device, dtype, execution.layout)
    with in_force(execution, device):
        return evaluate(module, batches, execution, device, len(data.classes))


def _batch(trained: Trained) -> int:
    return min(trained.batch, MOST)


def _shape(model: OpenModel, data: Dataset) -> Image | None:
    """What it reads, if that is an image. Raises SpecError if the data are of another shape."""
    sample = model.input.sample
    any_batch = replace(model.input, shape=("batch", *sample))
    if isinstance(data, Arrays) and not any_batch.takes((1, *data.train.inputs.shape[1:])):
        raise fail("wrong-data", f"{model.name} reads {model.input}, and {data.name} has {data.shape}")
    match sample:
        case (int(channels), int(height), int(width)):
            return Image(channels, height, width)
        case _:
            return None
