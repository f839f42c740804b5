"""What is computed one after the other and kept, and what comes of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from resdsl.analysis.demystify.nets import Net, Relu
from resdsl.analysis.hessian.spectrum import Spectrum


@dataclass(frozen=True, slots=True)
class Initial:
    """The Hessian of a linear network before training."""

    net: Net
    depth: int
    seed: int


@dataclass(frozen=True, slots=True)
class Trained:
    """A network trained with each learning rate."""

    net: Net
    relu: Relu
    depth: int
    seed: int


@dataclass(frozen=True, slots=True)
class Watched:
    """A linear network trained with the best of the learning rates, and its Hessians on the way."""

    net: Net
    depth: int
    seed: int


@dataclass(frozen=True, slots=True)
class Parted:
    """A network with ReLU in mid position, trained with each learning rate on one part of the data and tested on the other."""

    net: Net
    depth: int
    seed: int


@dataclass(frozen=True, slots=True)
class Ends:
    """At the end, by learning rate; None where the training diverged. norms: the mean Frobenius norm of the layers."""

    losses: tuple[float | None, ...]
    norms: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Errors:
    """At the end, by learning rate; None where the training diverged. train, test: shares of wrong answers, 0 to 1."""

    losses: tuple[float | None, ...]
    train: tuple[float | None, ...]
    test: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """A training with the learning rate `rate`, at `epochs` (n,). gradients: the norm over all weights. largest, percentile10: of
    |eigenvalue|, None for one that is 0. index: the share of eigenvalues below 0.
    """

    rate: float
    epochs: tuple[int, ...]
    losses: tuple[float, ...]
    gradients: tuple[float, ...]
    largest: tuple[float, ...]
    percentile10: tuple[float | None, ...]
    index: tuple[float, ...]


Point: TypeAlias = Initial | Trained | Watched | Parted
Value: TypeAlias = Spectrum | Ends | Course | Errors


@dataclass(frozen=True, slots=True)
class Results:
    """What there is."""

    initial: dict[Initial, Spectrum] = field(default_factory=dict)
    trained: dict[Trained, Ends] = field(default_factory=dict)
    watched: dict[Watched, Course] = field(default_factory=dict)
    parted: dict[Parted, Errors] = field(default_factory=dict)

    def add(self, point: Point, value: Value) -> None:
        match point, value:
            case Initial(), Spectrum():
                self.initial[point] = value
            case Trained(), Ends():
                self.trained[point] = value
            case Watched(), Course():
                self.watched[point] = value
            case Parted(), Errors():
                self.parted[point] = value
            case _:
                raise AssertionError(f"{type(value).__name__} does not come of {type(point).__name__}")

    @property
    def count(self) -> int:
        return len(self.initial) + len(self.trained) + len(self.watched) + len(self.parted)

    def __contains__(self, point: Point) -> bool:
        return any(point in found for found in (self.initial, self.trained, self.watched, self.parted))


def words(point: Point) -> str:
    """As in `linear, 2-shortcut, depth 16, seed 3`."""
    match point:
        case Initial():
            kind = "condition at the start"
        case Trained(relu=relu):
            kind = f"training, {relu.value}"
        case Watched():
            kind = "Hessians during training"
        case Parted():
            kind = "error by shortcut depth"
    return f"{kind}: {point.net.name}, depth {point.depth}, seed {point.seed}"
