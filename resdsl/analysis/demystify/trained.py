"""Trainings by depth at their best learning rate, as figures 2, 8 and 9 need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resdsl.analysis.demystify.nets import Net, Relu
from resdsl.analysis.demystify.points import Results, Trained
from resdsl.analysis.demystify.sizes import Sizes, Training
from resdsl.analysis.demystify.summary import Mean, best_rate, known, mean


@dataclass(frozen=True, slots=True)
class Best:
    """A network of a depth with the learning rate that gave the least mean loss. norm: the mean Frobenius norm of its layers. None, with
    NaN for the means, where a run diverged with every rate.
    """

    net: Net
    relu: Relu
    depth: int
    rate: float | None
    loss: Mean
    norm: Mean

    @property
    def layers(self) -> int:
        return self.net.layers(self.depth)

    @property
    def units(self) -> int:
        return self.layers // self.net.span


def trainings(nets: Sequence[Net], relu: Relu, sizes: Sizes) -> list[Trained]:
    depths, runs, _ = _of(relu, sizes)
    return [Trained(net, relu, depth, seed) for net in nets for depth in depths for seed in range(runs)]


def bests(net: Net, relu: Relu, sizes: Sizes, results: Results) -> list[Best]:
    """By depth."""
    depths, runs, training = _of(relu, sizes)
    return [_best(net, relu, depth, runs, training, results) for depth in depths]


def _best(net: Net, relu: Relu, depth: int, runs: int, training: Training, results: Results) -> Best:
    ends = [results.trained[Trained(net, relu, depth, seed)] for seed in range(runs)]
    number = best_rate(ends)
    if number is None:
        return Best(net, relu, depth, None, mean([]), mean([]))
    losses, norms = (
        known([each[number] for each in of]) for of in ([end.losses for end in ends], [end.norms for end in ends])
    )
    return Best(net, relu, depth, training.rates[number], mean(losses), mean(norms))


def _of(relu: Relu, sizes: Sizes) -> tuple[tuple[int, ...], int, Training]:
    match relu:
        case Relu.NONE:
            return sizes.linear_depths, sizes.linear_runs, sizes.linear
        case Relu.MID:
            return sizes.relu_depths, sizes.relu_runs, sizes.relu
