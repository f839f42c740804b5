"""How fast models are beside each other, on the same random input: ONNX models and engines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resdsl.bench.measure import SECONDS, Cell, Timing, measure
from resdsl.diagnostics import fail
from resdsl.network.difference import relative_error
from resdsl.targets.model import OpenModel, Runtime, best_batch, notes_of, open_model, runtime_of
from resdsl.targets.onnx_port import shape_text
from resdsl.targets.onnx_provider import Provider
from resdsl.targets.onnx_session import Session


@dataclass(frozen=True, slots=True)
class Model:
    """source: the file, or the bytes of an ONNX model."""

    name: str
    source: str | bytes


@dataclass(frozen=True, slots=True)
class Ran:
    """How a model ran. providers, nodes: as of a Session; of an engine none, and None. notes: what there is to know about running
    it here. difference: of its first output from the first model's on the smallest batch, max|y - y1| / max|y1|; None for the
    first, and where shapes differ or an output is not finite.
    """

    name: str
    runtime: Runtime
    notes: tuple[str, ...]
    providers: tuple[str, ...]
    nodes: Mapping[str, int] | None
    difference: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One cell. model: its index. threads: None where ONNX Runtime chose; of an engine, those that the ONNX models beside it had.
    speed: images/s over those of the first model with the same batch and threads.
    """

    model: int
    batch: int
    threads: int | None
    timing: Timing
    speed: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """rows: in order of batch, threads, model."""

    models: tuple[Ran, ...]
    rows: tuple[Row, ...]


def measure_models(
    models: Sequence[Model],
    *,
    provider: Provider = Provider.CPU,
    batches: Sequence[int] = (),
    threads: Sequence[int | None] = (None,),
    cuda_graph: bool = False,
    rounds: int | None = None,
    seconds: float = SECONDS,
    told: Callable[[int, int], None] | None = None,
) -> Measurement:
    """Times every model with every batch size and number of threads, interleaved; see resdsl.bench.measure.

    provider, threads: of ONNX models. cuda_graph: of engines. batches: by default the one that the first model is made for, or
    1. Raises SpecError for a model that cannot be opened or run, and for one that does not take the first one's input.
    """

    def opened(model: Model, count: int | None) -> OpenModel:
        return open_model(model.source, provider, name=model.name, threads=count, cuda_graph=cuda_graph)

    firsts = [opened(model, threads[0]) for model in models]
    sessions = {
        (index, count): opened(model, count) if count != threads[0] and isinstance(first, Session) else first
        for count in threads
        for index, (model, first) in enumerate(zip(models, firsts, strict=True))
    }
    batches = tuple(batches) or (best_batch(firsts[0]),)
    x = firsts[0].random(max(batches))
    for session in firsts:
        _check(session, x.shape[1:], batches)
    outputs = [_first_output(session, x[: min(batches)]) for session in firsts]
    keys = [(index, batch, count) for batch in batches for count in threads for index in range(len(models))]
    cells = [
        Cell(
            models[index].name,
            batch,
            sessions[index, count].call(sessions[index, count].fitted(x[:batch], "the input")),
        )
        for index, batch, count in keys
    ]
    timings = dict(zip(keys, measure(cells, rounds, seconds=seconds, told=told), strict=True))
    rows = tuple(
        Row(index, batch, count, timing, timing.speed_beside(timings[0, batch, count]))
        for (index, batch, count), timing in timings.items()
    )
    ran = [
        _ran(session, _difference(y, outputs[0]) if index else None)
        for index, (session, y) in enumerate(zip(firsts, outputs, strict=True))
    ]
    return Measurement(tuple(ran), rows)


def _ran(session: OpenModel, difference: float | None) -> Ran:
    onnx = session if isinstance(session, Session) else None
    providers, nodes = (onnx.providers, onnx.nodes) if onnx else ((), None)
    return Ran(session.name, runtime_of(session), notes_of(session), providers, nodes, difference)


def _check(session: OpenModel, sample: tuple[int, ...], batches: Sequence[int]) -> None:
    for batch in batches:
        wanted = (batch, *sample)
        if not session.input.takes(wanted):
            message = f"{session.name} takes {shape_text(session.input.shape)}, and {shape_text(wanted)} is asked for"
            made_for = session.input.shape[0]
            only = isinstance(made_for, int) and session.input.takes((made_for, *sample))
            raise fail("wrong-input", message, help=f"`--batch {made_for}`" if only else "")


def _first_output(session: OpenModel, x: NDArray[np.generic]) -> NDArray[np.float64]:
    found = session.run(session.fitted(x, "the input"))
    return next(iter(found.values())).astype(np.float64)


def _difference(y: NDArray[np.float64], first: NDArray[np.float64]) -> float | None:
    error = relative_error(y, first)
    return error if math.isfinite(error) else None
