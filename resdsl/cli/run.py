"""`resdsl run`."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from resdsl._version import __version__
from resdsl.cli.model_options import Numbers, are_given, image_options, refuse, require_images, require_threads
from resdsl.cli.options import reporting
from resdsl.diagnostics import fail
from resdsl.network.types import Image
from resdsl.outputs import WRITERS, numbers, written
from resdsl.recorded import PIXEL, Recorded, normalisation_of
from resdsl.samples import UNIT, Normalisation, is_image, read_array, read_image
from resdsl.targets.endings import is_engine
from resdsl.targets.model import OpenModel, least_batch, notes_of, open_model, runtime_of
from resdsl.targets.onnx_provider import Provider
from resdsl.targets.onnx_session import Session
from resdsl.writing import is_same_file, write

RANDOM = re.compile(r"random(?::(\d{1,18}))?")


@click.command("run", no_args_is_help=True)
@click.argument("model")
@click.argument("input")
@click.option("--provider", type=click.Choice([provider.value for provider in Provider]), default=Provider.CPU.value, show_default=True, help="ONNX models: what computes.")  # fmt: skip
@click.option("-o", "--output", "out", metavar="OUT", help="Write the outputs: a file that ends in .npy, .npz, .safetensors or .json.")  # fmt: skip
@click.option(
    "--threads", type=click.IntRange(1), help="ONNX models: threads of the CPU.  [default: ONNX Runtime's choice]"
)
@click.option("--top", type=click.IntRange(1), default=5, show_default=True, help="How many classes to print.")
@click.option("--json", "as_json", is_flag=True, help="The top classes as JSON.")
@image_options
def command(
    model: str,
    input: str,
    provider: str,
    out: str | None,
    threads: int | None,
    top: int,
    as_json: bool,
    mean: Numbers,
    std: Numbers,
) -> None:
    """Compute the output of a model: of an ONNX model with ONNX Runtime, of an engine with TensorRT.

    MODEL is an engine if it ends in .engine, .plan or .trt, and an ONNX model otherwise. INPUT is a .npy, .npz or .safetensors file, an
    image, or random[:SEED]. Images are normalised as the model records it, if it does and neither --mean nor --std is given; a model of numbers that were no pixels
    takes none without these. Prints the classes with the greatest output of each sample, or writes all outputs to OUT.

    \b
    resdsl run resnet50.onnx cat.jpg --top 1
    resdsl run preact164.onnx images.npy --provider cuda -o scores.npz
    resdsl run preact164.engine images.npy
    """
    if out is not None:
        if Path(out).suffix.lower() not in WRITERS:
            raise click.UsageError(f"-o {out}: name a file that ends in {', '.join(WRITERS)}")
        if is_same_file(out, input):
            raise click.UsageError(f"-o {out}: this is the input, which would be replaced")
        refuse(("top", "as_json"), "this is about what is printed, and -o writes all")
    if is_engine(model):
        refuse(("provider", "threads"), f"this is about ONNX models, and {model} is an engine")
    require_images(mean, std, input)
    require_threads([threads] if threads else [])
    with reporting():
        session = open_model(model, Provider(provider), threads=threads)
        for note in notes_of(session):
            click.echo(note, err=True)
        if out is not None:
            _check_writable(session, out)
        else:
            _check_printable(session)
        recorded = None if are_given("mean", "std") else normalisation_of(session.metadata, model)
        outputs = session.run(session.fitted(_read(session, input, recorded or Normalisation(mean, std)), input))
        if out is not None:
            write(written(outputs, Path(out).suffix.lower()), out)
            listed = ", ".join(f"{name} {'x'.join(map(str, y.shape))}" for name, y in outputs.items())
            click.echo(f"{out}: {listed}", err=True)
            return
    ((_, scores),) = outputs.items()
    best = _best(scores, top)
    click.echo(json.dumps(_document(session, input, scores, best), indent=2) if as_json else _text(scores, best))


def _read(session: OpenModel, input: str, normalisation: Recorded | Normalisation) -> NDArray[np.generic]:
    if matched := RANDOM.fullmatch(input):
        return session.random(least_batch(session), int(matched.group(1) or 0))
    path = Path(input)
    if not is_image(path):
        return read_array(path, session.input.name)
    match session.input.sample:
        case (int(channels), int(height), int(width)):
            shape = Image(channels, height, width)
            if isinstance(normalisation, Recorded):
                _require_pixels(normalisation, session.name)
                return normalisation.of(read_image(path, shape, UNIT))
            return read_image(path, shape, normalisation)
        case _:
            message = f"{input} is an image, and {session.name} takes {session.input}, not channels, height and width"
            raise fail("wrong-input", message)


def _require_pixels(recorded: Recorded, name: str) -> None:
    if recorded.divisor != PIXEL:
        message = (
            f"{name} was trained on numbers as they were in its data, and does not say how pixels become such numbers"
        )
        help = "give --mean and --std for pixels of 0 to 1, or the numbers as a .npy file"
        raise fail("wrong-input", message, help=help)


def _check_writable(session: OpenModel, out: str) -> None:
    if out.lower().endswith(".npy") and len(session.outputs) != 1:
        names = ", ".join(port.name for port in session.outputs)
        raise fail("wrong-output", f"{session.name} has {len(session.outputs)} outputs ({names}), and a .npy file holds one", help="a .npz file holds all")  # fmt: skip


def _check_printable(session: OpenModel) -> None:
    if len(session.outputs) != 1 or len(session.outputs[0].shape) != 2:
        listed = ", ".join(map(str, session.outputs))
        raise fail("wrong-output", f"{session.name} gives {listed}: no one number for each class", help="write it to a file with `-o OUT`")  # fmt: skip


def _best(scores: NDArray[np.generic], top: int) -> NDArray[np.intp]:
    """For each sample the classes of the greatest outputs, the greatest first; NaN is less than all."""
    values = scores.astype(np.float64)
    return np.argsort(-np.where(np.isnan(values), -np.inf, values), axis=1, kind="stable")[:, :top]


def _text(scores: NDArray[np.generic], best: NDArray[np.intp]) -> str:
    rows = (
        f"sample {number}: " + ", ".join(f"{index} ({values[index]:.4g})" for index in classes)
        for number, (values, classes) in enumerate(zip(scores, best, strict=True))
    )
    return "\n".join(rows)


def _document(session: OpenModel, input: str, scores: NDArray[np.generic], best: NDArray[np.intp]) -> dict[str, object]:
    runtime = runtime_of(session)
    onnx = session if isinstance(session, Session) else None
    return {
        "resdsl": __version__,
        "runtime": asdict(runtime),
        "onnxruntime": runtime.version if onnx else None,
        "model": session.name,
        "input": input,
        "provider": onnx.provider.value if onnx else None,
        "providers": list(onnx.providers) if onnx else [],
        "output": session.outputs[0].name,
        "shape": list(scores.shape),
        "top": [
            [{"class": int(index), "value": numbers(values[index])} for index in classes]
            for values, classes in zip(scores, best, strict=True)
        ],
    }
