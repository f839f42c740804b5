"""From a run to a model in use: written, verified and evaluated before it takes its place."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from resdsl.diagnostics import fail
from resdsl.network.types import Image
from resdsl.passes.table import DEFAULT_LEVEL, Pass, passes_of
from resdsl.recorded import CLASSES, NORMALISATION, classes_text, normalisation_text
from resdsl.samples import spread
from resdsl.spec import origin
from resdsl.targets.model import OpenModel, open_model
from resdsl.targets.onnx_provider import Provider
from resdsl.targets.precision import Form, Precision
from resdsl.targets.table import TARGETS, Request, Target, Written
from resdsl.targets.tensorrt.options import EngineOptions, Via
from resdsl.train.compute import execution
from resdsl.train.compute.score import Score
from resdsl.train.data.dataset import Arrays, Dataset, Files, Listed, Split
from resdsl.train.evaluate import evaluate_model, evaluate_run, evaluation_batches
from resdsl.train.trained import Trained
from resdsl.verify import EngineFile, Report, Wanted, verify
from resdsl.weights.safetensors import write_safetensors
from resdsl.writing import Output, write, writing

if TYPE_CHECKING:
    from resdsl.targets.tensorrt.monitor import Watcher

CALIBRATION = 256
"""Training inputs that int8 measures ranges on."""
VERIFIED = 8
"""Test inputs that every target is compared on; the reference is slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to write. form: whom an int8 ONNX model is for. limit: of the test set, on how many samples run and model are
    compared; None for all. provider: what an ONNX model is evaluated on. watcher: is told how far an engine's build is.
    """

    target: Target = TARGETS["onnx"]
    precision: Precision = Precision.FP32
    passes: tuple[Pass, ...] = passes_of(DEFAULT_LEVEL)
    form: Form = Form.ORT_CPU
    engine: EngineOptions = EngineOptions()
    limit: int | None = None
    provider: Provider = Provider.CPU
    watcher: Watcher | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """report: of resdsl.verify, on test inputs. run: what the network in PyTorch, in float32, gets wrong; model: what the file does."""

    path: Path
    written: Written
    report: Report
    run: Score
    model: Score


def export(
    trained: Trained,
    data: Dataset,
    out: str | os.PathLike[str],
    wish: Wish = Wish(),
    *,
    weights_out: str | os.PathLike[str] | None = None,
    device: torch.device | None = None,
) -> Exported:
    """Writes the network of a run as an ONNX model or an engine, with its normalisation and classes in it.

    data: with the training inputs that int8 is calibrated on, and the test set. device: of the run's own evaluation, by default the CPU.
    weights_out: a .safetensors file for the weights. Raises SpecError, also where the verification fails, and writes
    nothing then.
    """
    _require_target(wish)
    few = _limited(data, wish.limit)
    inputs = _inputs(data, data.test, VERIFIED, trained)
    calibration = _inputs(data, data.train, CALIBRATION, trained)
    path = Path(out)
    request = Request(
        trained.network,
        weights=trained.weights,
        passes=wish.passes,
        precision=wish.precision,
        calibration=calibration,
        form=wish.form,
        compares=None,
        origin=origin(trained.document),
        records={
            NORMALISATION: normalisation_text(trained.by),
            CLASSES: classes_text(trained.classes),
        },
        engine=wish.engine,
        watcher=wish.watcher,
    )
    with writing(os.fspath(path)) as output, tempfile.TemporaryDirectory() as folder:
        aside = Path(folder, path.name)
        with writing(str(aside)) as first:
            written = wish.target.emit(request, first)
        report = _verified(trained, inputs, calibration, wish, aside)
        run = evaluate_run(trained, few, device or torch.device("cpu"), execution.Precision.FP32)
        model = evaluate_model(_opened(aside, path, wish.provider), few, trained.by)
        _copy(aside, output, wish.target)
        if weights_out is not None:
            write(write_safetensors(trained.weights), os.fspath(weights_out))
    return Exported(path, written, report, run, model)


def _require_target(wish: Wish) -> None:
    if not wish.target.has_weights:
        raise fail("unused-argument", f"a {wish.target.name} file holds no weights: `resdsl compile` writes it")
    if wish.target.name != "trt":
        return
    if wish.engine.via is Via.TORCH_MODULE:
        message = "`--via torch-module` writes a module of PyTorch, which is not verified here"
        raise fail("unsupported-option", message, help="`resdsl compile --target trt --via torch-module`")
    from resdsl.targets.tensorrt.compare import require_engines

    require_engines(wish.engine, [wish.precision])


def _verified(
    trained: Trained, inputs: NDArray[np.float32], calibration: NDArray[np.float32], wish: Wish, file: Path
) -> Report:
    is_engine = wish.target.name == "trt"
    wanted = Wanted(
        wish.passes,
        () if is_engine or wish.precision is Precision.FP32 else [wish.precision],
        calibration=calibration,
        form=wish.form,
        engine=EngineFile(str(file), origin(trained.document)) if is_engine else None,
    )
    report = verify(trained.network, trained.weights, inputs, wanted=wanted)
    if not report.passed:
        failed = [
            f"{check.target}: off by {check.error:.1e}, at most {check.tolerance:.1e}"
            if check.error is not None
            else f"{check.target}: not run: {check.note}"
            for check in report.checks
            if not check.passed
        ]
        message = f"{trained} differs from float64 by more than rounding explains; nothing is written"
        raise fail("targets-differ", message, notes=[*failed, *report.problems], help=_way_out(wish))
    return report


def _way_out(wish: Wish) -> str:
    return "" if wish.precision is Precision.FP32 else "a precision with more bits: `--precision fp32`"


def _opened(file: Path, path: Path, provider: Provider) -> OpenModel:
    """An ONNX model is called by the name that it will have; an engine has that of its file."""
    return open_model(file, provider, name=os.fspath(path))


def _copy(aside: Path, output: Output, target: Target) -> None:
    """What stands aside, with what stands beside it, to its place."""
    beside = aside.with_name(aside.name + target.beside)
    if target.beside and beside.is_file():
        if output.beside is None:
            raise fail("external-data", f"{beside.name} needs a folder to stand in", help="name a file with `-o`")
        with beside.open("rb") as source:
            shutil.copyfileobj(source, output.beside(target.beside)[1])
    with aside.open("rb") as source:
        shutil.copyfileobj(source, output.stream)


def _limited(data: Dataset, limit: int | None) -> Dataset:
    """With so many of the test set at most, spread over it."""
    return data if limit is None or len(data.test) <= limit else _with_test(data, data.test, limit)


def _with_test(data: Dataset, part: Split | Listed, count: int) -> Dataset:
    """The data with `count` samples of `part` as its test set, spread over it."""
    chosen = spread(len(part), count)
    match data, part:
        case Arrays(), Split():
            return Arrays(data.name, data.train, Split(part.inputs[chosen], part.labels[chosen]), data.classes)
        case Files(), Listed():
            listed = Listed(tuple(part.paths[index] for index in chosen), part.labels[chosen])
            return Files(data.name, data.train, listed, data.classes)
    raise AssertionError("a part of the data is of its kind")


def _inputs(data: Dataset, part: Split | Listed, count: int, trained: Trained) -> NDArray[np.float32]:
    """So many of a part's inputs, as the network reads them in evaluation: (n, *input)."""
    few = _with_test(data, part, count)
    shape = trained.network.input
    wanted = shape if isinstance(shape, Image) else None
    batches = evaluation_batches(few, trained.by, wanted, len(few.test), torch.device("cpu"), workers=0)
    (batch,) = batches.evaluation()
    return batch.inputs.contiguous(memory_format=torch.contiguous_format).numpy()
