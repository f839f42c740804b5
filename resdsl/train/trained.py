"""What a run left: a network, its weights, how its inputs are normalised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resdsl.diagnostics import fail
from resdsl.network.document import from_json
from resdsl.network.initial import Weights
from resdsl.network.network import Network
from resdsl.recorded import Recorded, recorded_normalisation
from resdsl.source import Source
from resdsl.train.compute.execution import Precision
from resdsl.train.data.dataset import Dataset
from resdsl.train.run import checkpoint
from resdsl.train.run.folder import BEST, LAST, NETWORK, NORMALISATION, about
from resdsl.weights import fit_weights, network_weights

NAMED = {"best": BEST, "last": LAST}
SHOWN = 5
"""Names of classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A run with one set of its weights. weights_name: best, last, or a file. data, sha256: name and fingerprint of what it was trained
    on. batch, precision: that it was trained in.
    """

    run: Path
    network: Network
    weights_name: str
    weights: Weights
    by: Recorded
    data: str
    sha256: str
    classes: tuple[str, ...]
    batch: int
    precision: Precision

    @property
    def document(self) -> Path:
        """The network's document."""
        return self.run / NETWORK

    def __str__(self) -> str:
        return f"{self.network.name} of {self.run} ({self.weights_name})"


def open_run(run: Path, weights: str = "best") -> Trained:
    """weights: `best`, `last`, or a file with weights or a checkpoint. Raises SpecError."""
    said = about(run)
    network = from_json(Source(str(run / NETWORK), _text(run / NETWORK)))
    by = recorded_normalisation(_text(run / NORMALISATION), str(run / NORMALISATION))
    try:
        data, batch = said["data"], said["recipe"]["batch"]
        classes, precision = tuple(data["classes"]), Precision(said["execution"]["precision"])
        name, sha256 = data["name"], data["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise fail("unreadable", f"run.json in {run} is not what `resdsl train` writes: {error!r}") from None
    found = _weights(run, network, weights)
    return Trained(run, network, weights, found, by, name, sha256, classes, batch, precision)


def notes_on(trained: Trained, data: Dataset) -> tuple[str, ...]:
    """What is to be known of these data for this run, a line each. Raises SpecError where they do not fit."""
    if data.classes != trained.classes:
        here, there = listed(trained.classes), listed(data.classes)
        raise fail("wrong-data", f"{trained.run} was trained on the classes {here}, and {data.name} has {there}")
    if data.fingerprint != trained.sha256:
        return (f"{data.name} is not the data that {trained.run} was trained on, or has changed since",)
    return ()


def listed(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _weights(run: Path, network: Network, name: str) -> Weights:
    if name not in NAMED:
        path = Path(name)
        if path.parent.name != checkpoint.FOLDER:
            return network_weights(network, name)
        state = checkpoint.read(path)
        return fit_weights(network, {key: tensor.numpy() for key, tensor in state.weights.items()}, name)
    path = run / NAMED[name]
    if not path.is_file():
        why = "it is written when the run ends" if name == "last" else "it is written after the first evaluation"
        other = next((each for each, file in NAMED.items() if (run / file).is_file()), None)
        help = f"`--weights {other}`" if other else f"go on with `resdsl train --resume -o {run}`"
        raise fail("no-weights", f"{run} holds no {path.name}: {why}", help=help)
    return network_weights(network, str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise fail("unreadable", f"{path} cannot be read: {reason}") from None
